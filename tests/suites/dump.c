/* SPDX-License-Identifier: MIT */
/* dump.c - what a pool's threads are doing, as text. */
#include "support/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/gate.h"
#include "support/pools.h"
#include "support/scene.h"
#include "support/threads.h"
#include "weir.h"

/* What was written. */
struct page {
    char text[1 << 16];
    size_t length;
};

static int append(const char *text, size_t n, void *arg)
{
    struct page *page = arg;
    if (page->length + n >= sizeof page->text)
        return -ENOSPC;
    memcpy(page->text + page->length, text, n);
    page->length += n;
    page->text[page->length] = '\0';
    return 0;
}

static struct page page;

static const char *dump(const weir_pool *pool)
{
    page.length = 0;
    page.text[0] = '\0';
    ck_assert_int_eq(weir_pool_dump(pool, append, &page), 0);
    ck_assert_uint_eq(strlen(page.text), page.length);
    return page.text;
}

/* Is there a line that begins so and has all that further on? `rest` may be NULL. */
static bool has_line(const char *text, const char *begin, const char *rest)
{
    for (const char *line = text; *line != '\0'; line = strchr(line, '\n') + 1) {
        ck_assert_ptr_nonnull(strchr(line, '\n'));
        size_t length = (size_t)(strchr(line, '\n') - line);
        char copy[1024];
        ck_assert_uint_lt(length, sizeof copy);
        memcpy(copy, line, length);
        copy[length] = '\0';
        if (strncmp(copy, begin, strlen(begin)) == 0 &&
            (rest == NULL || strstr(copy, rest) != NULL))
            return true;
    }
    return false;
}

#define assert_line(text, begin, rest)                                                             \
    ck_assert_msg(has_line(text, begin, rest), "no line \"%s ... %s\" in:\n%s", begin,             \
                  (rest) != NULL ? (rest) : "", text)

static pid_t worker_tids[8];

static int note_worker(unsigned index, void *user)
{
    (void)user;
    worker_tids[index] = thread_id();
    return 0;
}

/* With `workers` of which the test knows the threads. */
static weir_pool *known_pool(unsigned workers, unsigned capacity)
{
    weir_pool *pool;
    int err =
        weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = workers, .capacity = capacity,
                                               .name = "known", .on_worker_start = note_worker));
    ck_assert_int_eq(err, 0);
    return pool;
}

/* The worker whose thread that is. */
static void name_worker(weir_pool *pool, pid_t tid, char *ret, size_t size)
{
    ret[0] = '\0';
    for (unsigned i = 0; i < weir_pool_workers(pool); i++)
        if (worker_tids[i] == tid)
            (void)snprintf(ret, size, "worker %u (thread %d): ", i, (int)tid);
    ck_assert_str_ne(ret, "");
}

static void await_idle(weir_pool *pool)
{
    for (unsigned i = 0; i < weir_pool_workers(pool); i++)
        thread_await_asleep(worker_tids[i]);
}

/* Form. */

START_TEST(bad_arguments)
{
    weir_pool *pool = new_pool(1, 1);
    ck_assert_int_eq(weir_pool_dump(NULL, append, &page), -EINVAL);
    ck_assert_int_eq(weir_pool_dump(pool, NULL, &page), -EINVAL);
    ck_assert_int_eq(weir_pool_dump_fd(NULL, 1), -EINVAL);
    ck_assert_int_eq(weir_pool_dump_fd(pool, -1), -EBADF);
    finish_pool(pool);
}
END_TEST

START_TEST(an_idle_pool)
{
    weir_pool *pool = known_pool(3, 64);
    await_idle(pool);
    const char *text = dump(pool);
    assert_line(text, "pool \"known\": open, 3 workers", NULL);
    assert_line(text, "queue: 0 of 64; 0 blocked submitters; 0 delayed", NULL);
    for (unsigned i = 0; i < 3; i++) {
        char begin[64];
        (void)snprintf(begin, sizeof begin, "worker %u (thread %d): idle for ", i,
                       (int)worker_tids[i]);
        assert_line(text, begin, NULL);
    }
    weir_pool_close(pool);
    assert_line(dump(pool), "pool \"known\": closed", NULL);
    ck_assert_int_eq(weir_pool_shutdown(pool, WEIR_FOREVER, WEIR_FOREVER, NULL), 0);
    assert_line(dump(pool), "pool \"known\": stopped", NULL);
    weir_pool_free(pool);
}
END_TEST

START_TEST(to_a_file_descriptor)
{
    weir_pool *pool = known_pool(1, 4);
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    await_idle(pool);
    ck_assert_int_eq(weir_pool_dump_fd(pool, ends[1]), 0);
    ck_assert_int_eq(close(ends[1]), 0);
    ssize_t n = read(ends[0], page.text, sizeof page.text - 1);
    ck_assert_int_gt(n, 0);
    page.text[n] = '\0';
    assert_line(page.text, "worker 0 ", "idle");
    ck_assert_int_eq(close(ends[0]), 0);
    ck_assert_int_eq(weir_pool_dump_fd(pool, ends[1]), -EBADF);
    int full = open("/dev/full", O_WRONLY);
    if (full >= 0) {
        ck_assert_int_eq(weir_pool_dump_fd(pool, full), -ENOSPC);
        (void)close(full);
    }
    finish_pool(pool);
}
END_TEST

/* Names. */

static int hold_named(weir_context *ctx, void *arg)
{
    (void)ctx;
    gate_wait(arg);
    return 0;
}

static void assert_shown(const char *name, const char *shown)
{
    gate hold = GATE_INIT;
    weir_pool *pool = known_pool(1, 4);
    weir_task task = WEIR_TASK_INIT;
    ck_assert_int_eq(
        weir_pool_submit_task(pool, &task, hold_named, &hold, WEIR_TASK_OPTIONS(.name = name)), 0);
    gate_await(&hold, 1);
    char rest[512];
    (void)snprintf(rest, sizeof rest, "running %s for ", shown);
    assert_line(dump(pool), "worker 0 ", rest);
    gate_open(&hold);
    finish_pool(pool);
}

START_TEST(names_of_tasks)
{
    char longest[95 + 1], too_long[200], cut[95 + 3], shown[110];
    assert_shown("resize", "\"resize\"");
    assert_shown("say \"hi\" \\ there", "\"say \\\"hi\\\" \\\\ there\"");
    assert_shown("two\nlines\t\x7f", "\"two\\nlines\\x09\\x7f\"");
    assert_shown("na\xc3\xafve \xe2\x82\xac \xf0\x9f\x98\x80", /* two, three and four bytes */
                 "\"na\xc3\xafve \xe2\x82\xac \xf0\x9f\x98\x80\"");
    assert_shown("a\xff"
                 "b\xc0\xaf"
                 "c\xed\xa0\x80"
                 "d\xc2\x9b"
                 "e", /* no text at all */
                 "\"a\\xffb\\xc0\\xafc\\xed\\xa0\\x80d\\xc2\\x9be\"");
    assert_shown("", "hold_named"); /* as none */
    assert_shown(NULL, "hold_named");
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    (void)snprintf(shown, sizeof shown, "\"%s\"", longest);
    assert_shown(longest, shown);
    memset(too_long, 'x', sizeof too_long - 1);
    too_long[sizeof too_long - 1] = '\0';
    assert_shown(too_long, shown);
    memset(cut, 'x', 94); /* a character of two bytes across the end of what is kept */
    memcpy(cut + 94, "\xc3\xa4", 3);
    (void)snprintf(shown, sizeof shown, "\"%.94s\"", longest);
    assert_shown(cut, shown);
}
END_TEST

static const char *name_of(weir_task_fn *fn, void *arg, void *user)
{
    static _Thread_local char name[64]; /* the text is copied at once */
    if (fn != hold_named)
        return NULL;
    (void)snprintf(name, sizeof name, "%s %d", (const char *)user, ((gate *)arg)->open ? 1 : 0);
    return name;
}

START_TEST(names_of_plain_tasks)
{
    gate hold = GATE_INIT;
    weir_pool *pool;
    int err =
        weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 2, .capacity = 4,
                                               .user = (char[]){"plain"}, .name_of = name_of));
    ck_assert_int_eq(err, 0);
    ck_assert_int_eq(weir_pool_submit(pool, hold_named, &hold), 0);
    ck_assert_int_eq(weir_pool_submit(pool, gate_task, &hold), 0);
    gate_await(&hold, 2);
    const char *text = dump(pool);
    assert_line(text, "worker ", "running \"plain 0\" for ");
    assert_line(text, "worker ", "running gate_task for ");
    gate_open(&hold);
    finish_pool(pool);
}
END_TEST

static int fail_first(weir_context *ctx, void *arg)
{
    (void)ctx;
    gate_wait(arg);
    return 0;
}

static int hold_range(weir_context *ctx, size_t begin, size_t end, void *arg)
{
    (void)ctx;
    (void)begin;
    (void)end;
    gate_wait(arg);
    return 0;
}

static int loop_on_pool(void *arg)
{
    void **args = arg;
    return weir_parallel_for(args[0], 2, 1, hold_range, args[1]);
}

/* What runs is a function of weir's; what is told is the program's. */
START_TEST(names_of_wrapped_tasks)
{
    gate hold = GATE_INIT;
    weir_pool *pool = known_pool(2, 4);
    weir_task task = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_pool_submit_retry(pool, &task, fail_first, &hold, NULL, NULL), 0);
    gate_await(&hold, 1);
    assert_line(dump(pool), "worker ", "running fail_first for ");
    void *args[] = {pool, &hold};
    caller looper;
    caller_start(&looper, loop_on_pool, args);
    gate_await(&hold, 3);
    assert_line(dump(pool), "worker ", "running hold_range for ");
    gate_open(&hold);
    ck_assert_int_eq(caller_join(&looper), 0);
    finish_pool(pool);
}
END_TEST

/* What threads do. */

static int wait_for_task(weir_context *ctx, void *arg)
{
    (void)ctx;
    return weir_task_wait(arg);
}

START_TEST(a_blocked_task_and_the_thread_that_it_waits_for)
{
    gate hold = GATE_INIT;
    weir_pool *pool = known_pool(2, 4);
    weir_task held = WEIR_TASK_INIT;
    ck_assert_int_eq(
        weir_pool_submit_task(pool, &held, gate_task, &hold, WEIR_TASK_OPTIONS(.name = "held")), 0);
    gate_await(&hold, 1);
    int busy = has_line(dump(pool), "worker 0 ", "\"held\"") ? 0 : 1;
    ck_assert_int_eq(weir_pool_submit(pool, wait_for_task, &held), 0);
    thread_await_asleep(worker_tids[1 - busy]);
    weir_pool_stats stats = {.size = sizeof stats};
    do
        ck_assert_int_eq(weir_pool_read_stats(pool, &stats), 0);
    while (stats.workers_blocked != 1);
    char rest[200], begin[64];
    (void)snprintf(rest, sizeof rest, "blocked in weir_task_wait on %p for ", (void *)&held);
    name_worker(pool, worker_tids[1 - busy], begin, sizeof begin);
    const char *text = dump(pool);
    assert_line(text, begin, "running wait_for_task for ");
    assert_line(text, begin, rest);
    (void)snprintf(rest, sizeof rest, ", waits for worker %d", busy);
    assert_line(text, begin, rest);
    gate_open(&hold);
    finish_pool(pool);
}
END_TEST

static int wait_for_own_child(weir_context *ctx, void *arg)
{
    (void)ctx;
    weir_task child = WEIR_TASK_INIT;
    int err = weir_pool_submit_task(weir_pool_current(), &child, gate_task, arg,
                                    WEIR_TASK_OPTIONS(.name = "child"));
    return err != 0 ? err : weir_task_wait(&child);
}

START_TEST(a_task_within_a_task)
{
    gate hold = GATE_INIT;
    weir_pool *pool = known_pool(1, 4);
    ck_assert_int_eq(weir_pool_submit(pool, wait_for_own_child, &hold), 0);
    gate_await(&hold, 1);
    const char *text = dump(pool);
    assert_line(text, "worker 0 (", "running \"child\" for ");
    assert_line(text, "worker 0: within wait_for_own_child for ", NULL);
    gate_open(&hold);
    finish_pool(pool);
}
END_TEST

struct nest {
    weir_pool *pool;
    gate *hold;
    int levels;
};

static int nest(weir_context *ctx, void *arg)
{
    struct nest inner = *(struct nest *)arg;
    (void)ctx;
    if (--inner.levels == 0) {
        gate_wait(inner.hold);
        return 0;
    }
    weir_task child = WEIR_TASK_INIT;
    int err = weir_pool_submit_task(inner.pool, &child, nest, &inner, NULL);
    return err != 0 ? err : weir_task_wait(&child);
}

START_TEST(more_levels_than_are_kept)
{
    gate hold = GATE_INIT;
    weir_pool *pool = known_pool(1, 4);
    struct nest outer = {pool, &hold, 20};
    ck_assert_int_eq(weir_pool_submit(pool, nest, &outer), 0);
    gate_await(&hold, 1);
    const char *text = dump(pool);
    assert_line(text, "worker 0 (", "running a task within 19 others");
    assert_line(text, "worker 0: within nest for ", NULL);
    gate_open(&hold);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    await_idle(pool);
    assert_line(dump(pool), "worker 0 (", "): idle for ");
    finish_pool(pool);
}
END_TEST

static int dump_here(weir_context *ctx, void *arg)
{
    (void)ctx;
    return weir_pool_dump(arg, append, &page);
}

START_TEST(from_a_task)
{
    weir_pool *pool = known_pool(1, 4);
    weir_task task = WEIR_TASK_INIT;
    page.length = 0;
    ck_assert_int_eq(
        weir_pool_submit_task(pool, &task, dump_here, pool, WEIR_TASK_OPTIONS(.name = "self")), 0);
    ck_assert_int_eq(weir_task_wait(&task), 0);
    ck_assert_int_eq(weir_task_status(&task), 0);
    assert_line(page.text, "worker 0 (", "running \"self\" for ");
    finish_pool(pool);
}
END_TEST

static int take_permit(weir_context *ctx, void *arg)
{
    (void)ctx;
    return weir_semaphore_acquire(arg, 1);
}

static int give_permit(weir_context *ctx, void *arg)
{
    (void)ctx;
    weir_semaphore_release(arg, 1);
    return 0;
}

/* All workers wait for what only queued tasks would do. */
START_TEST(a_pool_that_has_locked_itself_up)
{
    weir_pool *pool = known_pool(2, 8);
    weir_semaphore sem;
    ck_assert_int_eq(weir_semaphore_init(&sem, 2), 0);
    ck_assert_int_eq(weir_semaphore_acquire(&sem, 2), 0);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(weir_pool_submit(pool, take_permit, &sem), 0);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(weir_pool_submit(pool, give_permit, &sem), 0);
    weir_pool_stats stats = {.size = sizeof stats};
    do
        ck_assert_int_eq(weir_pool_read_stats(pool, &stats), 0);
    while (stats.workers_blocked != 2);
    char rest[100];
    (void)snprintf(rest, sizeof rest, "blocked in weir_semaphore_acquire on %p for ", (void *)&sem);
    const char *text = dump(pool);
    assert_line(text, "worker 0 (", "running take_permit for ");
    assert_line(text, "worker 0 (", rest);
    assert_line(text, "worker 1 (", rest);
    assert_line(text, "queue: 3 of 8, the oldest for ", NULL);
    assert_line(text, "queued: 3 x give_permit", NULL);
    weir_semaphore_release(&sem, 1); /* then one of them goes on, and the rest follows */
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    weir_semaphore_destroy(&sem);
    weir_pool_free(pool);
}
END_TEST

/* Each call that blocks, made by a thread of its own. */

/* In the order of scene_waits. */
static const char *const wait_names[SCENE_WAITS] = {
    "weir_task_wait on ",   "weir_waitgroup_wait on ", "weir_errgroup_wait on ",
    "weir_errgroup_go on ", "weir_context_wait on ",   "weir_pool_submit on ",
    "weir_pool_drain on ",  "weir_sleep_until on ",
};

struct visit {
    int (*wait)(int64_t deadline);
};

static int visit(void *arg)
{
    return ((struct visit *)arg)->wait(WEIR_FOREVER);
}

START_TEST(threads_outside_that_are_blocked)
{
    weir_pool *pool = known_pool(1, 1);
    caller callers[SCENE_WAITS];
    struct visit visits[SCENE_WAITS];
    set_scene(pool);
    for (int i = 0; i < SCENE_WAITS; i++) {
        visits[i].wait = scene_waits[i];
        caller_start(&callers[i], visit, &visits[i]);
        ck_assert(caller_await_asleep(&callers[i]));
    }
    for (int i = 0; i < SCENE_WAITS; i++) {
        char begin[100];
        (void)snprintf(begin, sizeof begin, "thread %d: blocked in %s", (int)callers[i].tid,
                       wait_names[i]);
        int64_t until = weir_after(WEIR_S(20)); /* asleep may mean: on its way there */
        while (!has_line(dump(pool), begin, NULL) && weir_now() < until)
            continue;
        assert_line(page.text, begin, " for ");
    }
    let_it_happen();
    for (int i = 0; i < SCENE_WAITS; i++)
        ck_assert_int_eq(caller_join(&callers[i]), 0);
    ck_assert(!has_line(dump(pool), "thread ", NULL));
    strike_scene();
}
END_TEST

static int submit_held(void *arg)
{
    void **args = arg;
    return weir_pool_submit(args[0], hold_named, args[1]);
}

START_TEST(a_thread_outside_that_runs_a_task)
{
    gate hold = GATE_INIT;
    weir_pool *pool;
    int err = weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1,
                                                     .overflow = WEIR_OVERFLOW_CALLER_RUNS));
    ck_assert_int_eq(err, 0);
    saturate(pool, &hold, 1);
    ck_assert_int_eq(weir_pool_submit(pool, hold_named, &hold), 0);
    void *args[] = {pool, &hold};
    caller runner;
    caller_start(&runner, submit_held, args);
    gate_await(&hold, 2);
    char begin[64];
    (void)snprintf(begin, sizeof begin, "thread %d: running hold_named for ", (int)runner.tid);
    assert_line(dump(pool), begin, NULL);
    weir_pool *other = new_pool(1, 1); /* it is none of its business */
    ck_assert(!has_line(dump(other), "thread ", NULL));
    finish_pool(other);
    gate_open(&hold);
    ck_assert_int_eq(caller_join(&runner), 0);
    ck_assert(!has_line(dump(pool), "thread ", NULL));
    finish_pool(pool);
}
END_TEST

/* The queue. */

START_TEST(the_queue_by_name)
{
    enum { N = 40 };
    gate hold = GATE_INIT;
    counter ran = COUNTER_INIT;
    weir_pool *pool = known_pool(1, 64);
    weir_task tasks[N] = {0};
    char names[N][16];
    saturate(pool, &hold, 1);
    ck_assert_int_eq(weir_pool_submit(pool, counter_task, &ran), 0);
    for (int i = 0; i < N; i++) {
        (void)snprintf(names[i], sizeof names[i], "kind %d", i % 20);
        ck_assert_int_eq(weir_pool_submit_task(pool, &tasks[i], counter_task, &ran,
                                               WEIR_TASK_OPTIONS(.name = names[i])),
                         0);
    }
    ck_assert_int_eq(weir_task_cancel(&tasks[0]), 0);
    const char *text = dump(pool);
    assert_line(text, "queue: 40 of 64", NULL);
    assert_line(text, "queued: 1 x counter_task", NULL);
    assert_line(text, "queued: 2 x \"kind 1\"", NULL);
    assert_line(text, "queued: 2 x \"kind 13\"", NULL);
    ck_assert(!has_line(text, "queued: 2 x \"kind 19\"", NULL));
    assert_line(text, "queued: 9 others", NULL); /* of five kinds more than are kept apart */
    assert_line(text, "queued for ", ": ");
    gate_open(&hold);
    finish_pool(pool);
}
END_TEST

START_TEST(the_turn_of_a_serial_in_the_queue)
{
    gate hold = GATE_INIT;
    counter ran = COUNTER_INIT;
    weir_pool *pool = known_pool(1, 64);
    weir_task tasks[2] = {WEIR_TASK_INIT, WEIR_TASK_INIT};
    weir_serial serial;
    ck_assert_int_eq(weir_serial_init(&serial, pool, NULL), 0);
    saturate(pool, &hold, 1);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(weir_serial_submit(&serial, &tasks[i], counter_task, &ran, NULL), 0);
    assert_line(dump(pool), "queued: 1 x \"(serial)\"", NULL);
    gate_open(&hold);
    ck_assert_int_eq(weir_serial_drain(&serial), 0);
    weir_serial_destroy(&serial);
    finish_pool(pool);
}
END_TEST

static int wait_outside(void *task)
{
    return weir_task_wait(task);
}

START_TEST(what_is_queued_is_waited_for)
{
    gate hold = GATE_INIT;
    counter ran = COUNTER_INIT;
    weir_pool *pool = known_pool(1, 4);
    weir_task queued = WEIR_TASK_INIT;
    saturate(pool, &hold, 1);
    ck_assert_int_eq(weir_pool_submit_task(pool, &queued, counter_task, &ran, NULL), 0);
    caller waiter;
    caller_start(&waiter, wait_outside, &queued);
    ck_assert(caller_await_asleep(&waiter));
    int64_t until = weir_after(WEIR_S(20));
    while (!has_line(dump(pool), "thread ", ", waits for a queued task") && weir_now() < until)
        continue;
    assert_line(page.text, "thread ", "blocked in weir_task_wait on ");
    gate_open(&hold);
    ck_assert_int_eq(caller_join(&waiter), 0);
    finish_pool(pool);
}
END_TEST

/* Trouble. */

struct stubborn {
    unsigned calls, fails_at;
};

static int fail_at(const char *text, size_t n, void *arg)
{
    struct stubborn *stubborn = arg;
    (void)text;
    (void)n;
    return ++stubborn->calls == stubborn->fails_at ? -EIO : 0;
}

START_TEST(a_write_that_fails_ends_the_dump)
{
    gate hold = GATE_INIT;
    counter ran = COUNTER_INIT;
    weir_pool *pool = known_pool(2, 4);
    saturate(pool, &hold, 2);
    ck_assert_int_eq(weir_pool_submit(pool, counter_task, &ran), 0);
    struct stubborn count = {0, 0};
    ck_assert_int_eq(weir_pool_dump(pool, fail_at, &count), 0);
    ck_assert_uint_ge(count.calls, 5);
    for (unsigned i = 1; i <= count.calls; i++) {
        struct stubborn stubborn = {0, i};
        ck_assert_int_eq(weir_pool_dump(pool, fail_at, &stubborn), -EIO);
        ck_assert_uint_eq(stubborn.calls, i);
    }
    gate_open(&hold);
    finish_pool(pool);
}
END_TEST

static int wait_at_gate(const char *text, size_t n, void *arg)
{
    (void)text;
    (void)n;
    gate_wait(arg);
    return 0;
}

static int dump_to_gate(void *arg)
{
    void **args = arg;
    return weir_pool_dump(args[0], wait_at_gate, args[1]);
}

START_TEST(a_write_that_blocks_holds_up_nothing)
{
    gate hold = GATE_INIT;
    counter ran = COUNTER_INIT;
    weir_pool *pool = known_pool(2, 4);
    void *args[] = {pool, &hold};
    caller dumper;
    caller_start(&dumper, dump_to_gate, args);
    gate_await(&hold, 1);
    for (size_t i = 0; i < 1000; i++)
        ck_assert_int_eq(weir_pool_submit(pool, counter_task, &ran), 0);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    ck_assert_uint_eq(counter_get(&ran), 1000);
    assert_line(dump(pool), "pool ", NULL);
    gate_open(&hold);
    ck_assert_int_eq(caller_join(&dumper), 0);
    finish_pool(pool);
}
END_TEST

START_TEST(in_a_forked_child)
{
    gate hold = GATE_INIT;
    weir_pool *pool = known_pool(1, 4);
    saturate(pool, &hold, 1);
    page.length = 0;
    pid_t child = fork();
    if (child == 0) {
        int err = weir_pool_dump(pool, append, &page);
        weir_pool_free(pool);
        _exit(err == -ESTALE && page.length == 0 ? 0 : 1);
    }
    int status;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    gate_open(&hold);
    finish_pool(pool);
}
END_TEST

static weir_pool *signalled;

static void on_signal(int number)
{
    (void)number;
    (void)weir_pool_dump(signalled, append, &page);
}

static int raise_signal(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return raise(SIGABRT); /* not blocked in workers */
}

START_TEST(from_a_signal_handler)
{
    struct sigaction action = {.sa_handler = on_signal}, before;
    ck_assert_int_eq(sigaction(SIGABRT, &action, &before), 0);
    signalled = known_pool(1, 4);
    page.length = 0;
    ck_assert_int_eq(weir_pool_submit(signalled, raise_signal, NULL), 0);
    ck_assert_int_eq(weir_pool_drain(signalled), 0);
    assert_line(page.text, "worker 0 (", "running raise_signal for ");
    page.length = 0;
    ck_assert_int_eq(raise(SIGABRT), 0);
    assert_line(page.text, "worker 0 (", NULL);
    ck_assert_int_eq(sigaction(SIGABRT, &before, NULL), 0);
    finish_pool(signalled);
}
END_TEST

/* While all moves. */

enum { NAME = 90 };

/* Is each name there one letter, again and again, as all are that were given? */
static void assert_whole_names(const char *text)
{
    for (const char *at = strchr(text, '"'); at != NULL; at = strchr(at, '"')) {
        char first = *++at;
        size_t length = strcspn(at, "\"");
        if (strncmp(at, "known", length) != 0)
            ck_assert_msg(length > 40 && strspn(at, (char[]){first, '\0'}) == length,
                          "a torn name in:\n%s", text);
        at += length + 1;
    }
}

static atomic_bool enough;

/* Names and handles that are freed as soon as they may be. */
static int come_and_go(void *arg)
{
    for (char letter = 'a'; !enough; letter = letter == 'z' ? 'a' : (char)(letter + 1)) {
        char *name = malloc(NAME + 1);
        weir_task *task = calloc(1, sizeof *task);
        if (name == NULL || task == NULL)
            abort();
        memset(name, letter, NAME);
        name[NAME] = '\0';
        counter runs = COUNTER_INIT;
        if (weir_pool_submit_task(arg, task, counter_task, &runs,
                                  WEIR_TASK_OPTIONS(.name = name)) != 0)
            abort();
        if (letter % 2 == 0)
            (void)weir_task_cancel(task);
        if (weir_task_wait(task) != 0)
            abort();
        memset(name, '!', NAME);
        memset(task, 0xff, sizeof *task);
        free(name);
        free(task);
    }
    return 0;
}

START_TEST(no_name_is_torn)
{
    weir_pool *pool = known_pool(2, 4);
    caller callers[3];
    enough = false;
    for (int i = 0; i < 3; i++)
        caller_start(&callers[i], come_and_go, pool);
    for (int i = 0; i < 300; i++)
        assert_whole_names(dump(pool));
    enough = true;
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(caller_join(&callers[i]), 0);
    finish_pool(pool);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("dump");
    TCase *form = add_group(suite, "form");
    tcase_add_test(form, bad_arguments);
    tcase_add_test(form, an_idle_pool);
    tcase_add_test(form, to_a_file_descriptor);
    TCase *names = add_group(suite, "names");
    tcase_add_test(names, names_of_tasks);
    tcase_add_test(names, names_of_plain_tasks);
    tcase_add_test(names, names_of_wrapped_tasks);
    TCase *threads = add_group(suite, "threads");
    tcase_add_test(threads, a_blocked_task_and_the_thread_that_it_waits_for);
    tcase_add_test(threads, a_task_within_a_task);
    tcase_add_test(threads, more_levels_than_are_kept);
    tcase_add_test(threads, from_a_task);
    tcase_add_test(threads, a_pool_that_has_locked_itself_up);
    tcase_add_test(threads, threads_outside_that_are_blocked);
    tcase_add_test(threads, a_thread_outside_that_runs_a_task);
    TCase *queue = add_group(suite, "queue");
    tcase_add_test(queue, the_queue_by_name);
    tcase_add_test(queue, the_turn_of_a_serial_in_the_queue);
    tcase_add_test(queue, what_is_queued_is_waited_for);
    TCase *trouble = add_group(suite, "trouble");
    tcase_add_test(trouble, a_write_that_fails_ends_the_dump);
    tcase_add_test(trouble, a_write_that_blocks_holds_up_nothing);
    tcase_add_test(trouble, in_a_forked_child);
    tcase_add_test(trouble, from_a_signal_handler);
    tcase_add_test(trouble, no_name_is_torn);
    return suite;
}
