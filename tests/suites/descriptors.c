/* SPDX-License-Identifier: MIT */
/* descriptors.c - tasks that start when a descriptor is ready. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#endif

#include "support/pools.h"
#include "support/suite.h"
#include "support/threads.h"
#include "weir.h"

enum { BOTH = WEIR_READABLE | WEIR_WRITABLE, PLACES = 4 };

/* poll() is given numbers, epoll keeps the files that they named. */
enum { FILES_ARE_KNOWN = WEIR_TESTS_EPOLL };

/* ThreadSanitizer sees a race when a descriptor is closed while the wait for it ends. */
enum { RACES_ARE_SEEN = !CHILDREN_HAVE_THREADS };

static weir_pool *new_pool_with(unsigned workers, unsigned capacity, weir_overflow overflow)
{
    return new_pool_as(WEIR_POOL_OPTIONS(.workers = workers, .capacity = capacity,
                                         .overflow = overflow, .descriptors = PLACES));
}

static weir_context *new_context(int64_t deadline)
{
    weir_context *ctx = NULL;
    ck_assert_int_eq(weir_context_new(&ctx, NULL, deadline), 0);
    return ctx;
}

static void new_pair(int pair[2])
{
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
}

static void close_pair(const int pair[2])
{
    (void)close(pair[0]);
    (void)close(pair[1]);
}

static void put(int fd)
{
    ck_assert_int_eq((int)write(fd, "x", 1), 1);
}

static void take(int fd)
{
    char byte;
    ck_assert_int_eq((int)read(fd, &byte, 1), 1);
}

static int submit_read(weir_pool *pool, weir_task *task, int fd, counter *ran)
{
    return weir_pool_submit_when(pool, task, fd, WEIR_READABLE, counter_task, ran, NULL);
}

static weir_state end_of(weir_task *task)
{
    ck_assert_int_eq(weir_task_wait_until(task, NULL, patience()), 0);
    return weir_task_state(task);
}

/* By what a task expires. */
enum limit { BY_DEADLINE, BY_START_BY, BY_CONTEXTS_DEADLINE, LIMITS };

static int submit_until(weir_pool *pool, weir_task *task, int fd, counter *ran, enum limit limit,
                        int64_t at)
{
    weir_context *ctx = limit == BY_CONTEXTS_DEADLINE ? new_context(at) : NULL;
    int err =
        weir_pool_submit_when_until(pool, task, fd, WEIR_READABLE, counter_task, ran,
                                    WEIR_TASK_OPTIONS(.start_by = limit == BY_START_BY ? at : 0),
                                    ctx, limit == BY_DEADLINE ? at : WEIR_FOREVER);
    weir_context_unref(ctx);
    return err;
}

/* It expires soon, but not before it is accepted. */
static void submit_to_expire(weir_pool *pool, weir_task *task, int fd, counter *ran,
                             enum limit limit)
{
    int err = -ETIMEDOUT;
    for (int64_t span = WEIR_MS(2); err == -ETIMEDOUT; span *= 2)
        err = submit_until(pool, task, fd, ran, limit, weir_after(span));
    ck_assert_int_eq(err, 0);
}

static void fill(int fd)
{
    static char page[4096];
    while (send(fd, page, sizeof page, MSG_DONTWAIT) > 0)
        continue;
}

static void empty(int fd)
{
    static char page[4096];
    while (recv(fd, page, sizeof page, MSG_DONTWAIT) > 0)
        continue;
}

static uint64_t delayed(const weir_pool *pool)
{
    weir_pool_counts counts;
    weir_pool_read_counts(pool, &counts);
    return counts.delayed;
}

/* Contract. */

START_TEST(a_task_starts_when_its_descriptor_is_ready)
{
    weir_pool *pool = new_pool_with(1, 4, WEIR_OVERFLOW_BLOCK);
    counter ran = COUNTER_INIT;
    int pair[2];
    new_pair(pair);
    weir_task task = WEIR_TASK_INIT;
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(submit_read(pool, &task, pair[0], &ran), 0);
        ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_QUEUED);
        ck_assert_uint_eq(delayed(pool), 1);
        put(pair[1]);
        ck_assert_int_eq(end_of(&task), WEIR_TASK_DONE);
        ck_assert_uint_eq(delayed(pool), 0);
        take(pair[0]);
    }
    put(pair[1]); /* ready before it is asked for, and nobody takes it */
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(submit_read(pool, &task, pair[0], &ran), 0);
        ck_assert_int_eq(end_of(&task), WEIR_TASK_DONE);
    }
    ck_assert_uint_eq(counter_get(&ran), 6);
    finish_pool(pool);
    close_pair(pair);
}
END_TEST

START_TEST(a_reader_and_a_writer_wait_for_one_descriptor)
{
    weir_pool *pool = new_pool_with(2, 4, WEIR_OVERFLOW_BLOCK);
    counter read_ran = COUNTER_INIT, write_ran = COUNTER_INIT;
    int pair[2];
    new_pair(pair);
    fill(pair[0]);
    weir_task reader = WEIR_TASK_INIT, writer = WEIR_TASK_INIT, third = WEIR_TASK_INIT;
    ck_assert_int_eq(submit_read(pool, &reader, pair[0], &read_ran), 0);
    ck_assert_int_eq(weir_pool_submit_when(pool, &writer, pair[0], WEIR_WRITABLE, counter_task,
                                           &write_ran, NULL),
                     0);
    for (unsigned events = 1; events <= BOTH; events++)
        ck_assert_int_eq(
            weir_pool_submit_when(pool, &third, pair[0], events, counter_task, &read_ran, NULL),
            -EBUSY);
    ck_assert_int_eq(weir_task_state(&third), WEIR_TASK_IDLE);
    if (_i == 0) {
        put(pair[1]);
        ck_assert_int_eq(end_of(&reader), WEIR_TASK_DONE);
        ck_assert_int_eq(weir_task_state(&writer), WEIR_TASK_QUEUED);
        empty(pair[1]);
    } else {
        empty(pair[1]);
        ck_assert_int_eq(end_of(&writer), WEIR_TASK_DONE);
        ck_assert_int_eq(weir_task_state(&reader), WEIR_TASK_QUEUED);
        put(pair[1]);
    }
    ck_assert_int_eq(end_of(&reader), WEIR_TASK_DONE);
    ck_assert_int_eq(end_of(&writer), WEIR_TASK_DONE);
    ck_assert_uint_eq(counter_get(&read_ran), 1);
    ck_assert_uint_eq(counter_get(&write_ran), 1);
    finish_pool(pool);
    close_pair(pair);
}
END_TEST

START_TEST(one_pool_at_a_time_waits_for_an_event_of_a_descriptor)
{
    weir_pool *pools[2];
    counter ran = COUNTER_INIT;
    int pair[2];
    new_pair(pair);
    for (int i = 0; i < 2; i++)
        pools[i] = new_pool_with(1, 4, WEIR_OVERFLOW_BLOCK);
    weir_task first = WEIR_TASK_INIT, second = WEIR_TASK_INIT;
    ck_assert_int_eq(submit_read(pools[0], &first, pair[0], &ran), 0);
    ck_assert_int_eq(submit_read(pools[1], &second, pair[0], &ran), -EBUSY);
    ck_assert_int_eq(weir_task_state(&second), WEIR_TASK_IDLE);
    ck_assert_uint_eq(delayed(pools[1]), 0);
    ck_assert_int_eq(
        weir_pool_submit_when(pools[1], &second, pair[0], WEIR_WRITABLE, counter_task, &ran, NULL),
        0);
    ck_assert_int_eq(end_of(&second), WEIR_TASK_DONE);
    ck_assert_int_eq(weir_task_state(&first), WEIR_TASK_QUEUED);
    if (_i == 0) {
        put(pair[1]);
        ck_assert_int_eq(end_of(&first), WEIR_TASK_DONE);
        take(pair[0]);
    } else {
        ck_assert_int_eq(weir_task_cancel(&first), 0);
    }
    ck_assert_int_eq(submit_read(pools[1], &second, pair[0], &ran), 0);
    ck_assert_int_eq(weir_task_state(&second), WEIR_TASK_QUEUED);
    put(pair[1]);
    ck_assert_int_eq(end_of(&second), WEIR_TASK_DONE);
    ck_assert_uint_eq(counter_get(&ran), _i == 0 ? 3 : 2);
    finish_pool(pools[0]);
    finish_pool(pools[1]);
    close_pair(pair);
}
END_TEST

START_TEST(two_numbers_of_one_file_are_two_descriptors)
{
    weir_pool *pool = new_pool_with(1, 4, WEIR_OVERFLOW_BLOCK);
    counter ran = COUNTER_INIT;
    int pair[2];
    new_pair(pair);
    int other = dup(pair[0]);
    weir_task tasks[2] = {WEIR_TASK_INIT, WEIR_TASK_INIT};
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(submit_read(pool, &tasks[0], pair[0], &ran), 0);
        ck_assert_int_eq(submit_read(pool, &tasks[1], other, &ran), 0);
        if (i == 1)
            (void)close(other); /* it is not the number that is waited for, but the file */
        put(pair[1]);
        ck_assert_int_eq(end_of(&tasks[0]), WEIR_TASK_DONE);
        ck_assert_int_eq(end_of(&tasks[1]),
                         i == 1 && !FILES_ARE_KNOWN ? WEIR_TASK_CANCELLED : WEIR_TASK_DONE);
        take(pair[0]);
    }
    ck_assert_uint_eq(counter_get(&ran), FILES_ARE_KNOWN ? 4 : 3);
    ck_assert_int_eq(submit_read(pool, &tasks[1], other, &ran), -EBADF);
    finish_pool(pool);
    close_pair(pair);
}
END_TEST

static int send_byte(weir_context *ctx, void *arg)
{
    (void)ctx;
    return send(*(const int *)arg, "x", 1, MSG_NOSIGNAL) == 1 ? 0 : -errno;
}

START_TEST(a_hang_up_makes_a_descriptor_ready)
{
    weir_pool *pool = new_pool_with(1, 4, WEIR_OVERFLOW_BLOCK);
    counter ran = COUNTER_INIT;
    int pair[2];
    new_pair(pair);
    fill(pair[0]);
    weir_task reader = WEIR_TASK_INIT, writer = WEIR_TASK_INIT;
    ck_assert_int_eq(submit_read(pool, &reader, pair[0], &ran), 0);
    ck_assert_int_eq(
        weir_pool_submit_when(pool, &writer, pair[0], WEIR_WRITABLE, send_byte, &pair[0], NULL), 0);
    ck_assert_int_eq(weir_task_state(&writer), WEIR_TASK_QUEUED);
    (void)close(pair[1]); /* with bytes that nobody has read */
    ck_assert_int_eq(end_of(&reader), WEIR_TASK_DONE);
    ck_assert_int_eq(end_of(&writer), WEIR_TASK_FAILED);
    int status = weir_task_status(&writer);
    ck_assert(status == -EPIPE || status == -ECONNRESET);
    ck_assert_uint_eq(counter_get(&ran), 1);
    finish_pool(pool);
    (void)close(pair[0]);
}
END_TEST

struct echo {
    weir_pool *pool;
    weir_task task;
    int fd;
    unsigned left;
    int err; /* 1: all rounds are over */
    counter over;
};

static int echo_byte(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct echo *echo = arg;
    char byte;
    return read(echo->fd, &byte, 1) == 1 && write(echo->fd, &byte, 1) == 1 ? 0 : -EIO;
}

static void echo_again(void *arg, weir_state end, int status)
{
    struct echo *echo = arg;
    int err = end == WEIR_TASK_DONE ? status : -ECANCELED;
    if (err == 0 && --echo->left > 0)
        err = weir_pool_submit_when(echo->pool, &echo->task, echo->fd, WEIR_READABLE, echo_byte,
                                    echo, WEIR_TASK_OPTIONS(.on_done = echo_again));
    else if (err == 0)
        err = 1;
    if (err == 0)
        return; /* the next one may run already */
    echo->err = err;
    counter_add(&echo->over, 1);
}

START_TEST(a_task_goes_on_with_its_descriptor_from_on_done)
{
    enum { ROUNDS = 300 };
    weir_pool *pool = new_pool_with(2, 4, WEIR_OVERFLOW_BLOCK);
    int pair[2];
    new_pair(pair);
    struct echo echo = {.pool = pool, .fd = pair[0], .left = ROUNDS, .over = COUNTER_INIT};
    ck_assert_int_eq(weir_pool_submit_when(pool, &echo.task, pair[0], WEIR_READABLE, echo_byte,
                                           &echo, WEIR_TASK_OPTIONS(.on_done = echo_again)),
                     0);
    for (int i = 0; i < ROUNDS; i++) {
        put(pair[1]);
        take(pair[1]);
    }
    counter_await(&echo.over, 1);
    ck_assert_int_eq(echo.err, 1);
    finish_pool(pool);
    close_pair(pair);
}
END_TEST

#ifdef __linux__
START_TEST(events_times_and_processes_are_descriptors)
{
    weir_pool *pool = new_pool_with(1, 4, WEIR_OVERFLOW_BLOCK);
    counter ran = COUNTER_INIT;
    int event = eventfd(0, EFD_CLOEXEC), timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    ck_assert(event >= 0 && timer >= 0);
    weir_task tasks[3] = {WEIR_TASK_INIT, WEIR_TASK_INIT, WEIR_TASK_INIT};
    ck_assert_int_eq(submit_read(pool, &tasks[0], event, &ran), 0);
    ck_assert_int_eq(submit_read(pool, &tasks[1], timer, &ran), 0);
    ck_assert_int_eq(eventfd_write(event, 1), 0);
    ck_assert_int_eq(end_of(&tasks[0]), WEIR_TASK_DONE);
    ck_assert_int_eq(weir_task_state(&tasks[1]), WEIR_TASK_QUEUED);
    struct itimerspec soon = {.it_value.tv_nsec = 1000000};
    ck_assert_int_eq(timerfd_settime(timer, 0, &soon, NULL), 0);
    ck_assert_int_eq(end_of(&tasks[1]), WEIR_TASK_DONE);
    int hold[2];
    new_pair(hold);
    pid_t child = fork();
    if (child == 0) {
        char byte;
        (void)!read(hold[0], &byte, 1);
        _exit(0);
    }
    int process = (int)syscall(SYS_pidfd_open, child, 0);
    if (process >= 0) { /* valgrind and old kernels have none */
        ck_assert_int_eq(submit_read(pool, &tasks[2], process, &ran), 0);
        ck_assert_int_eq(weir_task_state(&tasks[2]), WEIR_TASK_QUEUED);
    }
    put(hold[1]);
    if (process >= 0) {
        ck_assert_int_eq(end_of(&tasks[2]), WEIR_TASK_DONE);
        (void)close(process);
    }
    ck_assert_int_eq(waitpid(child, NULL, 0), child);
    finish_pool(pool);
    close_pair(hold);
    (void)close(event);
    (void)close(timer);
}
END_TEST
#endif

/* How a wait ends otherwise. */

START_TEST(a_task_whose_descriptor_is_not_ready_in_time_expires)
{
    weir_pool *pool = new_pool_with(1, 4, WEIR_OVERFLOW_BLOCK);
    counter ran = COUNTER_INIT;
    int pair[2];
    new_pair(pair);
    weir_task task = WEIR_TASK_INIT;
    submit_to_expire(pool, &task, pair[0], &ran, (enum limit)_i);
    ck_assert_int_eq(end_of(&task), WEIR_TASK_EXPIRED);
    ck_assert_int_eq(submit_until(pool, &task, pair[0], &ran, (enum limit)_i, weir_now()),
                     -ETIMEDOUT);
    ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_EXPIRED);
    ck_assert_uint_eq(counter_get(&ran), 0);
    finish_pool(pool);
    close_pair(pair);
}
END_TEST

START_TEST(cancels_end_a_wait_at_once)
{
    weir_pool *pool = new_pool_with(1, 4, WEIR_OVERFLOW_BLOCK);
    counter ran = COUNTER_INIT;
    int pair[2];
    new_pair(pair);
    weir_task task = WEIR_TASK_INIT;
    for (int i = 0; i < 2 * PLACES; i++) { /* the place is free again */
        ck_assert_int_eq(submit_read(pool, &task, pair[0], &ran), 0);
        ck_assert_int_eq(weir_task_cancel(&task), 0);
        ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_CANCELLED);
    }
    weir_context *ctx = new_context(WEIR_FOREVER);
    ck_assert_int_eq(weir_pool_submit_when_until(pool, &task, pair[0], WEIR_READABLE, counter_task,
                                                 &ran, NULL, ctx, WEIR_FOREVER),
                     0);
    weir_context_cancel(ctx, 0);
    ck_assert_int_eq(end_of(&task), WEIR_TASK_CANCELLED);
    ck_assert_int_eq(weir_pool_submit_when_until(pool, &task, pair[0], WEIR_READABLE, counter_task,
                                                 &ran, NULL, ctx, WEIR_FOREVER),
                     -ECANCELED);
    put(pair[1]);
    ck_assert_int_eq(submit_read(pool, &task, pair[0], &ran), 0);
    ck_assert_int_eq(end_of(&task), WEIR_TASK_DONE);
    ck_assert_uint_eq(counter_get(&ran), 1);
    weir_context_unref(ctx);
    finish_pool(pool);
    close_pair(pair);
}
END_TEST

/* What of a pool ends the wait. */
enum ender { BY_DRAIN, BY_CLOSE, BY_SHUTDOWN, BY_CANCEL_QUEUED, BY_CONTEXT, ENDERS };

START_TEST(the_end_of_the_pool_ends_a_wait)
{
    weir_context *above = new_context(WEIR_FOREVER);
    weir_pool *pool = NULL;
    ck_assert_int_eq(weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .descriptors = PLACES,
                                                            .context = above)),
                     0);
    counter ran = COUNTER_INIT;
    int pair[2];
    new_pair(pair);
    weir_task task = WEIR_TASK_INIT;
    ck_assert_int_eq(submit_read(pool, &task, pair[0], &ran), 0);
    weir_state end = WEIR_TASK_CANCELLED;
    weir_shutdown_report report;
    switch (_i) {
    case BY_DRAIN: /* it waits */
        ck_assert_int_eq(weir_pool_drain_until(pool, NULL, weir_after(WEIR_MS(5))), -ETIMEDOUT);
        put(pair[1]);
        ck_assert_int_eq(weir_pool_drain(pool), 0);
        end = WEIR_TASK_DONE;
        break;
    case BY_CLOSE: /* it is still to come */
        weir_pool_close(pool);
        weir_task late = WEIR_TASK_INIT;
        ck_assert_int_eq(submit_read(pool, &late, pair[1], &ran), -EPIPE);
        put(pair[1]);
        end = WEIR_TASK_DONE;
        break;
    case BY_SHUTDOWN:
        ck_assert_int_eq(weir_pool_shutdown(pool, 0, patience(), &report), 0);
        ck_assert_uint_eq(report.cancelled, 1);
        break;
    case BY_CANCEL_QUEUED:
        weir_pool_cancel_queued(pool);
        break;
    default:
        weir_context_cancel(above, 0);
    }
    ck_assert_int_eq(end_of(&task), end);
    ck_assert_uint_eq(counter_get(&ran), end == WEIR_TASK_DONE);
    weir_pool_free(pool);
    weir_context_unref(above);
    close_pair(pair);
}
END_TEST

START_TEST(a_ready_task_is_not_refused_by_a_full_queue)
{
    weir_pool *pool = new_pool_with(1, 1, WEIR_OVERFLOW_REJECT);
    counter ran = COUNTER_INIT;
    gate hold = GATE_INIT;
    saturate(pool, &hold, 1);
    ck_assert_int_eq(weir_pool_submit(pool, counter_task, &ran), 0);
    int pairs[2][2];
    weir_task tasks[2] = {WEIR_TASK_INIT, WEIR_TASK_INIT};
    for (int i = 0; i < 2; i++) {
        new_pair(pairs[i]);
        ck_assert_int_eq(submit_read(pool, &tasks[i], pairs[i][0], &ran), 0);
        put(pairs[i][1]);
    }
    ck_assert_int_eq(weir_pool_submit(pool, counter_task, &ran), -EAGAIN);
    gate_open(&hold);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(end_of(&tasks[i]), WEIR_TASK_DONE);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    ck_assert_uint_eq(counter_get(&ran), 3);
    finish_pool(pool);
    close_pair(pairs[0]);
    close_pair(pairs[1]);
}
END_TEST

struct inside {
    weir_pool *pool;
    int fd, other;
    counter ran;
    int err;
    weir_state end;
};

static int wait_inside(weir_context *ctx, void *arg)
{
    struct inside *self = arg;
    weir_task task = WEIR_TASK_INIT;
    self->err = submit_read(self->pool, &task, self->fd, &self->ran);
    counter_add(&self->ran, 1);
    if (self->err == 0)
        self->err = weir_task_wait_until(&task, ctx, WEIR_FOREVER);
    self->end = weir_task_state(&task);
    return 0;
}

START_TEST(the_only_worker_runs_what_it_waits_for)
{
    weir_pool *pool = new_pool_with(1, 1, WEIR_OVERFLOW_BLOCK);
    int pair[2];
    new_pair(pair);
    struct inside self = {.pool = pool, .fd = pair[0], .ran = COUNTER_INIT};
    ck_assert_int_eq(weir_pool_submit(pool, wait_inside, &self), 0);
    counter_await(&self.ran, 1);
    put(pair[1]);
    counter_await(&self.ran, 2);
    finish_pool(pool);
    ck_assert_int_eq(self.err, 0);
    ck_assert_int_eq(self.end, WEIR_TASK_DONE);
    close_pair(pair);
}
END_TEST

/* Misuse, limits. */

START_TEST(wrong_arguments_are_refused)
{
    weir_pool *pool = new_pool_with(1, 4, WEIR_OVERFLOW_BLOCK), *without = new_pool(1, 4);
    counter ran = COUNTER_INIT;
    int pair[2];
    new_pair(pair);
    weir_task task = WEIR_TASK_INIT;
    weir_gate way;
    ck_assert_int_eq(weir_gate_init(&way, NULL), 0);
    ck_assert_int_eq(submit_read(NULL, &task, pair[0], &ran), -EINVAL);
    ck_assert_int_eq(submit_read(pool, NULL, pair[0], &ran), -EINVAL);
    ck_assert_int_eq(weir_pool_submit_when(pool, &task, pair[0], WEIR_READABLE, NULL, NULL, NULL),
                     -EINVAL);
    static const unsigned wrong[] = {0, 4, 4 | WEIR_READABLE, UINT_MAX};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        ck_assert_int_eq(
            weir_pool_submit_when(pool, &task, pair[0], wrong[i], counter_task, &ran, NULL),
            -EINVAL);
    ck_assert_int_eq(submit_read(NULL, &task, -1, &ran), -EINVAL); /* before it is looked at */
    ck_assert_int_eq(submit_read(pool, NULL, -1, &ran), -EINVAL);
    ck_assert_int_eq(weir_pool_submit_when(pool, &task, -1, WEIR_READABLE, counter_task, &ran,
                                           WEIR_TASK_OPTIONS(.gate = &way)),
                     -EINVAL);
    ck_assert_int_eq(submit_until(pool, &task, -1, &ran, BY_DEADLINE, weir_now()), -ETIMEDOUT);
    ck_assert_int_eq(submit_read(without, &task, -1, &ran), -EAGAIN);
    ck_assert_int_eq(submit_read(pool, &task, -1, &ran), -EBADF);
    ck_assert_int_eq(submit_read(pool, &task, INT_MIN, &ran), -EBADF);
    ck_assert_int_eq(submit_read(pool, &task, INT_MAX, &ran), -EBADF);
    int closed = dup(pair[0]);
    (void)close(closed);
    ck_assert_int_eq(submit_read(pool, &task, closed, &ran), -EBADF);
    FILE *file = tmpfile();
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(submit_read(pool, &task, fileno(file), &ran), -EPERM);
    (void)fclose(file);
    int directory = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert_int_ge(directory, 0);
    ck_assert_int_eq(submit_read(pool, &task, directory, &ran), -EPERM);
    (void)close(directory);
    ck_assert_int_eq(weir_pool_submit_when(pool, &task, pair[0], WEIR_READABLE, counter_task, &ran,
                                           WEIR_TASK_OPTIONS(.gate = &way)),
                     -EINVAL);
    weir_gate_destroy(&way);
    ck_assert_int_eq(submit_read(without, &task, pair[0], &ran), -EAGAIN);
    ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_IDLE);
    ck_assert_uint_eq(delayed(pool), 0);
    weir_pool *none = NULL;
    ck_assert_int_eq(weir_pool_new(&none, WEIR_POOL_OPTIONS(.descriptors = (1U << 22) + 1)),
                     -EINVAL);
    ck_assert_str_eq(weir_pool_options_error(WEIR_POOL_OPTIONS(.descriptors = (1U << 22) + 1)),
                     "descriptors: above 2^22");
    finish_pool(without);
    finish_pool(pool);
    close_pair(pair);
}
END_TEST

#ifdef __linux__
/* Each watches the one before, as deep as the kernel lets them. */
START_TEST(an_epoll_descriptor_that_watches_too_many_deep_is_refused)
{
    enum { MANY = 16 };
    weir_pool *pool = new_pool_with(1, 4, WEIR_OVERFLOW_BLOCK);
    counter ran = COUNTER_INIT;
    struct epoll_event event = {.events = EPOLLIN};
    int pair[2], chain[MANY], n = 0, err = 0;
    new_pair(pair);
    for (int below = pair[0]; n < MANY && err == 0; below = chain[n++]) {
        chain[n] = epoll_create1(EPOLL_CLOEXEC);
        err = epoll_ctl(chain[n], EPOLL_CTL_ADD, below, &event) == 0 ? 0 : -errno;
    }
    ck_assert_int_eq(err, -ELOOP);
    weir_task tasks[2] = {WEIR_TASK_INIT, WEIR_TASK_INIT};
    ck_assert_int_eq(submit_read(pool, &tasks[0], chain[n - 2], &ran),
                     FILES_ARE_KNOWN ? -ELOOP : 0);
    ck_assert_int_eq(weir_task_state(&tasks[0]),
                     FILES_ARE_KNOWN ? WEIR_TASK_IDLE : WEIR_TASK_QUEUED);
    ck_assert_int_eq(submit_read(pool, &tasks[1], chain[0], &ran), 0);
    put(pair[1]); /* makes all of them readable */
    ck_assert_int_eq(end_of(&tasks[1]), WEIR_TASK_DONE);
    ck_assert_int_eq(weir_pool_drain_until(pool, NULL, patience()), 0);
    ck_assert_uint_eq(counter_get(&ran), FILES_ARE_KNOWN ? 1 : 2);
    finish_pool(pool);
    while (n > 0)
        (void)close(chain[--n]);
    close_pair(pair);
}
END_TEST
#endif

START_TEST(no_more_tasks_wait_than_there_are_places)
{
    weir_pool *pool = new_pool_with(1, 4, WEIR_OVERFLOW_BLOCK);
    counter ran = COUNTER_INIT;
    int pairs[PLACES + 1][2];
    weir_task tasks[PLACES + 1];
    for (int i = 0; i <= PLACES; i++) {
        new_pair(pairs[i]);
        tasks[i] = (weir_task)WEIR_TASK_INIT;
        ck_assert_int_eq(submit_read(pool, &tasks[i], pairs[i][0], &ran), i < PLACES ? 0 : -EAGAIN);
    }
    ck_assert_int_eq(submit_read(pool, &tasks[0], pairs[PLACES][0], &ran), -EBUSY); /* live */
    put(pairs[0][1]);
    ck_assert_int_eq(end_of(&tasks[0]), WEIR_TASK_DONE);
    ck_assert_int_eq(submit_read(pool, &tasks[PLACES], pairs[PLACES][0], &ran), 0);
    for (int i = 1; i <= PLACES; i++)
        ck_assert_int_eq(weir_task_cancel(&tasks[i]), 0);
    ck_assert_uint_eq(counter_get(&ran), 1);
    finish_pool(pool);
    for (int i = 0; i <= PLACES; i++)
        close_pair(pairs[i]);
}
END_TEST

/* The number of a closed descriptor is given to another file, for which a task then waits. */
START_TEST(a_task_whose_descriptor_was_closed_never_runs)
{
    weir_pool *pool = new_pool_with(1, 4, WEIR_OVERFLOW_BLOCK);
    counter old_ran = COUNTER_INIT, new_ran = COUNTER_INIT;
    int old[2], next[2];
    new_pair(old);
    new_pair(next);
    int number = dup(old[0]);
    weir_task first = WEIR_TASK_INIT, second = WEIR_TASK_INIT;
    ck_assert_int_eq(submit_read(pool, &first, number, &old_ran), 0);
    ck_assert_int_eq(dup2(next[0], number), number); /* `old` is still open, by its other number */
    int err = submit_read(pool, &second, number, &new_ran);
    if (err == -EBUSY) { /* poll() cannot tell files apart */
        ck_assert_int_eq(weir_task_cancel(&first), 0);
        err = submit_read(pool, &second, number, &new_ran);
    }
    ck_assert_int_eq(err, 0);
    ck_assert_int_eq(end_of(&first), WEIR_TASK_CANCELLED);
    put(old[1]); /* what was armed for it is told, and is not for the new one */
    ck_assert_int_eq(weir_task_wait_until(&second, NULL, weir_after(WEIR_MS(5))), -ETIMEDOUT);
    put(next[1]);
    ck_assert_int_eq(end_of(&second), WEIR_TASK_DONE);
    ck_assert_uint_eq(counter_get(&old_ran), 0);
    ck_assert_uint_eq(counter_get(&new_ran), 1);
    finish_pool(pool);
    (void)close(number);
    close_pair(old);
    close_pair(next);
}
END_TEST

/* A reader and a writer wait for it; the first event of the old file tells that it is gone. */
START_TEST(what_waits_beside_a_descriptor_that_was_closed_ends)
{
    weir_pool *pool = new_pool_with(1, 4, WEIR_OVERFLOW_BLOCK);
    counter ran = COUNTER_INIT;
    int old[2], next[2];
    new_pair(old);
    new_pair(next);
    fill(old[0]);
    int number = dup(old[0]);
    weir_task reader = WEIR_TASK_INIT, writer = WEIR_TASK_INIT;
    ck_assert_int_eq(submit_read(pool, &reader, number, &ran), 0);
    ck_assert_int_eq(
        weir_pool_submit_when(pool, &writer, number, WEIR_WRITABLE, counter_task, &ran, NULL), 0);
    ck_assert_int_eq(dup2(next[0], number), number);
    put(old[1]);
    put(next[1]); /* where there is no epoll, it is this one that is waited for now */
    ck_assert_int_eq(end_of(&reader), WEIR_TASK_DONE);
    weir_state end = end_of(&writer);
    ck_assert(end == WEIR_TASK_CANCELLED || end == WEIR_TASK_DONE);
    finish_pool(pool);
    (void)close(number);
    close_pair(old);
    close_pair(next);
}
END_TEST

/* The file may still be open by another number, and become ready when nobody waits any more. */
START_TEST(a_task_whose_descriptor_was_closed_can_be_cancelled_and_expires)
{
    bool still_open = _i % 2 == 0, expires = _i / 2 == 1;
    weir_pool *pool = new_pool_with(1, 4, WEIR_OVERFLOW_BLOCK);
    counter ran = COUNTER_INIT;
    int pair[2], next[2];
    new_pair(pair);
    new_pair(next);
    int number = dup(pair[0]);
    weir_task task = WEIR_TASK_INIT;
    if (expires)
        submit_to_expire(pool, &task, number, &ran, BY_DEADLINE);
    else
        ck_assert_int_eq(submit_read(pool, &task, number, &ran), 0);
    (void)close(number);
    if (!still_open)
        (void)close(pair[0]);
    int err = expires ? 0 : weir_task_cancel(&task);
    weir_state end = end_of(&task);
    bool told = !FILES_ARE_KNOWN && end == WEIR_TASK_CANCELLED; /* perhaps by poll() already */
    ck_assert(err == 0 || (told && err == -EALREADY));
    ck_assert(told || end == (expires ? WEIR_TASK_EXPIRED : WEIR_TASK_CANCELLED));
    ck_assert_uint_eq(delayed(pool), 0);
    ck_assert_int_eq(dup2(next[0], number), number);
    ck_assert_int_eq(submit_read(pool, &task, number, &ran), 0);
    (void)send(pair[1], "x", 1, MSG_NOSIGNAL);
    ck_assert_int_eq(weir_task_wait_until(&task, NULL, weir_after(WEIR_MS(5))), -ETIMEDOUT);
    ck_assert_uint_eq(counter_get(&ran), 0);
    put(next[1]);
    ck_assert_int_eq(end_of(&task), WEIR_TASK_DONE);
    ck_assert_uint_eq(counter_get(&ran), 1);
    finish_pool(pool);
    (void)close(number);
    (void)close(pair[1]);
    if (still_open)
        (void)close(pair[0]);
    close_pair(next);
}
END_TEST

/* That is found out by a wait for the number, though there is nothing to wait for. */
START_TEST(a_task_whose_descriptor_was_closed_ends_when_its_number_is_waited_for)
{
    weir_pool *pool = new_pool_with(1, 4, WEIR_OVERFLOW_BLOCK);
    counter ran = COUNTER_INIT;
    int pair[2];
    new_pair(pair);
    int number = dup(pair[0]);
    if (_i == 1)
        (void)close(pair[0]); /* the file is closed with its number */
    weir_task first = WEIR_TASK_INIT, second = WEIR_TASK_INIT;
    ck_assert_int_eq(submit_read(pool, &first, number, &ran), 0);
    (void)close(number);
    ck_assert_int_eq(submit_read(pool, &second, number, &ran), -EBADF);
    ck_assert_int_eq(weir_task_state(&second), WEIR_TASK_IDLE);
    ck_assert_int_eq(end_of(&first), WEIR_TASK_CANCELLED);
    ck_assert_int_eq(weir_task_status(&first), -ECANCELED);
    ck_assert_uint_eq(delayed(pool), 0);
    ck_assert_int_eq(submit_read(pool, &second, number, &ran), -EBADF);
    ck_assert_uint_eq(counter_get(&ran), 0);
    finish_pool(pool);
    if (_i == 0)
        (void)close(pair[0]);
    (void)close(pair[1]);
}
END_TEST

START_TEST(a_wait_without_a_free_descriptor_is_refused)
{
    weir_pool *pool = new_pool_with(1, 4, WEIR_OVERFLOW_BLOCK);
    counter ran = COUNTER_INIT;
    int pair[2];
    new_pair(pair);
    struct rlimit before, none;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = (struct rlimit){.rlim_cur = (rlim_t)(pair[1] + 1 + _i), .rlim_max = before.rlim_max};
    weir_task task = WEIR_TASK_INIT;
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    int err = submit_read(pool, &task, pair[0], &ran);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    if (err != 0 || _i == 0) { /* one descriptor may do, where there is no epoll */
        ck_assert_int_eq(err, -EMFILE);
        ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_IDLE);
        ck_assert_int_eq(submit_read(pool, &task, pair[0], &ran), 0);
    }
    put(pair[1]);
    ck_assert_int_eq(end_of(&task), WEIR_TASK_DONE);
    finish_pool(pool);
    close_pair(pair);
}
END_TEST

START_TEST(a_child_process_leaves_the_parents_waits_alone)
{
    weir_pool *pool = new_pool_with(1, 4, WEIR_OVERFLOW_BLOCK);
    weir_context *ctx = new_context(WEIR_FOREVER);
    counter ran = COUNTER_INIT;
    int pair[2];
    new_pair(pair);
    weir_task task = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_pool_submit_when_until(pool, &task, pair[0], WEIR_READABLE, counter_task,
                                                 &ran, NULL, ctx, WEIR_FOREVER),
                     0);
    weir_task later = WEIR_TASK_INIT;
    ck_assert_int_eq(
        weir_pool_submit_task_at(pool, &later, counter_task, &ran, NULL, weir_after(WEIR_S(1000))),
        0);
    threads_await_asleep(); /* one that begins may hold a sanitizer's lock, for the child too */
    pid_t child = fork();
    if (child == 0) {
        weir_task other = WEIR_TASK_INIT;
        bool right = submit_read(pool, &other, pair[0], &ran) == -ESTALE &&
                     submit_read(pool, &other, -1, &ran) == -ESTALE &&
                     weir_task_cancel(&task) == -ESTALE;
        weir_pool_free(pool);
        weir_context_unref(ctx);
        exit(right ? EXIT_SUCCESS : EXIT_FAILURE); /* with all that is done at exit */
    }
    int status = -1;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_QUEUED);
    put(pair[1]);
    ck_assert_int_eq(end_of(&task), WEIR_TASK_DONE);
    ck_assert_int_eq(weir_task_cancel(&later), 0);
    weir_context_unref(ctx);
    finish_pool(pool);
    close_pair(pair);
}
END_TEST

/* Fork. */

struct held {
    gate door;
    weir_task task;
    counter ran;
};

static void wait_at_door(void *arg, weir_state end, int status)
{
    (void)end;
    (void)status;
    gate_wait(&((struct held *)arg)->door);
}

static int count_held(weir_context *ctx, void *arg)
{
    return counter_task(ctx, &((struct held *)arg)->ran);
}

/* Has a task of the pool end on the thread that waits for descriptors, which stays in its on_done
 * until the door is opened. */
static void hold_the_thread(weir_pool *pool, struct held *held)
{
    counter ran = COUNTER_INIT;
    int pair[2];
    new_pair(pair);
    weir_task other = WEIR_TASK_INIT;
    *held = (struct held){.door = GATE_INIT, .task = WEIR_TASK_INIT, .ran = COUNTER_INIT};
    ck_assert_int_eq(weir_pool_submit_when(pool, &held->task, pair[0], WEIR_READABLE, count_held,
                                           held, WEIR_TASK_OPTIONS(.on_done = wait_at_door)),
                     0);
    (void)close(pair[0]);
    ck_assert_int_eq(submit_read(pool, &other, pair[0], &ran), -EBADF);
    gate_await(&held->door, 1);
    (void)close(pair[1]);
}

static bool a_new_pool_waits(void)
{
#if CHILDREN_HAVE_THREADS
    weir_pool *pool = NULL;
    weir_task task = WEIR_TASK_INIT;
    counter ran = COUNTER_INIT;
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0 ||
        weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .descriptors = 1)) != 0)
        return false;
    bool right = submit_read(pool, &task, pair[0], &ran) == 0 && write(pair[1], "x", 1) == 1 &&
                 weir_task_wait(&task) == 0 && counter_get(&ran) == 1;
    weir_pool_free(pool);
    close_pair(pair);
    return right;
#else
    return true;
#endif
}

START_TEST(a_child_process_is_forked_while_the_thread_calls_on_done)
{
    weir_pool *pool = new_pool_with(1, 4, WEIR_OVERFLOW_BLOCK);
    counter ran = COUNTER_INIT;
    int pair[2];
    new_pair(pair);
    weir_task task = WEIR_TASK_INIT;
    ck_assert_int_eq(submit_read(pool, &task, pair[0], &ran), 0);
    struct held held;
    hold_the_thread(pool, &held);
    threads_await_asleep(); /* likewise */
    pid_t child = fork();
    if (child == 0) {
        weir_task other = WEIR_TASK_INIT;
        bool right = submit_read(pool, &other, pair[0], &ran) == -ESTALE &&
                     weir_task_cancel(&task) == -ESTALE && weir_task_cancel(&held.task) == -ESTALE;
        weir_pool_free(pool);
        exit(right && a_new_pool_waits() ? EXIT_SUCCESS : EXIT_FAILURE);
    }
    int status = -1;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_QUEUED);
    gate_open(&held.door);
    ck_assert_int_eq(end_of(&held.task), WEIR_TASK_CANCELLED);
    ck_assert_uint_eq(counter_get(&held.ran), 0);
    put(pair[1]);
    ck_assert_int_eq(end_of(&task), WEIR_TASK_DONE);
    finish_pool(pool);
    close_pair(pair);
}
END_TEST

/* What the system tells of weir's threads. */

#ifdef __linux__
struct seen {
    unsigned threads, asleep;
    long one;      /* the number of one of them */
    long switches; /* of all of them, since they began */
};

static void see_thread(const char *id, const char *name, struct seen *seen)
{
    char path[300], line[256];
    (void)snprintf(path, sizeof path, "/proc/self/task/%s/status", id);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return;
    while (fgets(line, sizeof line, file) != NULL) {
        char *value = strchr(line, '\t');
        if (strncmp(line, "Name:", 5) == 0) {
            if (value == NULL || strncmp(value + 1, name, strlen(name)) != 0)
                break;
            seen->threads++;
            seen->one = strtol(id, NULL, 10);
        }
        if (strncmp(line, "State:", 6) == 0)
            seen->asleep += value != NULL && value[1] == 'S';
        if (strstr(line, "voluntary_ctxt_switches:") != NULL)
            seen->switches += strtol(strchr(line, ':') + 1, NULL, 10);
    }
    (void)fclose(file);
}

/* Of the threads whose name begins so. */
static struct seen see_threads(const char *name)
{
    struct seen seen = {0};
    DIR *tasks = opendir("/proc/self/task");
    for (const struct dirent *at; tasks != NULL && (at = readdir(tasks)) != NULL;)
        see_thread(at->d_name, name, &seen);
    if (tasks != NULL)
        (void)closedir(tasks);
    return seen;
}

static bool has_thread(const char *name)
{
    return see_threads(name).threads != 0;
}

/* Also of one that was joined: the system may list it for an instant longer. */
static void await_no_thread(const char *name)
{
    for (int64_t until = patience(); has_thread(name) && weir_now() < until;)
        ck_assert_int_eq(weir_sleep_until(NULL, weir_after(WEIR_MS(10))), 0);
    ck_assert(!has_thread(name));
}

static void free_other_pool(void *arg, weir_state end, int status)
{
    (void)end;
    (void)status;
    struct inside *self = arg;
    weir_pool_free(self->pool);
    counter_add(&self->ran, 1);
}

static int not_run(weir_context *ctx, void *arg)
{
    (void)ctx;
    ((struct inside *)arg)->err = -EEXIST;
    return 0;
}

/* It ends the last but one, and goes on for the last. */
START_TEST(a_pool_is_freed_by_the_thread_that_waits_for_its_descriptors)
{
    weir_pool *pool = new_pool_with(1, 4, WEIR_OVERFLOW_BLOCK);
    struct inside self = {.pool = new_pool_with(1, 4, WEIR_OVERFLOW_BLOCK), .ran = COUNTER_INIT};
    counter ran = COUNTER_INIT;
    int pair[2], others[2];
    new_pair(pair);
    new_pair(others);
    weir_task task = WEIR_TASK_INIT, waits = WEIR_TASK_INIT, other = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_pool_submit_when(pool, &task, pair[0], WEIR_READABLE, not_run, &self,
                                           WEIR_TASK_OPTIONS(.on_done = free_other_pool)),
                     0);
    ck_assert_int_eq(submit_read(self.pool, &waits, others[0], &ran), 0);
    (void)close(pair[0]);
    ck_assert_int_eq(submit_read(pool, &other, pair[0], &ran), -EBADF); /* so that it is told */
    ck_assert_int_eq(end_of(&task), WEIR_TASK_CANCELLED);
    ck_assert_uint_eq(counter_get(&self.ran), 1);
    ck_assert_int_eq(self.err, 0);
    ck_assert_int_eq(weir_task_state(&waits), WEIR_TASK_CANCELLED);
    ck_assert_int_eq(submit_read(pool, &other, others[0], &ran), 0);
    put(others[1]);
    ck_assert_int_eq(end_of(&other), WEIR_TASK_DONE);
    ck_assert_uint_eq(counter_get(&ran), 1);
    finish_pool(pool);
    await_no_thread("weir/ready");
    (void)close(pair[1]);
    close_pair(others);
}
END_TEST

/* Weir's threads sleep, so many of them, and nothing wakes them. It may take them a while to come
 * to that; threads that have something to do at times never do. */
static void assert_idle(unsigned threads)
{
    struct seen before = {0}, after = {0};
    bool idle = false;
    for (int64_t until = patience(); !idle && weir_now() < until;) {
        before = see_threads("weir");
        ck_assert_int_eq(weir_sleep_until(NULL, weir_after(WEIR_MS(300))), 0);
        after = see_threads("weir");
        idle = before.asleep == threads && memcmp(&before, &after, sizeof before) == 0;
    }
    ck_assert_uint_eq(after.threads, threads);
    ck_assert(idle);
}

static void limit_descriptors(rlim_t to, struct rlimit *ret_before)
{
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, ret_before), 0);
    struct rlimit limit = {.rlim_cur = to, .rlim_max = ret_before->rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

/* poll() is given all of them, and refuses more than the limit. */
START_TEST(a_limit_of_descriptors_that_is_lowered_ends_no_wait)
{
    enum { FREE = 8, MANY = 40, LIMIT = 32 };
    weir_pool *pool = NULL;
    counter ran = COUNTER_INIT;
    int pairs[MANY][2], unused[FREE];
    weir_task tasks[MANY];
    ck_assert_int_eq(weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .descriptors = MANY)), 0);
    for (int i = 0; i < FREE; i++)
        unused[i] = dup(STDERR_FILENO);
    for (int i = 0; i < MANY; i++) {
        new_pair(pairs[i]);
        tasks[i] = (weir_task)WEIR_TASK_INIT;
        ck_assert_int_eq(submit_read(pool, &tasks[i], pairs[i][0], &ran), 0);
    }
    for (int i = 0; i < FREE; i++)
        (void)close(unused[i]); /* /proc is read */
    struct rlimit before;
    limit_descriptors(LIMIT, &before);
    for (int i = 0; i < MANY; i++) {
        put(pairs[i][1]);
        ck_assert_int_eq(end_of(&tasks[i]), WEIR_TASK_DONE);
        take(pairs[i][0]);
        ck_assert_int_eq(submit_read(pool, &tasks[i], pairs[i][0], &ran), 0);
        thread_await_asleep((pid_t)see_threads("weir/ready").one);
    }
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    for (int i = 0; i < MANY; i++)
        ck_assert_int_eq(weir_task_cancel(&tasks[i]), 0);
    ck_assert_uint_eq(counter_get(&ran), MANY);
    finish_pool(pool);
    for (int i = 0; i < MANY; i++)
        close_pair(pairs[i]);
}
END_TEST

START_TEST(a_limit_of_no_descriptors_ends_no_wait)
{
    weir_pool *pool = new_pool_with(1, 4, WEIR_OVERFLOW_BLOCK);
    counter ran = COUNTER_INIT;
    int pair[2];
    new_pair(pair);
    weir_task task = WEIR_TASK_INIT;
    struct rlimit before;
    ck_assert_int_eq(submit_read(pool, &task, pair[0], &ran), 0);
    limit_descriptors(0, &before);
    put(pair[1]);
    if (!FILES_ARE_KNOWN)
        (void)!weir_task_wait_until(&task, NULL, weir_after(WEIR_MS(5)));
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    ck_assert_int_eq(end_of(&task), WEIR_TASK_DONE);
    ck_assert_uint_eq(counter_get(&ran), 1);
    finish_pool(pool);
    close_pair(pair);
}
END_TEST

/* So many descriptors as this process may have beside those that are open, `most` at most. */
static unsigned raise_limit(unsigned most)
{
    enum { OTHERS = 100 };
    struct rlimit limit;
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &limit), 0);
    if (limit.rlim_cur < most + OTHERS) {
        limit.rlim_cur = limit.rlim_max < most + OTHERS ? limit.rlim_max : most + OTHERS;
        limit_descriptors(limit.rlim_cur, &(struct rlimit){0});
    }
    ck_assert(limit.rlim_cur > OTHERS);
    return limit.rlim_cur - OTHERS < most ? (unsigned)limit.rlim_cur - OTHERS : most;
}

START_TEST(ten_thousand_descriptors_and_levels_that_nobody_takes_cost_no_time)
{
    /* poll() looks at all of them for each one that comes; valgrind is slow. */
    bool fewer = !FILES_ARE_KNOWN || getenv("WEIR_TESTS_SLOW") != NULL;
    unsigned many = raise_limit(fewer ? 1000 : 10000);
    weir_pool *pool = NULL;
    counter ran = COUNTER_INIT;
    int pair[2], level[2];
    ck_assert_int_eq(weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .descriptors = many + 1)),
                     0);
    new_pair(pair);
    new_pair(level);
    fill(level[0]);
    put(level[1]);
    weir_task reader = WEIR_TASK_INIT, writer = WEIR_TASK_INIT;
    ck_assert_int_eq(
        weir_pool_submit_when(pool, &writer, level[0], WEIR_WRITABLE, counter_task, &ran, NULL), 0);
    ck_assert_int_eq(submit_read(pool, &reader, level[0], &ran), 0);
    ck_assert_int_eq(end_of(&reader), WEIR_TASK_DONE); /* it has read nothing */
    weir_task *tasks = calloc(many, sizeof *tasks);
    int *numbers = calloc(many, sizeof *numbers);
    ck_assert(tasks != NULL && numbers != NULL);
    for (unsigned i = 0; i < many; i++) {
        numbers[i] = dup(pair[0]);
        ck_assert_int_ge(numbers[i], 0);
        ck_assert_int_eq(submit_read(pool, &tasks[i], numbers[i], &ran), 0);
    }
    ck_assert_uint_eq(delayed(pool), many + 1);
    assert_idle(3); /* a worker, the one for times, the one for descriptors */
    put(pair[1]);
    for (unsigned i = 0; i < many; i++)
        ck_assert_int_eq(end_of(&tasks[i]), WEIR_TASK_DONE);
    assert_idle(3); /* all of them are ready, and nobody takes that either */
    ck_assert_int_eq(weir_task_cancel(&writer), 0);
    ck_assert_uint_eq(counter_get(&ran), many + 1);
    finish_pool(pool);
    for (unsigned i = 0; i < many; i++)
        (void)close(numbers[i]);
    free(tasks);
    free(numbers);
    close_pair(pair);
    close_pair(level);
}
END_TEST

START_TEST(one_thread_watches_for_all_pools_while_it_is_needed)
{
    counter ran = COUNTER_INIT;
    weir_pool *pools[2];
    int pairs[2][2];
    weir_task tasks[2] = {WEIR_TASK_INIT, WEIR_TASK_INIT};
    for (int i = 0; i < 2; i++) {
        pools[i] = new_pool_with(1, 4, WEIR_OVERFLOW_BLOCK);
        new_pair(pairs[i]);
    }
    ck_assert(!has_thread("weir/ready"));
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(submit_read(pools[i], &tasks[i], pairs[i][0], &ran), 0);
    for (int i = 0; i < 2; i++) {
        put(pairs[i][1]);
        ck_assert_int_eq(end_of(&tasks[i]), WEIR_TASK_DONE);
    }
    ck_assert(has_thread("weir/ready"));
    finish_pool(pools[0]);
    if (_i == 0) { /* or it leaves by itself */
        await_no_thread("weir/ready");
        ck_assert_int_eq(submit_read(pools[1], &tasks[1], pairs[1][0], &ran), 0);
        ck_assert_int_eq(end_of(&tasks[1]), WEIR_TASK_DONE);
    }
    finish_pool(pools[1]);
    await_no_thread("weir/ready");
    close_pair(pairs[0]);
    close_pair(pairs[1]);
}
END_TEST
#endif

Suite *weir_suite(void)
{
    Suite *suite = suite_create("descriptors");
    TCase *contract = add_group(suite, "contract");
    tcase_add_test(contract, a_task_starts_when_its_descriptor_is_ready);
    tcase_add_loop_test(contract, a_reader_and_a_writer_wait_for_one_descriptor, 0, 2);
    tcase_add_loop_test(contract, one_pool_at_a_time_waits_for_an_event_of_a_descriptor, 0, 2);
    tcase_add_test(contract, two_numbers_of_one_file_are_two_descriptors);
    tcase_add_test(contract, a_hang_up_makes_a_descriptor_ready);
    tcase_add_test(contract, a_task_goes_on_with_its_descriptor_from_on_done);
#ifdef __linux__
    tcase_add_test(contract, events_times_and_processes_are_descriptors);
    tcase_add_loop_test(contract, one_thread_watches_for_all_pools_while_it_is_needed, 0, 2);
    tcase_add_test(contract, a_pool_is_freed_by_the_thread_that_waits_for_its_descriptors);
    tcase_add_test(contract, ten_thousand_descriptors_and_levels_that_nobody_takes_cost_no_time);
#endif
    TCase *limits = add_group(suite, "limits");
#ifdef __linux__
    tcase_add_test(limits, a_limit_of_descriptors_that_is_lowered_ends_no_wait);
    tcase_add_test(limits, a_limit_of_no_descriptors_ends_no_wait);
#endif
    TCase *ends = add_group(suite, "ends");
    tcase_add_loop_test(ends, a_task_whose_descriptor_is_not_ready_in_time_expires, 0, LIMITS);
    tcase_add_test(ends, cancels_end_a_wait_at_once);
    tcase_add_loop_test(ends, the_end_of_the_pool_ends_a_wait, 0, ENDERS);
    tcase_add_test(ends, a_ready_task_is_not_refused_by_a_full_queue);
    tcase_add_test(ends, the_only_worker_runs_what_it_waits_for);
    TCase *misuse = add_group(suite, "misuse");
    tcase_add_test(misuse, wrong_arguments_are_refused);
#ifdef __linux__
    tcase_add_test(misuse, an_epoll_descriptor_that_watches_too_many_deep_is_refused);
#endif
    tcase_add_test(misuse, no_more_tasks_wait_than_there_are_places);
    tcase_add_test(misuse, a_task_whose_descriptor_was_closed_never_runs);
    tcase_add_test(misuse, what_waits_beside_a_descriptor_that_was_closed_ends);
    tcase_add_loop_test(misuse, a_task_whose_descriptor_was_closed_can_be_cancelled_and_expires, 0,
                        RACES_ARE_SEEN ? 2 : 4);
    tcase_add_loop_test(
        misuse, a_task_whose_descriptor_was_closed_ends_when_its_number_is_waited_for, 0, 2);
    tcase_add_loop_test(misuse, a_wait_without_a_free_descriptor_is_refused, 0, 2);
    TCase *after_fork = add_group(suite, "fork");
    tcase_add_test(after_fork, a_child_process_leaves_the_parents_waits_alone);
    tcase_add_test(after_fork, a_child_process_is_forked_while_the_thread_calls_on_done);
    return suite;
}
