/* SPDX-License-Identifier: MIT */
/* ready.c - waits for descriptors: pipes, sockets, files, and what is wrong. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/pools.h"
#include "support/suite.h"
#include "support/threads.h"
#include "weir.h"

enum { BOTH = WEIR_READABLE | WEIR_WRITABLE };

struct ends {
    int read, write;
};

static struct ends new_pipe(void)
{
    int fds[2];
    ck_assert_int_eq(pipe(fds), 0);
    return (struct ends){fds[0], fds[1]};
}

static void close_pipe(struct ends ends)
{
    (void)close(ends.read);
    (void)close(ends.write);
}

static void put(struct ends ends)
{
    ck_assert_int_eq((int)write(ends.write, "x", 1), 1);
}

static void fill(struct ends ends)
{
    static const char page[4096];
    ck_assert_int_eq(fcntl(ends.write, F_SETFL, O_NONBLOCK), 0);
    while (write(ends.write, page, sizeof page) > 0)
        continue;
}

struct wait {
    int fd;
    unsigned events;
    weir_context *ctx;
    int64_t deadline;
};

static int wait_ready(void *arg)
{
    const struct wait *wait = arg;
    return weir_wait_ready_until(wait->fd, wait->events, wait->ctx, wait->deadline);
}

static weir_context *new_context(void)
{
    weir_context *ctx = NULL;
    ck_assert_int_eq(weir_context_new(&ctx, NULL, WEIR_FOREVER), 0);
    return ctx;
}

START_TEST(what_is_ready_is_told)
{
    struct ends ends = new_pipe();
    ck_assert_int_eq(weir_try_wait_ready(ends.read, WEIR_READABLE), -EAGAIN);
    ck_assert_int_eq(weir_try_wait_ready(ends.write, WEIR_WRITABLE), WEIR_WRITABLE);
    put(ends);
    ck_assert_int_eq(weir_try_wait_ready(ends.read, WEIR_READABLE), WEIR_READABLE);
    ck_assert_int_eq(weir_wait_ready(ends.read, WEIR_READABLE), WEIR_READABLE);
    close_pipe(ends);
    int pair[2];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    ck_assert_int_eq(weir_wait_ready(pair[0], BOTH), WEIR_WRITABLE);
    ck_assert_int_eq((int)write(pair[1], "x", 1), 1);
    ck_assert_int_eq(weir_wait_ready(pair[0], BOTH), BOTH);
    (void)close(pair[0]);
    (void)close(pair[1]);
}
END_TEST

START_TEST(the_end_of_a_pipe_is_ready)
{
    struct ends ends = new_pipe();
    (void)close(ends.write);
    ck_assert_int_eq(weir_wait_ready(ends.read, WEIR_READABLE), WEIR_READABLE);
    (void)close(ends.read);
    ends = new_pipe();
    fill(ends);
    ck_assert_int_eq(weir_try_wait_ready(ends.write, WEIR_WRITABLE), -EAGAIN);
    (void)close(ends.read); /* a write would fail, and not block */
    ck_assert_int_eq(weir_wait_ready(ends.write, WEIR_WRITABLE), WEIR_WRITABLE);
    (void)close(ends.write);
}
END_TEST

START_TEST(a_regular_file_is_always_ready)
{
    FILE *file = tmpfile();
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(weir_wait_ready(fileno(file), BOTH), BOTH);
    (void)fclose(file);
}
END_TEST

START_TEST(a_blocked_wait_ends_when_the_descriptor_is_ready)
{
    weir_context *ctx = new_context();
    for (int with = 0; with < 2; with++) {
        struct ends ends = new_pipe();
        struct wait wait = {ends.read, WEIR_READABLE, with ? ctx : NULL, patience()};
        caller first, second;
        caller_start(&first, wait_ready, &wait);
        caller_start(&second, wait_ready, &wait);
        ck_assert(caller_await_asleep(&first));
        ck_assert(caller_await_asleep(&second));
        put(ends);
        ck_assert_int_eq(caller_join(&first), WEIR_READABLE);
        ck_assert_int_eq(caller_join(&second), WEIR_READABLE);
        close_pipe(ends);
    }
    weir_context_unref(ctx);
}
END_TEST

START_TEST(cancel_wakes_a_wait)
{
    weir_context *parent = new_context(), *ctx = NULL;
    ck_assert_int_eq(weir_context_new(&ctx, parent, WEIR_FOREVER), 0);
    struct ends ends = new_pipe();
    struct wait wait = {ends.read, WEIR_READABLE, ctx, WEIR_FOREVER};
    caller waiter;
    caller_start(&waiter, wait_ready, &wait);
    ck_assert(caller_await_asleep(&waiter));
    weir_context_cancel(parent, 0);
    ck_assert_int_eq(caller_join(&waiter), -ECANCELED);
    put(ends); /* a cancelled context fails first */
    ck_assert_int_eq(wait_ready(&wait), -ECANCELED);
    close_pipe(ends);
    weir_context_unref(ctx);
    weir_context_unref(parent);
}
END_TEST

START_TEST(deadlines_end_a_wait)
{
    struct ends ends = new_pipe();
    weir_context *live = new_context(), *timed = NULL;
    ck_assert_int_eq(weir_context_new(&timed, NULL, weir_after(WEIR_MS(2))), 0);
    struct wait waits[] = {
        {ends.read, WEIR_READABLE, NULL, weir_after(WEIR_MS(2))},
        {ends.read, WEIR_READABLE, live, weir_after(WEIR_MS(2))},
        {ends.read, WEIR_READABLE, timed, WEIR_FOREVER},
        {ends.read, WEIR_READABLE, NULL, 0},
        {ends.read, WEIR_READABLE, NULL, INT64_MIN},
    };
    for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
        ck_assert_int_eq(wait_ready(&waits[i]), -ETIMEDOUT);
        ck_assert(waits[i].deadline == WEIR_FOREVER || weir_now() >= waits[i].deadline);
    }
    put(ends);
    ck_assert_int_eq(weir_wait_ready_until(ends.read, WEIR_READABLE, NULL, 0), WEIR_READABLE);
    close_pipe(ends);
    weir_context_unref(live);
    weir_context_unref(timed);
}
END_TEST

static int wait_in_task(weir_context *ctx, void *arg)
{
    return weir_wait_ready_until(*(int *)arg, WEIR_READABLE, ctx, WEIR_FOREVER);
}

START_TEST(a_task_that_waits_is_cancelled)
{
    struct ends ends = new_pipe();
    weir_pool *pool = new_pool(1, 1);
    weir_task task = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, wait_in_task, &ends.read, NULL), 0);
    while (weir_task_cancel(&task) == 0) /* it had not started */
        ck_assert_int_eq(weir_pool_submit_task(pool, &task, wait_in_task, &ends.read, NULL), 0);
    ck_assert_int_eq(weir_task_wait_until(&task, NULL, patience()), 0);
    ck_assert_int_eq(weir_task_status(&task), -ECANCELED);
    weir_pool_free(pool);
    close_pipe(ends);
}
END_TEST

START_TEST(wrong_arguments_are_refused)
{
    struct ends ends = new_pipe();
    ck_assert_int_eq(weir_try_wait_ready(ends.read, 0), -EINVAL);
    ck_assert_int_eq(weir_wait_ready(ends.read, 4), -EINVAL);
    ck_assert_int_eq(weir_wait_ready(ends.read, ~0u), -EINVAL);
    ck_assert_int_eq(weir_wait_ready(-1, WEIR_READABLE), -EBADF);
    ck_assert_int_eq(weir_try_wait_ready(INT_MIN, WEIR_READABLE), -EBADF);
    close_pipe(ends);
    ck_assert_int_eq(weir_wait_ready(ends.read, WEIR_READABLE), -EBADF);
    weir_context *ctx = new_context();
    ck_assert_int_eq(weir_wait_ready_until(ends.read, WEIR_READABLE, ctx, WEIR_FOREVER), -EBADF);
    weir_context_unref(ctx);
}
END_TEST

/* All descriptors are in use: only a wait that blocks with a context needs one. */
START_TEST(a_wait_without_a_free_descriptor_fails)
{
    struct ends ends = new_pipe();
    weir_context *ctx = new_context();
    struct rlimit limit, low;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    low = limit;
    int next = dup(ends.read);
    ck_assert_int_ge(next, 0);
    (void)close(next);
    low.rlim_cur = (rlim_t)next;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &low), 0);
    int64_t soon = weir_after(WEIR_MS(1));
    int with = weir_wait_ready_until(ends.read, WEIR_READABLE, ctx, soon);
    int without = weir_wait_ready_until(ends.read, WEIR_READABLE, NULL, soon);
    int ready = weir_wait_ready_until(ends.write, WEIR_WRITABLE, ctx, soon);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    ck_assert_int_eq(with, -EMFILE);
    ck_assert_int_eq(without, -ETIMEDOUT);
    ck_assert_int_eq(ready, WEIR_WRITABLE);
    close_pipe(ends);
    weir_context_unref(ctx);
}
END_TEST

static void nothing(int number)
{
    (void)number;
}

START_TEST(a_wait_goes_on_after_a_signal)
{
    struct sigaction action = {.sa_handler = nothing};
    ck_assert_int_eq(sigaction(SIGUSR1, &action, NULL), 0);
    weir_context *ctx = new_context();
    struct ends ends = new_pipe();
    struct wait wait = {ends.read, WEIR_READABLE, ctx, patience()};
    caller waiter;
    caller_start(&waiter, wait_ready, &wait);
    for (int i = 0; i < 50; i++) {
        ck_assert(caller_await_asleep(&waiter));
        (void)pthread_kill(waiter.thread, SIGUSR1);
    }
    ck_assert(caller_await_asleep(&waiter));
    put(ends);
    ck_assert_int_eq(caller_join(&waiter), WEIR_READABLE);
    close_pipe(ends);
    weir_context_unref(ctx);
}
END_TEST

START_TEST(a_child_process_waits_too)
{
    struct ends ends = new_pipe();
    weir_context *ctx = new_context();
    put(ends);
    pid_t child = fork();
    if (child == 0) {
        int ready = weir_wait_ready_until(ends.read, WEIR_READABLE, ctx, WEIR_FOREVER);
        int late = weir_wait_ready_until(ends.write, WEIR_READABLE, ctx, weir_after(WEIR_MS(1)));
        weir_context_unref(ctx); /* else memcheck calls it lost */
        _exit(ready == WEIR_READABLE && late == -ETIMEDOUT ? 0 : 1);
    }
    int status = -1;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    close_pipe(ends);
    weir_context_unref(ctx);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("ready");
    TCase *contract = add_group(suite, "contract");
    tcase_add_test(contract, what_is_ready_is_told);
    tcase_add_test(contract, the_end_of_a_pipe_is_ready);
    tcase_add_test(contract, a_regular_file_is_always_ready);
    TCase *blocking = add_group(suite, "blocking");
    tcase_add_test(blocking, a_blocked_wait_ends_when_the_descriptor_is_ready);
    tcase_add_test(blocking, cancel_wakes_a_wait);
    tcase_add_test(blocking, deadlines_end_a_wait);
    tcase_add_test(blocking, a_task_that_waits_is_cancelled);
    TCase *misuse = add_group(suite, "misuse");
    tcase_add_test(misuse, wrong_arguments_are_refused);
    tcase_add_test(misuse, a_wait_without_a_free_descriptor_fails);
    tcase_add_test(misuse, a_wait_goes_on_after_a_signal);
    tcase_add_test(misuse, a_child_process_waits_too);
    return suite;
}
