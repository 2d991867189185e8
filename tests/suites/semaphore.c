/* SPDX-License-Identifier: MIT */
/* semaphore.c - permits: counting, the order of waiters, giving up, misuse. */
#include "support/suite.h"

#include <errno.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/abort.h"
#include "support/gate.h"
#include "support/threads.h"
#include "weir.h"

static void init(weir_semaphore *sem, uint32_t permits)
{
    ck_assert_int_eq(weir_semaphore_init(sem, permits), 0);
}

/* How many permits can be had now. */
static uint32_t free_now(weir_semaphore *sem)
{
    uint32_t n = 0;
    while (weir_semaphore_try_acquire(sem, 1) == 0)
        n++;
    weir_semaphore_release(sem, n);
    return n;
}

/* A request made by a thread of its own. */
struct request {
    weir_semaphore *sem;
    uint32_t n;
    weir_context *ctx;
    int64_t deadline;
    recorder *log; /* notes `number` once it has been served */
    int number;
    caller thread;
};

static int acquire(void *arg)
{
    struct request *request = arg;
    int err =
        weir_semaphore_acquire_until(request->sem, request->n, request->ctx, request->deadline);
    if (err == 0 && request->log != NULL)
        recorder_add(request->log, request->number);
    return err;
}

/* Starts it and waits until it waits. */
static void queue(struct request *request, weir_semaphore *sem, uint32_t n)
{
    request->sem = sem;
    request->n = n;
    if (request->deadline == 0)
        request->deadline = WEIR_FOREVER;
    caller_start(&request->thread, acquire, request);
    ck_assert(caller_await_asleep(&request->thread));
}

/* Contract. */

START_TEST(as_many_as_there_are_can_be_had_at_once)
{
    weir_semaphore sem;
    init(&sem, 3);
    ck_assert_int_eq(weir_semaphore_acquire(&sem, 1), 0);
    ck_assert_int_eq(weir_semaphore_try_acquire(&sem, 2), 0);
    ck_assert_int_eq(weir_semaphore_try_acquire(&sem, 1), -EAGAIN);
    weir_semaphore_release(&sem, 1);
    ck_assert_int_eq(weir_semaphore_try_acquire(&sem, 2), -EAGAIN);
    ck_assert_int_eq(weir_semaphore_acquire_until(&sem, 1, NULL, 0), 0);
    weir_semaphore_release(&sem, 3);
    ck_assert_int_eq(weir_semaphore_acquire(&sem, 3), 0);
    weir_semaphore_release(&sem, 2);
    weir_semaphore_release(&sem, 1);
    ck_assert_uint_eq(free_now(&sem), 3u);
    weir_semaphore_destroy(&sem);
}
END_TEST

START_TEST(the_most_permits_are_counted_exactly)
{
    weir_semaphore sem;
    init(&sem, UINT32_MAX);
    ck_assert_int_eq(weir_semaphore_acquire(&sem, UINT32_MAX), 0);
    ck_assert_int_eq(weir_semaphore_try_acquire(&sem, 1), -EAGAIN);
    weir_semaphore_release(&sem, UINT32_MAX - 1);
    ck_assert_int_eq(weir_semaphore_try_acquire(&sem, UINT32_MAX), -EAGAIN);
    weir_semaphore_release(&sem, 1);
    ck_assert_int_eq(weir_semaphore_try_acquire(&sem, UINT32_MAX), 0);
    weir_semaphore_destroy(&sem);
}
END_TEST

START_TEST(arguments_that_can_never_be_valid_are_refused_at_once)
{
    weir_semaphore sem, zero = {{0}};
    ck_assert_int_eq(weir_semaphore_init(NULL, 1), -EINVAL);
    ck_assert_int_eq(weir_semaphore_init(&sem, 0), -EINVAL);
    init(&sem, 2);
    weir_context *over;
    ck_assert_int_eq(weir_context_new(&over, NULL, 0), 0);
    ck_assert_int_eq(weir_semaphore_acquire(NULL, 1), -EINVAL);
    ck_assert_int_eq(weir_semaphore_try_acquire(NULL, 1), -EINVAL);
    ck_assert_int_eq(weir_semaphore_acquire_until(NULL, 1, NULL, 0), -EINVAL);
    ck_assert_int_eq(weir_semaphore_acquire(&sem, 3), -EINVAL);
    ck_assert_int_eq(weir_semaphore_try_acquire(&sem, UINT32_MAX), -EINVAL);
    ck_assert_int_eq(weir_semaphore_acquire_until(&sem, 3, over, 0), -EINVAL);
    ck_assert_int_eq(weir_semaphore_acquire(&zero, 1), -EINVAL);
    ck_assert_int_eq(weir_semaphore_acquire(&sem, 2), 0);
    weir_semaphore_destroy(&sem);
    ck_assert_int_eq(weir_semaphore_acquire(&sem, 1), -EINVAL);
    weir_semaphore_destroy(NULL);
    weir_context_unref(over);
}
END_TEST

START_TEST(no_permits_are_had_at_once_even_if_others_wait)
{
    weir_semaphore sem;
    init(&sem, 1);
    ck_assert_int_eq(weir_semaphore_acquire(&sem, 1), 0);
    struct request waiting = {0};
    queue(&waiting, &sem, 1);
    ck_assert_int_eq(weir_semaphore_acquire(&sem, 0), 0);
    ck_assert_int_eq(weir_semaphore_try_acquire(&sem, 0), 0);
    weir_semaphore_release(&sem, 0);
    weir_semaphore_release(&sem, 1);
    ck_assert_int_eq(caller_join(&waiting.thread), 0);
    weir_semaphore_destroy(&sem);
}
END_TEST

START_TEST(the_full_form_fails_by_context_first_and_by_deadline_last)
{
    weir_semaphore sem;
    init(&sem, 1);
    weir_context *over, *late;
    ck_assert_int_eq(weir_context_new(&over, NULL, WEIR_FOREVER), 0);
    ck_assert_int_eq(weir_context_new(&late, NULL, 0), 0);
    weir_context_cancel(over, -EIO);
    ck_assert_int_eq(weir_semaphore_acquire_until(&sem, 1, over, WEIR_FOREVER), -ECANCELED);
    ck_assert_int_eq(weir_semaphore_acquire_until(&sem, 0, over, WEIR_FOREVER), -ECANCELED);
    ck_assert_int_eq(weir_semaphore_acquire_until(&sem, 1, late, WEIR_FOREVER), -ETIMEDOUT);
    ck_assert_uint_eq(free_now(&sem), 1u);
    ck_assert_int_eq(weir_semaphore_acquire_until(&sem, 1, NULL, INT64_MIN), 0);
    ck_assert_int_eq(weir_semaphore_acquire_until(&sem, 1, NULL, INT64_MIN), -ETIMEDOUT);
    int64_t deadline = weir_after(WEIR_MS(20));
    ck_assert_int_eq(weir_semaphore_acquire_until(&sem, 1, NULL, deadline), -ETIMEDOUT);
    ck_assert_int_ge(weir_now(), deadline);
    weir_semaphore_release(&sem, 1);
    ck_assert_uint_eq(free_now(&sem), 1u);
    weir_semaphore_destroy(&sem);
    weir_context_unref(late);
    weir_context_unref(over);
}
END_TEST

/* Blocking. */

START_TEST(those_who_wait_are_served_in_the_order_of_arrival)
{
    enum { WAITERS = 8 };
    static recorder log = RECORDER_INIT;
    weir_semaphore sem;
    init(&sem, 1);
    ck_assert_int_eq(weir_semaphore_acquire(&sem, 1), 0);
    struct request waiting[WAITERS];
    for (int i = 0; i < WAITERS; i++) {
        waiting[i] = (struct request){.log = &log, .number = i};
        queue(&waiting[i], &sem, 1);
    }
    for (int i = 0; i < WAITERS; i++) {
        weir_semaphore_release(&sem, 1);
        recorder_await(&log, (size_t)i + 1);
        ck_assert_int_eq(recorder_at(&log, (size_t)i), i);
        ck_assert_int_eq(caller_join(&waiting[i].thread), 0);
        ck_assert_int_eq(weir_semaphore_try_acquire(&sem, 1), -EAGAIN);
    }
    weir_semaphore_release(&sem, 1);
    ck_assert_uint_eq(free_now(&sem), 1u);
    weir_semaphore_destroy(&sem);
}
END_TEST

START_TEST(a_large_request_is_not_starved_by_small_ones)
{
    weir_semaphore sem;
    init(&sem, 4);
    ck_assert_int_eq(weir_semaphore_acquire(&sem, 4), 0);
    struct request large = {0}, small = {0};
    queue(&large, &sem, 3);
    queue(&small, &sem, 1);
    weir_semaphore_release(&sem, 2);
    ck_assert_int_eq(weir_semaphore_try_acquire(&sem, 1), -EAGAIN);
    ck_assert_int_eq(weir_semaphore_acquire_until(&sem, 1, NULL, 0), -ETIMEDOUT);
    ck_assert(caller_await_asleep(&large.thread));
    ck_assert(caller_await_asleep(&small.thread));
    weir_semaphore_release(&sem, 1);
    ck_assert_int_eq(caller_join(&large.thread), 0);
    ck_assert(caller_await_asleep(&small.thread));
    weir_semaphore_release(&sem, 1);
    ck_assert_int_eq(caller_join(&small.thread), 0);
    weir_semaphore_release(&sem, 4);
    ck_assert_uint_eq(free_now(&sem), 4u);
    weir_semaphore_destroy(&sem);
}
END_TEST

START_TEST(one_release_serves_as_many_as_fit)
{
    enum { WAITERS = 5 };
    weir_semaphore sem;
    init(&sem, 8);
    ck_assert_int_eq(weir_semaphore_acquire(&sem, 8), 0);
    const uint32_t wants[WAITERS] = {2, 1, 3, 2, 1};
    struct request waiting[WAITERS] = {{0}};
    for (int i = 0; i < WAITERS; i++)
        queue(&waiting[i], &sem, wants[i]);
    weir_semaphore_release(&sem, 7); /* 2 + 1 + 3 fit, then 2 does not, and 1 may not pass it */
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(caller_join(&waiting[i].thread), 0);
    ck_assert(caller_await_asleep(&waiting[3].thread));
    ck_assert(caller_await_asleep(&waiting[4].thread));
    weir_semaphore_release(&sem, 2);
    ck_assert_int_eq(caller_join(&waiting[3].thread), 0);
    ck_assert_int_eq(caller_join(&waiting[4].thread), 0);
    weir_semaphore_release(&sem, 8);
    ck_assert_uint_eq(free_now(&sem), 8u);
    weir_semaphore_destroy(&sem);
}
END_TEST

/* Giving up. */

START_TEST(a_large_request_that_is_cancelled_lets_those_behind_it_go_on)
{
    weir_semaphore sem;
    init(&sem, 4);
    ck_assert_int_eq(weir_semaphore_acquire(&sem, 2), 0);
    weir_context *ctx;
    ck_assert_int_eq(weir_context_new(&ctx, NULL, WEIR_FOREVER), 0);
    struct request large = {.ctx = ctx}, first = {0}, second = {0}, third = {0};
    queue(&large, &sem, 4);
    queue(&first, &sem, 1);
    queue(&second, &sem, 1);
    queue(&third, &sem, 1);
    weir_context_cancel(ctx, 0);
    ck_assert_int_eq(caller_join(&large.thread), -ECANCELED);
    ck_assert_int_eq(caller_join(&first.thread), 0);
    ck_assert_int_eq(caller_join(&second.thread), 0);
    ck_assert(caller_await_asleep(&third.thread));
    weir_semaphore_release(&sem, 4);
    ck_assert_int_eq(caller_join(&third.thread), 0);
    weir_semaphore_release(&sem, 1);
    ck_assert_uint_eq(free_now(&sem), 4u);
    weir_semaphore_destroy(&sem);
    weir_context_unref(ctx);
}
END_TEST

START_TEST(a_large_request_that_times_out_lets_those_behind_it_go_on)
{
    weir_semaphore sem;
    init(&sem, 2);
    ck_assert_int_eq(weir_semaphore_acquire(&sem, 1), 0);
    struct request large = {.deadline = weir_after(WEIR_MS(300))}, small = {0};
    large.sem = &sem;
    large.n = 2;
    caller_start(&large.thread, acquire, &large);
    (void)caller_await_asleep(&large.thread); /* or it has timed out */
    small.sem = &sem;
    small.n = 1;
    small.deadline = WEIR_FOREVER;
    caller_start(&small.thread, acquire, &small);
    ck_assert_int_eq(caller_join(&large.thread), -ETIMEDOUT);
    ck_assert_int_eq(caller_join(&small.thread), 0);
    weir_semaphore_release(&sem, 2);
    ck_assert_uint_eq(free_now(&sem), 2u);
    weir_semaphore_destroy(&sem);
}
END_TEST

START_TEST(a_cancelled_request_is_passed_over_by_a_later_release)
{
    weir_semaphore sem;
    init(&sem, 1);
    ck_assert_int_eq(weir_semaphore_acquire(&sem, 1), 0);
    weir_context *ctx;
    ck_assert_int_eq(weir_context_new(&ctx, NULL, WEIR_FOREVER), 0);
    struct request cancelled = {.ctx = ctx}, other = {0};
    queue(&cancelled, &sem, 1);
    queue(&other, &sem, 1);
    weir_context_cancel(ctx, 0);
    weir_semaphore_release(&sem, 1); /* the cancelled one may not have run yet */
    ck_assert_int_eq(caller_join(&cancelled.thread), -ECANCELED);
    ck_assert_int_eq(caller_join(&other.thread), 0);
    weir_semaphore_release(&sem, 1);
    ck_assert_uint_eq(free_now(&sem), 1u);
    weir_semaphore_destroy(&sem);
    weir_context_unref(ctx);
}
END_TEST

/* Many threads. */

enum { THREADS = 6, ROUNDS = 2000, PERMITS = 5 };

struct crowd {
    weir_semaphore sem;
    atomic_int out, errors, timeouts;
};

struct member {
    struct crowd *crowd;
    unsigned seed;
};

static int use_permits(void *arg)
{
    struct member *member = arg;
    struct crowd *crowd = member->crowd;
    for (int i = 0; i < ROUNDS; i++) {
        member->seed = member->seed * 1103515245u + 12345u;
        int n = (int)(member->seed >> 16) % PERMITS + 1;
        int64_t deadline = member->seed & 0x8000 ? WEIR_FOREVER : weir_after(WEIR_US(50));
        int err = weir_semaphore_acquire_until(&crowd->sem, (uint32_t)n, NULL, deadline);
        if (err == -ETIMEDOUT) {
            atomic_fetch_add(&crowd->timeouts, 1);
            continue;
        }
        if (err != 0 || atomic_fetch_add(&crowd->out, n) + n > PERMITS)
            atomic_fetch_add(&crowd->errors, 1);
        atomic_fetch_sub(&crowd->out, n);
        weir_semaphore_release(&crowd->sem, (uint32_t)n);
    }
    return 0;
}

START_TEST(threads_that_take_give_and_time_out_never_have_too_many_and_lose_none)
{
    struct crowd crowd = {.out = 0};
    init(&crowd.sem, PERMITS);
    struct member members[THREADS];
    caller threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        members[i] = (struct member){&crowd, i + 1};
        caller_start(&threads[i], use_permits, &members[i]);
    }
    for (int i = 0; i < THREADS; i++)
        ck_assert_int_eq(caller_join(&threads[i]), 0);
    ck_assert_int_eq(atomic_load(&crowd.errors), 0);
    ck_assert_uint_eq(free_now(&crowd.sem), PERMITS);
    weir_semaphore_destroy(&crowd.sem);
}
END_TEST

static int release_one(void *sem)
{
    weir_semaphore_release(sem, 1);
    return 0;
}

START_TEST(whoever_acquired_may_destroy_it_at_once)
{
    for (int round = 0; round < 300; round++) {
        weir_semaphore *sem = malloc(sizeof *sem);
        ck_assert_ptr_nonnull(sem);
        init(sem, 1);
        ck_assert_int_eq(weir_semaphore_acquire(sem, 1), 0);
        caller releaser;
        caller_start(&releaser, release_one, sem);
        int err = weir_semaphore_acquire(sem, 1);
        weir_semaphore_destroy(sem);
        free(sem);
        ck_assert_int_eq(err, 0);
        ck_assert_int_eq(caller_join(&releaser), 0);
    }
}
END_TEST

struct message {
    weir_semaphore sem;
    int written;
};

static int write_and_release(void *arg)
{
    struct message *message = arg;
    message->written++;
    weir_semaphore_release(&message->sem, 1);
    return 0;
}

START_TEST(what_came_before_a_release_is_seen_after_the_acquire)
{
    struct message message = {.written = 0};
    init(&message.sem, 1);
    ck_assert_int_eq(weir_semaphore_acquire(&message.sem, 1), 0);
    for (int round = 1; round <= 100; round++) {
        caller writer;
        caller_start(&writer, write_and_release, &message);
        ck_assert_int_eq(weir_semaphore_acquire(&message.sem, 1), 0);
        ck_assert_int_eq(message.written, round);
        ck_assert_int_eq(caller_join(&writer), 0);
    }
    weir_semaphore_destroy(&message.sem);
}
END_TEST

/* fork. */

static int use_in_child(weir_semaphore *sem)
{
    if (weir_semaphore_try_acquire(sem, 1) != -EAGAIN)
        return 1;
    weir_semaphore_release(sem, 1); /* for nobody: the waiter is in the parent */
    if (weir_semaphore_try_acquire(sem, 1) != 0 || weir_semaphore_try_acquire(sem, 1) != -EAGAIN)
        return 2;
    if (weir_semaphore_acquire_until(sem, 1, NULL, weir_after(WEIR_MS(1))) != -ETIMEDOUT)
        return 3;
    weir_semaphore_release(sem, 2);
    if (weir_semaphore_acquire(sem, 2) != 0)
        return 4;
    weir_semaphore_destroy(sem);
    return 0;
}

START_TEST(a_forked_child_goes_on_without_those_who_waited)
{
    weir_semaphore sem;
    init(&sem, 2);
    ck_assert_int_eq(weir_semaphore_acquire(&sem, 2), 0);
    struct request waiting = {0};
    queue(&waiting, &sem, 1);
    pid_t child = fork();
    if (child == 0) {
        (void)alarm(40);
        _exit(use_in_child(&sem));
    }
    int status = -1;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    weir_semaphore_release(&sem, 2);
    ck_assert_int_eq(caller_join(&waiting.thread), 0);
    weir_semaphore_release(&sem, 1);
    ck_assert_uint_eq(free_now(&sem), 2u);
    weir_semaphore_destroy(&sem);
}
END_TEST

START_TEST(a_forked_child_takes_what_was_kept_for_those_who_waited)
{
    weir_semaphore sem;
    init(&sem, 3);
    ck_assert_int_eq(weir_semaphore_acquire(&sem, 2), 0);
    struct request waiting = {0};
    queue(&waiting, &sem, 2);
    ck_assert_int_eq(weir_semaphore_try_acquire(&sem, 1), -EAGAIN);
    pid_t child = fork();
    if (child == 0) {
        (void)alarm(40);
        _exit(weir_semaphore_try_acquire(&sem, 1) == 0 ? 0 : 1);
    }
    int status = -1;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    weir_semaphore_release(&sem, 2);
    ck_assert_int_eq(caller_join(&waiting.thread), 0);
    weir_semaphore_destroy(&sem);
}
END_TEST

/* Misuse. */

static void release_null(void *arg)
{
    (void)arg;
    weir_semaphore_release(NULL, 1);
}

static void release_too_many(void *arg)
{
    (void)arg;
    weir_semaphore sem;
    (void)!weir_semaphore_init(&sem, 2);
    (void)!weir_semaphore_acquire(&sem, 1);
    weir_semaphore_release(&sem, 2);
}

static int wait_for_one(void *sem)
{
    return weir_semaphore_acquire(sem, 1);
}

static void release_too_many_beside_a_waiter(void *arg)
{
    (void)arg;
    weir_semaphore sem;
    (void)!weir_semaphore_init(&sem, 2);
    (void)!weir_semaphore_acquire(&sem, 2);
    caller waiter;
    caller_start(&waiter, wait_for_one, &sem);
    (void)caller_await_asleep(&waiter);
    weir_semaphore_release(&sem, 3);
}

static void destroy_beside_a_waiter(void *arg)
{
    (void)arg;
    weir_semaphore sem;
    (void)!weir_semaphore_init(&sem, 1);
    (void)!weir_semaphore_acquire(&sem, 1);
    caller waiter;
    caller_start(&waiter, wait_for_one, &sem);
    (void)caller_await_asleep(&waiter);
    weir_semaphore_destroy(&sem);
}

START_TEST(misuse_aborts_with_a_sentence)
{
    assert_aborts(release_null, NULL, "weir: weir_semaphore_release: the semaphore is NULL.");
    assert_aborts(release_too_many, NULL,
                  "weir: weir_semaphore_release: more permits are released than were acquired.");
    assert_aborts(release_too_many_beside_a_waiter, NULL,
                  "weir: weir_semaphore_release: more permits are released than were acquired.");
    assert_aborts(destroy_beside_a_waiter, NULL,
                  "weir: weir_semaphore_destroy: somebody waits for the semaphore.");
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("semaphore");
    TCase *contract = add_group(suite, "contract");
    tcase_add_test(contract, as_many_as_there_are_can_be_had_at_once);
    tcase_add_test(contract, the_most_permits_are_counted_exactly);
    tcase_add_test(contract, arguments_that_can_never_be_valid_are_refused_at_once);
    tcase_add_test(contract, no_permits_are_had_at_once_even_if_others_wait);
    tcase_add_test(contract, the_full_form_fails_by_context_first_and_by_deadline_last);
    TCase *blocking = add_group(suite, "blocking");
    tcase_add_test(blocking, those_who_wait_are_served_in_the_order_of_arrival);
    tcase_add_test(blocking, a_large_request_is_not_starved_by_small_ones);
    tcase_add_test(blocking, one_release_serves_as_many_as_fit);
    TCase *giving_up = add_group(suite, "giving up");
    tcase_add_test(giving_up, a_large_request_that_is_cancelled_lets_those_behind_it_go_on);
    tcase_add_test(giving_up, a_large_request_that_times_out_lets_those_behind_it_go_on);
    tcase_add_test(giving_up, a_cancelled_request_is_passed_over_by_a_later_release);
    TCase *threads = add_group(suite, "threads");
    tcase_add_test(threads, threads_that_take_give_and_time_out_never_have_too_many_and_lose_none);
    tcase_add_test(threads, whoever_acquired_may_destroy_it_at_once);
    tcase_add_test(threads, what_came_before_a_release_is_seen_after_the_acquire);
    TCase *fork_group = add_group(suite, "fork");
    tcase_add_test(fork_group, a_forked_child_goes_on_without_those_who_waited);
    tcase_add_test(fork_group, a_forked_child_takes_what_was_kept_for_those_who_waited);
    TCase *misuse = add_group(suite, "misuse");
    tcase_add_test(misuse, misuse_aborts_with_a_sentence);
    return suite;
}
