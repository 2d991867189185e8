/* SPDX-License-Identifier: MIT */
/* completion.c - finished tasks through a descriptor. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/abort.h"
#include "support/gate.h"
#include "support/pools.h"
#include "support/suite.h"
#include "support/threads.h"
#include "weir.h"

static weir_completion *new_completion(size_t capacity)
{
    weir_completion *completion = NULL;
    ck_assert_int_eq(weir_completion_new(&completion, capacity), 0);
    ck_assert_ptr_nonnull(completion);
    return completion;
}

static bool readable(const weir_completion *completion)
{
    struct pollfd watched = {.fd = weir_completion_fd(completion), .events = POLLIN};
    return poll(&watched, 1, 0) == 1 && watched.revents == POLLIN;
}

/* Blocks until it is readable. */
static void await_readable(const weir_completion *completion)
{
    struct pollfd watched = {.fd = weir_completion_fd(completion), .events = POLLIN};
    int ready;
    do
        ready = poll(&watched, 1, 40000);
    while (ready < 0 && errno == EINTR);
    if (ready != 1)
        give_up("a completion did not become readable");
}

static int return_arg(weir_context *ctx, void *arg)
{
    (void)ctx;
    return arg != NULL ? *(int *)arg : 0;
}

static int submit(weir_pool *pool, weir_task *task, weir_completion *completion)
{
    return weir_pool_submit_task(pool, task, return_arg, NULL,
                                 WEIR_TASK_OPTIONS(.completion = completion));
}

START_TEST(it_is_readable_exactly_while_there_is_something_to_reap)
{
    weir_task tasks[3];
    memset(tasks, 0, sizeof tasks);
    weir_task *over[3] = {NULL, NULL, NULL};
    weir_pool *pool = new_pool(1, 3);
    weir_completion *completion = new_completion(3);
    for (int lap = 0; lap < 3; lap++) {
        ck_assert(!readable(completion));
        ck_assert_uint_eq(weir_completion_reap(completion, over, 3), 0);
        for (int i = 0; i < 3; i++)
            ck_assert_int_eq(submit(pool, &tasks[i], completion), 0);
        ck_assert_int_eq(weir_pool_drain(pool), 0);
        ck_assert(readable(completion));
        ck_assert_uint_eq(weir_completion_reap(completion, over, 0), 0);
        ck_assert_uint_eq(weir_completion_reap(completion, over, 2), 2);
        ck_assert(readable(completion));
        ck_assert_uint_eq(weir_completion_reap(completion, over + 2, 3), 1);
        ck_assert(!readable(completion));
        for (int i = 0; i < 3; i++) { /* one worker: in the order of the submits */
            ck_assert_ptr_eq(over[i], &tasks[i]);
            ck_assert_int_eq(weir_task_state(over[i]), WEIR_TASK_DONE);
        }
    }
    weir_completion_free(completion);
    finish_pool(pool);
}
END_TEST

START_TEST(one_task_more_than_the_capacity_is_refused_until_one_is_reaped)
{
    gate busy = GATE_INIT;
    weir_task tasks[3];
    memset(tasks, 0, sizeof tasks);
    weir_task *over[3];
    weir_pool *pool = new_pool(1, 10);
    weir_completion *completion = new_completion(2);
    saturate(pool, &busy, 1);
    for (int lap = 0; lap < 2; lap++) { /* beside a busy worker, then beside a free one */
        ck_assert_int_eq(submit(pool, &tasks[0], completion), 0);
        ck_assert_int_eq(submit(pool, &tasks[1], completion), 0);
        ck_assert_int_eq(submit(pool, &tasks[2], completion), -ENOBUFS); /* outstanding */
        ck_assert_int_eq(weir_pool_submit_task_until(pool, &tasks[2], return_arg, NULL,
                                                     WEIR_TASK_OPTIONS(.completion = completion),
                                                     NULL, WEIR_FOREVER),
                         -ENOBUFS);
        ck_assert_int_eq(weir_task_state(&tasks[2]), lap == 0 ? WEIR_TASK_IDLE : WEIR_TASK_DONE);
        gate_open(&busy);
        ck_assert_int_eq(weir_pool_drain(pool), 0);
        ck_assert_int_eq(submit(pool, &tasks[2], completion), -ENOBUFS); /* unreaped */
        ck_assert_uint_eq(weir_completion_reap(completion, over, 1), 1);
        ck_assert_int_eq(submit(pool, &tasks[2], completion), 0);
        ck_assert_int_eq(weir_task_wait(&tasks[2]), 0);
        ck_assert_int_eq(weir_pool_drain(pool), 0);
        ck_assert_uint_eq(weir_completion_reap(completion, over, 3), 2);
    }
    weir_completion_free(completion);
    finish_pool(pool);
}
END_TEST

START_TEST(a_refused_submit_gives_its_place_back)
{
    gate busy = GATE_INIT;
    weir_task queued = WEIR_TASK_INIT, refused = WEIR_TASK_INIT;
    weir_task *over[2];
    weir_pool *pool = new_pool(1, 1), *closed = new_pool(1, 1);
    weir_completion *completion = new_completion(2);
    const weir_task_options *options = WEIR_TASK_OPTIONS(.completion = completion);
    weir_context *ctx = NULL;
    ck_assert_int_eq(weir_context_new(&ctx, NULL, WEIR_FOREVER), 0);
    weir_context_cancel(ctx, 0);
    weir_pool_close(closed);
    saturate(pool, &busy, 1);
    ck_assert_int_eq(submit(pool, &queued, completion), 0);
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(submit(closed, &refused, completion), -EPIPE);
        ck_assert_int_eq(submit(pool, &queued, completion), -EBUSY);
        ck_assert_int_eq(weir_pool_try_submit_task(pool, &refused, return_arg, NULL, options),
                         -EAGAIN);
        ck_assert_int_eq(
            weir_pool_submit_task_until(pool, &refused, return_arg, NULL, options, NULL, 0),
            -ETIMEDOUT);
        ck_assert_int_eq(weir_pool_submit_task_until(pool, &refused, return_arg, NULL, options, ctx,
                                                     WEIR_FOREVER),
                         -ECANCELED);
        ck_assert_int_eq(
            weir_pool_submit_task(pool, &refused, return_arg, NULL,
                                  WEIR_TASK_OPTIONS(.completion = completion, .start_by = 1)),
            -ETIMEDOUT);
    }
    gate_open(&busy);
    ck_assert_int_eq(submit(pool, &refused, completion), 0);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    ck_assert_uint_eq(weir_completion_reap(completion, over, 2), 2);
    ck_assert_ptr_eq(over[0], &queued);
    ck_assert_ptr_eq(over[1], &refused);
    weir_completion_free(completion);
    weir_context_unref(ctx);
    weir_pool_free(closed);
    finish_pool(pool);
}
END_TEST

START_TEST(every_kind_of_end_is_reported_once)
{
    enum { FAILED, CANCELLED, EXPIRED, DROPPED, SHUT_DOWN, ALL };
    static const weir_state ends[] = {WEIR_TASK_FAILED, WEIR_TASK_CANCELLED, WEIR_TASK_EXPIRED,
                                      WEIR_TASK_DROPPED, WEIR_TASK_CANCELLED};
    static int error = -EIO;
    gate busy = GATE_INIT;
    weir_task tasks[ALL], last = WEIR_TASK_INIT;
    memset(tasks, 0, sizeof tasks);
    weir_task *over[ALL + 2];
    weir_pool *pool = NULL;
    weir_completion *completion = new_completion(ALL + 1);
    ck_assert_int_eq(weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1,
                                                            .overflow = WEIR_OVERFLOW_DROP_OLDEST)),
                     0);
    ck_assert_int_eq(weir_pool_submit_task(pool, &tasks[FAILED], return_arg, &error,
                                           WEIR_TASK_OPTIONS(.completion = completion)),
                     0);
    ck_assert_int_eq(weir_task_wait(&tasks[FAILED]), 0);
    saturate(pool, &busy, 1);
    ck_assert_int_eq(submit(pool, &tasks[CANCELLED], completion), 0);
    ck_assert_int_eq(weir_task_cancel(&tasks[CANCELLED]), 0);
    int err = -ETIMEDOUT; /* if the machine stands still meanwhile */
    for (int64_t lead = WEIR_MS(20); err == -ETIMEDOUT && lead < WEIR_S(1000); lead *= 2)
        err = weir_pool_submit_task(
            pool, &tasks[EXPIRED], return_arg, NULL,
            WEIR_TASK_OPTIONS(.completion = completion, .start_by = weir_after(lead)));
    ck_assert_int_eq(err, 0);
    ck_assert_int_eq(weir_task_wait(&tasks[EXPIRED]), 0);
    ck_assert_int_eq(submit(pool, &tasks[DROPPED], completion), 0);
    ck_assert_int_eq(submit(pool, &tasks[SHUT_DOWN], completion), 0);
    ck_assert_int_eq(weir_pool_shutdown(pool, 0, 0, NULL), -ETIMEDOUT);
    gate_open(&busy);
    ck_assert_int_eq(submit(pool, &last, completion), -EPIPE);
    weir_pool_free(pool);
    ck_assert_uint_eq(weir_completion_reap(completion, over, ALL + 2), ALL);
    for (int i = 0; i < ALL; i++) {
        ck_assert_ptr_eq(over[i], &tasks[i]);
        ck_assert_int_eq(weir_task_state(&tasks[i]), ends[i]);
    }
    weir_completion_free(completion);
}
END_TEST

START_TEST(a_task_that_was_waited_for_is_still_reported_for_each_submit)
{
    weir_task task = WEIR_TASK_INIT;
    weir_task *over[4] = {NULL};
    weir_pool *pool = new_pool(1, 1);
    weir_completion *completion = new_completion(2);
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(submit(pool, &task, completion), 0);
        ck_assert_int_eq(weir_task_wait(&task), 0);
    }
    ck_assert_int_eq(submit(pool, &task, completion), -ENOBUFS);
    ck_assert_int_eq(submit(pool, &task, NULL), 0);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    ck_assert_uint_eq(weir_completion_reap(completion, over, 4), 2);
    ck_assert_ptr_eq(over[0], &task);
    ck_assert_ptr_eq(over[1], &task);
    weir_completion_free(completion);
    finish_pool(pool);
}
END_TEST

static int stop_at_the_third(weir_context *ctx, void *arg)
{
    (void)ctx;
    return atomic_fetch_add((atomic_int *)arg, 1) == 2 ? -EIO : 0;
}

START_TEST(a_delayed_task_is_reported_at_its_one_end)
{
    atomic_int runs = 0;
    weir_task periodic = WEIR_TASK_INIT, waiting = WEIR_TASK_INIT, refused = WEIR_TASK_INIT;
    weir_task *over[3] = {NULL};
    weir_pool *pool = new_pool(1, 2);
    weir_completion *completion = new_completion(2);
    const weir_task_options *options = WEIR_TASK_OPTIONS(.completion = completion);
    ck_assert_int_eq(weir_pool_submit_every(pool, &periodic, stop_at_the_third, &runs, options,
                                            weir_now(), WEIR_US(100)),
                     0);
    ck_assert_int_eq(weir_pool_submit_task_at(pool, &waiting, return_arg, NULL, options,
                                              weir_after(WEIR_S(1000))),
                     0);
    ck_assert_int_eq(
        weir_pool_submit_task_at(pool, &refused, return_arg, NULL, options, weir_now()), -ENOBUFS);
    await_readable(completion);
    ck_assert_uint_eq(weir_completion_reap(completion, over, 3), 1);
    ck_assert_ptr_eq(over[0], &periodic);
    ck_assert_int_eq(atomic_load(&runs), 3);
    ck_assert_int_eq(weir_task_status(&periodic), -EIO);
    ck_assert_int_eq(weir_task_cancel(&waiting), 0);
    ck_assert_uint_eq(weir_completion_reap(completion, over, 3), 1);
    ck_assert_ptr_eq(over[0], &waiting);
    ck_assert(!readable(completion));
    weir_completion_free(completion);
    finish_pool(pool);
}
END_TEST

START_TEST(bad_arguments)
{
    weir_task *over[1];
    weir_completion *completion = (void *)over;
    ck_assert_int_eq(weir_completion_new(NULL, 1), -EINVAL);
    ck_assert_int_eq(weir_completion_new(&completion, 0), -EINVAL);
    ck_assert_int_eq(weir_completion_new(&completion, SIZE_MAX), -ENOMEM);
    ck_assert_ptr_eq(completion, (void *)over);
    ck_assert_int_eq(weir_completion_fd(NULL), -EINVAL);
    ck_assert_uint_eq(weir_completion_reap(NULL, over, 1), 0);
    weir_completion_free(NULL);
    completion = new_completion(1);
    ck_assert_uint_eq(weir_completion_reap(completion, NULL, 1), 0);
    ck_assert_int_ge(weir_completion_fd(completion), 0);
    ck_assert_int_ne(fcntl(weir_completion_fd(completion), F_GETFD) & FD_CLOEXEC, 0);
    weir_completion_free(completion);
}
END_TEST

START_TEST(options_of_a_caller_that_knows_no_completion)
{
    struct {
        weir_task_options old;
        char beyond[64];
    } options;
    memset(&options, 0xff, sizeof options); /* beyond its size is not the caller's */
    weir_task_options_init(&options.old);
    memset((char *)&options.old + offsetof(weir_task_options, completion), 0xff,
           sizeof options.old - offsetof(weir_task_options, completion));
    options.old.size = offsetof(weir_task_options, completion);
    weir_task task = WEIR_TASK_INIT;
    weir_pool *pool = new_pool(1, 1);
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, return_arg, NULL, &options.old), 0);
    ck_assert_int_eq(weir_task_wait(&task), 0);
    finish_pool(pool);
}
END_TEST

static int check_without_descriptors(void)
{
    weir_completion *completion = NULL;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 1;
    limit.rlim_cur = 64;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 1;
    while (dup(STDERR_FILENO) >= 0)
        continue;
    return errno == EMFILE && weir_completion_new(&completion, 1) == -EMFILE && completion == NULL
               ? 0
               : 2;
}

START_TEST(no_descriptor_left_is_an_error)
{
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
        _exit(check_without_descriptors());
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
END_TEST

/* Misuse. */

/* In the child itself, so that nothing is stale. */
static void free_outstanding(void *unused)
{
    gate busy = GATE_INIT;
    weir_task task = WEIR_TASK_INIT;
    weir_completion *completion = NULL;
    weir_pool *pool = NULL;
    (void)unused;
    if (weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .capacity = 2)) != 0 ||
        weir_completion_new(&completion, 1) != 0 || weir_pool_submit(pool, gate_task, &busy) != 0 ||
        submit(pool, &task, completion) != 0)
        _exit(1);
    weir_completion_free(completion);
}

static void free_unreaped(void *unused)
{
    weir_task task = WEIR_TASK_INIT;
    weir_completion *completion = NULL;
    weir_pool *pool = NULL;
    (void)unused;
    if (weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .capacity = 2)) != 0 ||
        weir_completion_new(&completion, 1) != 0 || submit(pool, &task, completion) != 0 ||
        weir_task_wait(&task) != 0)
        _exit(1);
    weir_completion_free(completion);
}

START_TEST(the_sentence_names_the_call)
{
    assert_aborts(free_outstanding, NULL, "weir_completion_free");
    assert_aborts(free_unreaped, NULL, "weir_completion_free");
}
END_TEST

/* Event loops. Each request is on the heap and freed as soon as it was reaped. */

enum { REQUESTS = 3000, PRODUCERS = 3, PLACES = 16 };

struct server {
    weir_pool *pool;
    weir_completion *completion;
    counter room; /* reaped: for producers that were refused */
    atomic_int refused, done;
};

struct request {
    weir_task task; /* first */
    struct server *server;
    unsigned in, out;
};

static int serve(weir_context *ctx, void *arg)
{
    struct request *request = arg;
    (void)ctx;
    request->out = request->in * 3 + 1;
    return 0;
}

static int produce(void *arg)
{
    struct server *server = arg;
    for (unsigned i = 0; i < REQUESTS; i++) {
        struct request *request = calloc(1, sizeof *request);
        if (request == NULL)
            return -ENOMEM;
        request->in = i;
        int err;
        for (;;) {
            size_t reaped = counter_get(&server->room);
            err = weir_pool_submit_task(server->pool, &request->task, serve, request,
                                        WEIR_TASK_OPTIONS(.completion = server->completion));
            if (err != -ENOBUFS)
                break;
            atomic_fetch_add(&server->refused, 1);
            counter_await(&server->room, reaped + 1);
        }
        if (err != 0)
            return err;
    }
    return 0;
}

/* Takes what is there, `most` at a time. */
static size_t reap(struct server *server, size_t most)
{
    weir_task *over[PLACES];
    size_t n = weir_completion_reap(server->completion, over, most);
    for (size_t i = 0; i < n; i++) {
        struct request *request = (struct request *)over[i];
        if (request->out == request->in * 3 + 1 && weir_task_state(over[i]) == WEIR_TASK_DONE)
            atomic_fetch_add(&server->done, 1);
        free(request);
    }
    if (n > 0)
        counter_add(&server->room, n);
    return n;
}

static void run_server(struct server *server, void (*loop)(struct server *server))
{
    caller producers[PRODUCERS];
    server->pool = new_pool(2, 4);
    server->completion = new_completion(PLACES);
    for (int i = 0; i < PRODUCERS; i++)
        caller_start(&producers[i], produce, server);
    loop(server);
    for (int i = 0; i < PRODUCERS; i++)
        ck_assert_int_eq(caller_join(&producers[i]), 0);
    ck_assert_int_eq(atomic_load(&server->done), PRODUCERS * REQUESTS);
    ck_assert(!readable(server->completion));
    weir_completion_free(server->completion); /* the pool's threads may still be inside the end */
    finish_pool(server->pool);
}

static void poll_loop(struct server *server)
{
    for (size_t reaped = 0; reaped < PRODUCERS * REQUESTS;) {
        await_readable(server->completion);
        size_t n = reap(server, 3);
        ck_assert_uint_gt(n, 0);
        reaped += n;
    }
}

START_TEST(a_poll_loop_with_many_producers_loses_nothing)
{
    static struct server server = {.room = COUNTER_INIT};
    run_server(&server, poll_loop);
}
END_TEST

/* Edge-triggered: a notification that is lost would never come again. */
static void edge_loop(struct server *server)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    ck_assert_int_ge(epoll, 0);
    struct epoll_event event = {.events = EPOLLIN | EPOLLET};
    ck_assert_int_eq(
        epoll_ctl(epoll, EPOLL_CTL_ADD, weir_completion_fd(server->completion), &event), 0);
    for (size_t reaped = 0; reaped < PRODUCERS * REQUESTS;) {
        int ready = epoll_wait(epoll, &event, 1, 40000);
        ck_assert(ready == 1 || (ready < 0 && errno == EINTR));
        size_t n;
        do
            reaped += n = reap(server, PLACES);
        while (n == PLACES);
    }
    (void)close(epoll);
}

START_TEST(an_edge_triggered_loop_with_many_producers_loses_nothing)
{
    static struct server server = {.room = COUNTER_INIT};
    run_server(&server, edge_loop);
}
END_TEST

static int reap_until_all(void *arg)
{
    struct server *server = arg;
    while (atomic_load(&server->done) < PRODUCERS * REQUESTS) {
        struct pollfd watched = {.fd = weir_completion_fd(server->completion), .events = POLLIN};
        (void)poll(&watched, 1, 10); /* the other one may have taken the last */
        (void)reap(server, 2);
    }
    return 0;
}

static void two_loops(struct server *server)
{
    caller other;
    caller_start(&other, reap_until_all, server);
    (void)reap_until_all(server);
    ck_assert_int_eq(caller_join(&other), 0);
}

START_TEST(two_threads_that_reap_share_the_tasks)
{
    static struct server server = {.room = COUNTER_INIT};
    run_server(&server, two_loops);
}
END_TEST

static int check_in_child(weir_pool *pool, weir_completion *completion)
{
    weir_task *over[1], task = WEIR_TASK_INIT;
    if (weir_completion_fd(completion) != -ESTALE || weir_completion_reap(completion, over, 1) != 0)
        return 1;
    if (submit(pool, &task, completion) != -ESTALE)
        return 2;
    weir_completion_free(completion);
    return 0;
}

START_TEST(a_child_process_leaves_the_parents_notification_alone)
{
    weir_task task = WEIR_TASK_INIT;
    weir_task *over[1];
    weir_pool *pool = new_pool(1, 1);
    weir_completion *completion = new_completion(1);
    ck_assert_int_eq(submit(pool, &task, completion), 0);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
        _exit(check_in_child(pool, completion));
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    ck_assert(readable(completion));
    ck_assert_uint_eq(weir_completion_reap(completion, over, 1), 1);
    ck_assert(!readable(completion));
    weir_completion_free(completion);
    finish_pool(pool);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("completion");
    TCase *contract = add_group(suite, "contract");
    tcase_add_test(contract, it_is_readable_exactly_while_there_is_something_to_reap);
    tcase_add_test(contract, one_task_more_than_the_capacity_is_refused_until_one_is_reaped);
    tcase_add_test(contract, a_refused_submit_gives_its_place_back);
    tcase_add_test(contract, every_kind_of_end_is_reported_once);
    tcase_add_test(contract, a_task_that_was_waited_for_is_still_reported_for_each_submit);
    tcase_add_test(contract, a_delayed_task_is_reported_at_its_one_end);
    tcase_add_test(contract, bad_arguments);
    tcase_add_test(contract, options_of_a_caller_that_knows_no_completion);
    tcase_add_test(contract, no_descriptor_left_is_an_error);
    TCase *misuse = add_group(suite, "misuse");
    tcase_add_test(misuse, the_sentence_names_the_call);
    TCase *loops = add_group(suite, "event loops");
    tcase_add_test(loops, a_poll_loop_with_many_producers_loses_nothing);
    tcase_add_test(loops, an_edge_triggered_loop_with_many_producers_loses_nothing);
    tcase_add_test(loops, two_threads_that_reap_share_the_tasks);
    TCase *forked = add_group(suite, "fork");
    tcase_add_test(forked, a_child_process_leaves_the_parents_notification_alone);
    return suite;
}
