/* SPDX-License-Identifier: MIT */
/* trace.c - the timeline: what is in it, what is lost, and what it is asked wrongly. Whether the
 * text is JSON, slices nest and arrows meet, tests/timeline/check.py looks at. */
#include "support/suite.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/gate.h"
#include "support/pools.h"
#include "support/threads.h"
#include "weir.h"

/* What a trace wrote. */
struct sheet {
    char *text;
    size_t n;
    unsigned calls;
    int err;    /* what write returns, */
    size_t ok;  /* after so many bytes */
    gate *hold; /* or NULL */
};

static int keep(const char *text, size_t n, void *arg)
{
    struct sheet *sheet = arg;
    sheet->calls++;
    if (sheet->hold != NULL)
        gate_wait(sheet->hold);
    if (sheet->err != 0 && sheet->n >= sheet->ok)
        return sheet->err;
    sheet->text = realloc(sheet->text, sheet->n + n + 1);
    if (sheet->text == NULL)
        give_up("no memory for a trace");
    memcpy(sheet->text + sheet->n, text, n);
    sheet->n += n;
    sheet->text[sheet->n] = '\0';
    return 0;
}

static void begin_trace(struct sheet *sheet, unsigned events)
{
    int err = weir_trace_start(WEIR_TRACE_OPTIONS(.write = keep, .arg = sheet, .events = events));
    ck_assert_int_eq(err, 0);
}

static void end_trace(void)
{
    ck_assert_int_eq(weir_trace_stop(), 0);
}

/* How often it occurs. */
static unsigned count_of(const struct sheet *sheet, const char *what)
{
    unsigned count = 0;
    size_t length = strlen(what);
    for (size_t i = 0; i + length <= sheet->n; i++)
        count += sheet->text[i] == what[0] && memcmp(sheet->text + i, what, length) == 0;
    return count;
}

static void drop(struct sheet *sheet)
{
    free(sheet->text);
    *sheet = (struct sheet){0};
}

static int nothing(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return 0;
}

static int fails(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return -EIO;
}

/* What is in it. */

START_TEST(every_run_is_there)
{
    enum { TASKS = 2000 };
    struct sheet sheet = {0};
    weir_pool *pool = new_pool(2, 64);
    begin_trace(&sheet, 0);
    for (int i = 0; i < TASKS; i++)
        ck_assert_int_eq(weir_pool_submit(pool, nothing, NULL), 0);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    end_trace();
    ck_assert_uint_eq(weir_trace_lost(), 0);
    ck_assert_uint_eq(count_of(&sheet, "\"end\":\"done\",\"status\":0"), TASKS);
    ck_assert_uint_eq(count_of(&sheet, "\"wait_us\":"), TASKS);
    ck_assert_uint_eq(count_of(&sheet, "\"name\":\"nothing\",\"cat\":\"task\""), TASKS);
    ck_assert_uint_eq(count_of(&sheet, "\"name\":\"submit\""), TASKS);
    ck_assert_uint_eq(count_of(&sheet, "\"ph\":\"s\""), TASKS);
    ck_assert_uint_eq(count_of(&sheet, "\"ph\":\"f\""), TASKS);
    ck_assert(count_of(&sheet, "\"weir busy\"") > 0);
    finish_pool(pool);
    drop(&sheet);
}
END_TEST

START_TEST(the_name_of_a_task_is_kept_though_it_is_gone)
{
    struct sheet sheet = {0};
    weir_pool *pool = new_pool(1, 4);
    begin_trace(&sheet, 0);
    weir_task task = WEIR_TASK_INIT;
    char name[] = "resize \"1\"\n\xff";
    int err = weir_pool_submit_task(pool, &task, fails, NULL, WEIR_TASK_OPTIONS(.name = name));
    ck_assert_int_eq(err, 0);
    ck_assert_int_eq(weir_task_wait(&task), 0);
    memset(name, 'x', sizeof name);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    end_trace();
    ck_assert_uint_eq(count_of(&sheet, "\"name\":\"resize \\\"1\\\"\\u000a\\ufffd\""), 1);
    ck_assert_uint_eq(count_of(&sheet, "\"end\":\"failed\",\"status\":-5"), 1);
    finish_pool(pool);
    drop(&sheet);
}
END_TEST

static int nested(weir_context *ctx, void *arg)
{
    (void)ctx;
    weir_trace_begin("outer");
    weir_trace_begin("inner");
    weir_trace_end();
    weir_trace_count("level", *(const int *)arg);
    weir_trace_begin("left open"); /* ends with the task, as does "outer" */
    return 0;
}

START_TEST(slices_of_the_program_end_with_the_task_at_the_latest)
{
    struct sheet sheet = {0};
    int level = -12;
    weir_pool *pool = new_pool(1, 4);
    begin_trace(&sheet, 0);
    weir_trace_end(); /* of nothing */
    ck_assert_int_eq(weir_pool_submit(pool, nested, &level), 0);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    ck_assert_int_eq(weir_pool_submit(pool, nothing, NULL), 0);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    weir_trace_begin(NULL); /* not over when the trace is */
    end_trace();
    ck_assert_uint_eq(count_of(&sheet, "\"name\":\"outer\",\"cat\":\"program\""), 1);
    ck_assert_uint_eq(count_of(&sheet, "\"name\":\"inner\""), 1);
    ck_assert_uint_eq(count_of(&sheet, "\"name\":\"left open\""), 1);
    ck_assert_uint_eq(count_of(&sheet, "\"name\":\"\",\"cat\":\"program\""), 1);
    ck_assert_uint_eq(count_of(&sheet, "\"name\":\"level\""), 1);
    ck_assert_uint_eq(count_of(&sheet, "\"args\":{\"value\":-12}"), 1);
    ck_assert_uint_eq(count_of(&sheet, "\"end\":\"done\""), 2);
    finish_pool(pool);
    drop(&sheet);
}
END_TEST

START_TEST(what_never_ran_is_there_too)
{
    static gate hold = GATE_INIT;
    struct sheet sheet = {0};
    weir_pool *pool = new_pool(1, 2);
    saturate(pool, &hold, 1);
    begin_trace(&sheet, 0);
    weir_task cancelled = WEIR_TASK_INIT, expired = WEIR_TASK_INIT;
    int err = weir_pool_submit_task(pool, &cancelled, nothing, NULL, NULL);
    ck_assert_int_eq(err, 0);
    err = weir_pool_submit_task(pool, &expired, nothing, NULL,
                                WEIR_TASK_OPTIONS(.start_by = weir_after(WEIR_US(1))));
    if (err == -ETIMEDOUT) /* the time had passed before it was looked at */
        ck_assert_uint_eq(weir_pool_queued(pool), 1);
    else
        ck_assert_int_eq(err, 0);
    ck_assert_int_eq(weir_task_cancel(&cancelled), 0);
    int refused = 0;
    for (int i = 0; i < 4; i++)
        refused += weir_pool_try_submit(pool, nothing, NULL) == -EAGAIN;
    gate_open(&hold);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    weir_pool_close(pool);
    ck_assert_int_eq(weir_pool_submit(pool, nothing, NULL), -EPIPE);
    end_trace();
    ck_assert_int_gt(refused, 0);
    ck_assert_uint_eq(count_of(&sheet, "\"reason\":\"full\""), (unsigned)refused);
    ck_assert_uint_eq(count_of(&sheet, "\"reason\":\"closed\""), 1);
    ck_assert_uint_eq(count_of(&sheet, "\"ph\":\"i\",\"name\":\"cancelled\""), 1);
    ck_assert_uint_eq(count_of(&sheet, "\"ph\":\"i\",\"name\":\"expired\"") +
                          count_of(&sheet, "\"reason\":\"too late\""),
                      1);
    finish_pool(pool);
    drop(&sheet);
}
END_TEST

START_TEST(retries_and_breakers_are_there)
{
    struct sheet sheet = {0};
    weir_breaker breaker;
    weir_pool *pool = new_pool(1, 4);
    ck_assert_int_eq(weir_breaker_init(&breaker, WEIR_BREAKER_OPTIONS(.window = 1)), 0);
    begin_trace(&sheet, 0);
    weir_task task = WEIR_TASK_INIT;
    weir_retry_options *options = WEIR_RETRY_OPTIONS(.max_attempts = 3, .initial_interval = 1);
    ck_assert_int_eq(weir_pool_submit_retry(pool, &task, fails, NULL, NULL, options), 0);
    ck_assert_int_eq(weir_task_wait(&task), 0);
    ck_assert_int_eq(weir_retry_until(options, fails, NULL, NULL, WEIR_FOREVER), -EIO);
    uint64_t ticket;
    ck_assert_int_eq(weir_breaker_allow(&breaker, &ticket), 0);
    weir_breaker_record(&breaker, ticket, -EIO);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    end_trace();
    ck_assert_uint_eq(count_of(&sheet, "\"name\":\"retry\""), 4);
    ck_assert_uint_eq(count_of(&sheet, "\"end\":\"failed\",\"status\":-5"), 3);
    ck_assert_uint_eq(count_of(&sheet, "\"name\":\"breaker open\""), 1);
    finish_pool(pool);
    drop(&sheet);
}
END_TEST

static int acquire(void *sem)
{
    return weir_semaphore_acquire(sem, 1);
}

START_TEST(a_wait_shows_the_call)
{
    struct sheet sheet = {0};
    weir_semaphore sem;
    caller thread;
    ck_assert_int_eq(weir_semaphore_init(&sem, 1), 0);
    ck_assert_int_eq(weir_semaphore_acquire(&sem, 1), 0);
    begin_trace(&sheet, 0);
    caller_start(&thread, acquire, &sem);
    ck_assert(caller_await_asleep(&thread));
    weir_semaphore_release(&sem, 1);
    ck_assert_int_eq(caller_join(&thread), 0);
    end_trace();
    ck_assert_uint_eq(count_of(&sheet, "\"name\":\"weir_semaphore_acquire\",\"cat\":\"blocked\""),
                      1);
    weir_semaphore_destroy(&sem);
    drop(&sheet);
}
END_TEST

static int stop_it(weir_context *ctx, void *arg)
{
    (void)ctx;
    *(int *)arg = weir_trace_stop();
    return 0;
}

START_TEST(a_task_can_stop_it_and_is_shown_as_running)
{
    struct sheet sheet = {0};
    int err = 1;
    weir_pool *pool = new_pool(1, 4);
    begin_trace(&sheet, 0);
    ck_assert_int_eq(weir_pool_submit(pool, stop_it, &err), 0);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    ck_assert_int_eq(err, 0);
    ck_assert_uint_eq(count_of(&sheet, "\"end\":\"running\""), 1);
    finish_pool(pool);
    drop(&sheet);
}
END_TEST

static void slice(const char *name)
{
    weir_trace_begin(name);
    weir_trace_end();
}

static int brief(void *unused)
{
    (void)unused;
    slice("brief");
    return 0;
}

START_TEST(a_thread_that_has_ended_is_in_it)
{
    struct sheet sheet = {0};
    caller thread;
    begin_trace(&sheet, 0);
    caller_start(&thread, brief, NULL);
    (void)caller_join(&thread);
    end_trace();
    ck_assert_uint_eq(count_of(&sheet, "\"name\":\"brief\""), 1);
    drop(&sheet);
}
END_TEST

static int submit_to(weir_context *ctx, void *pool)
{
    (void)ctx;
    weir_trace_begin("in the other");
    int err = weir_pool_submit(pool, nothing, NULL);
    weir_trace_end();
    return err;
}

START_TEST(one_pool_alone)
{
    struct sheet sheet = {0};
    weir_pool *pool = new_pool(1, 4), *other = new_pool(1, 4);
    int err = weir_trace_start(WEIR_TRACE_OPTIONS(.write = keep, .arg = &sheet, .pool = pool));
    ck_assert_int_eq(err, 0);
    ck_assert_int_eq(weir_pool_submit(other, submit_to, pool), 0);
    ck_assert_int_eq(weir_pool_drain(other), 0);
    ck_assert_int_eq(weir_pool_submit(pool, submit_to, other), 0);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    ck_assert_int_eq(weir_pool_drain(other), 0);
    weir_trace_begin("outside");
    weir_trace_end();
    end_trace();
    ck_assert_uint_eq(count_of(&sheet, "\"end\":\"done\""), 2);
    ck_assert_uint_eq(count_of(&sheet, "\"name\":\"submit\""), 2);
    ck_assert_uint_eq(count_of(&sheet, "\"name\":\"in the other\""), 1);
    ck_assert_uint_eq(count_of(&sheet, "\"name\":\"outside\""), 1);
    finish_pool(pool);
    finish_pool(other);
    drop(&sheet);
}
END_TEST

/* A run in place was not taken from a queue, whatever its thread took before. */
START_TEST(what_is_left_out_leaves_no_arrow_behind)
{
    struct sheet sheet = {0};
    gate hold = GATE_INIT;
    weir_pool *pool = NULL, *other = new_pool(1, 4);
    int err = weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1,
                                                     .overflow = WEIR_OVERFLOW_CALLER_RUNS));
    ck_assert_int_eq(err, 0);
    err = weir_trace_start(WEIR_TRACE_OPTIONS(.write = keep, .arg = &sheet, .pool = pool));
    ck_assert_int_eq(err, 0);
    saturate(pool, &hold, 1);
    ck_assert_int_eq(weir_pool_submit(pool, nothing, NULL), 0);
    ck_assert_int_eq(weir_pool_submit(other, submit_to, pool), 0);
    ck_assert_int_eq(weir_pool_drain(other), 0);
    gate_open(&hold);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    end_trace();
    ck_assert_uint_eq(count_of(&sheet, "\"end\":\"done\""), 3);
    ck_assert_uint_eq(count_of(&sheet, "\"ph\":\"s\""), 2);
    ck_assert_uint_eq(count_of(&sheet, "\"ph\":\"f\""), 2);
    finish_pool(pool);
    finish_pool(other);
    drop(&sheet);
}
END_TEST

START_TEST(pools_of_one_name_are_told_apart)
{
    struct sheet sheet = {0};
    weir_pool *pools[] = {new_pool(1, 4), new_pool(1, 4)};
    begin_trace(&sheet, 0);
    for (unsigned i = 0; i < 2; i++) {
        ck_assert_int_eq(weir_pool_submit(pools[i], nothing, NULL), 0);
        ck_assert_int_eq(weir_pool_drain(pools[i]), 0);
    }
    end_trace();
    ck_assert_uint_eq(count_of(&sheet, "{\"pool\":\"weir\",\"wait_us\""), 1);
    ck_assert_uint_eq(count_of(&sheet, "{\"pool\":\"weir 02\",\"wait_us\""), 1);
    finish_pool(pools[0]);
    finish_pool(pools[1]);
    drop(&sheet);
}
END_TEST

/* What is lost. */

START_TEST(the_newest_events_win_and_the_others_are_counted)
{
    enum { EVENTS = 16, SLICES = 100 };
    struct sheet sheet = {0};
    begin_trace(&sheet, EVENTS);
    ck_assert_uint_eq(weir_trace_lost(), 0);
    for (int i = 0; i < SLICES; i++)
        slice(i + EVENTS / 2 < SLICES ? "old" : "new");
    ck_assert_uint_eq(weir_trace_lost(), 2 * SLICES - EVENTS);
    end_trace();
    ck_assert_uint_eq(weir_trace_lost(), 2 * SLICES - EVENTS);
    ck_assert_uint_eq(count_of(&sheet, "\"name\":\"new\""), EVENTS / 2);
    ck_assert_uint_eq(count_of(&sheet, "\"name\":\"old\""), 0);
    ck_assert_uint_eq(count_of(&sheet, "{\"lost\":184}"), 1);
    drop(&sheet);
    begin_trace(&sheet, EVENTS);
    ck_assert_uint_eq(weir_trace_lost(), 0);
    end_trace();
    drop(&sheet);
}
END_TEST

START_TEST(a_ring_of_one_event_is_enough_to_run_on)
{
    struct sheet sheet = {0};
    weir_pool *pool = new_pool(1, 4);
    begin_trace(&sheet, 1);
    weir_task task = WEIR_TASK_INIT;
    int err = weir_pool_submit_task(pool, &task, nothing, NULL, WEIR_TASK_OPTIONS(.name = "x"));
    ck_assert_int_eq(err, 0);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    end_trace();
    /* This thread: submit, its end, the wait if there was one; the worker: run, name, end. */
    ck_assert_uint_ge(weir_trace_lost(), 3);
    finish_pool(pool);
    drop(&sheet);
}
END_TEST

START_TEST(threads_beyond_the_last_ring_are_counted_as_lost)
{
    struct sheet sheet = {0};
    caller thread;
    int err = weir_trace_start(WEIR_TRACE_OPTIONS(.write = keep, .arg = &sheet, .threads = 1));
    ck_assert_int_eq(err, 0);
    slice("first");
    caller_start(&thread, brief, NULL);
    (void)caller_join(&thread);
    ck_assert_uint_eq(weir_trace_lost(), 2);
    end_trace();
    ck_assert_uint_eq(weir_trace_lost(), 2);
    ck_assert_uint_eq(count_of(&sheet, "\"name\":\"first\""), 1);
    ck_assert_uint_eq(count_of(&sheet, "\"name\":\"brief\""), 0);
    drop(&sheet);
}
END_TEST

/* Start and stop. */

START_TEST(nothing_is_noted_without_a_trace)
{
    uint64_t lost = weir_trace_lost();
    weir_trace_begin("x");
    weir_trace_count("x", 1);
    weir_trace_end();
    ck_assert_uint_eq(weir_trace_lost(), lost);
    ck_assert_int_eq(weir_trace_stop(), -EALREADY);
    struct sheet sheet = {0};
    begin_trace(&sheet, 0);
    end_trace();
    ck_assert_int_eq(weir_trace_stop(), -EALREADY);
    ck_assert_uint_eq(count_of(&sheet, "\"name\":"), 1); /* of the trace itself */
    drop(&sheet);
}
END_TEST

static int start_again(const char *text, size_t n, void *arg)
{
    int *err = arg;
    (void)text;
    (void)n;
    err[0] = weir_trace_start(WEIR_TRACE_OPTIONS(.write = start_again, .arg = arg));
    err[1] = weir_trace_stop();
    weir_trace_begin("while it is written");
    return 0;
}

START_TEST(there_is_one_at_a_time)
{
    struct sheet sheet = {0};
    int err[2] = {0, 0};
    begin_trace(&sheet, 0);
    ck_assert_int_eq(weir_trace_start(WEIR_TRACE_OPTIONS(.write = keep, .arg = &sheet)), -EBUSY);
    end_trace();
    ck_assert_int_eq(weir_trace_start(WEIR_TRACE_OPTIONS(.write = start_again, .arg = err)), 0);
    end_trace();
    ck_assert_int_eq(err[0], -EBUSY);
    ck_assert_int_eq(err[1], -EALREADY);
    drop(&sheet);
}
END_TEST

START_TEST(options_that_can_never_be_valid)
{
    struct sheet sheet = {0};
    ck_assert_int_eq(weir_trace_start(NULL), -EINVAL);
    ck_assert_int_eq(weir_trace_start(WEIR_TRACE_OPTIONS(.arg = &sheet)), -EINVAL);
    ck_assert_int_eq(weir_trace_start(WEIR_TRACE_OPTIONS(.write = keep, .path = "x")), -EINVAL);
    ck_assert_int_eq(weir_trace_start(WEIR_TRACE_OPTIONS(.write = keep, .events = (1 << 24) + 1)),
                     -EINVAL);
    ck_assert_int_eq(weir_trace_start(WEIR_TRACE_OPTIONS(.write = keep, .threads = 4097)), -EINVAL);
    weir_trace_options options;
    weir_trace_options_init(&options);
    options.write = keep;
    options.size--;
    ck_assert_int_eq(weir_trace_start(&options), -EINVAL);
    struct {
        weir_trace_options options;
        char more;
    } longer = {.options = {.size = sizeof longer, .write = keep}, .more = 1};
    ck_assert_int_eq(weir_trace_start(&longer.options), -E2BIG);
    weir_trace_options_init(NULL);
    ck_assert_int_eq(weir_trace_stop(), -EALREADY);
}
END_TEST

START_TEST(a_file_that_cannot_be_written)
{
    ck_assert_int_eq(weir_trace_start(WEIR_TRACE_OPTIONS(.path = "/nowhere/trace")), -ENOENT);
    ck_assert_int_eq(weir_trace_start(WEIR_TRACE_OPTIONS(.path = "/")), -EISDIR);
    ck_assert_int_eq(weir_trace_start(WEIR_TRACE_OPTIONS(.path = "")), -ENOENT);
    ck_assert_int_eq(weir_trace_stop(), -EALREADY);
    if (access("/dev/full", W_OK) == 0) {
        weir_pool *pool = new_pool(1, 4);
        ck_assert_int_eq(weir_trace_start(WEIR_TRACE_OPTIONS(.path = "/dev/full")), 0);
        ck_assert_int_eq(weir_pool_submit(pool, nothing, NULL), 0);
        ck_assert_int_eq(weir_trace_stop(), -ENOSPC);
        ck_assert_int_eq(weir_trace_stop(), -EALREADY);
        finish_pool(pool);
    }
    struct sheet sheet = {0}; /* nothing of it is left */
    begin_trace(&sheet, 0);
    end_trace();
    drop(&sheet);
}
END_TEST

START_TEST(the_error_of_a_write_ends_it_and_is_returned)
{
    struct sheet sheet = {.err = 17, .ok = 1};
    begin_trace(&sheet, 0);
    for (int i = 0; i < 5000; i++)
        slice("x");
    ck_assert_int_eq(weir_trace_stop(), 17);
    ck_assert_uint_eq(sheet.calls, 2);
    ck_assert_int_eq(weir_trace_stop(), -EALREADY);
    drop(&sheet);
}
END_TEST

static int stop(void *unused)
{
    (void)unused;
    return weir_trace_stop();
}

START_TEST(a_write_that_blocks_holds_up_nobody)
{
    static gate hold = GATE_INIT;
    struct sheet sheet = {.hold = &hold};
    weir_pool *pool = new_pool(1, 4);
    caller stopper;
    begin_trace(&sheet, 0);
    caller_start(&stopper, stop, NULL);
    gate_await(&hold, 1);
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(weir_pool_submit(pool, nothing, NULL), 0);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    weir_trace_begin("x");
    ck_assert_uint_eq(weir_trace_lost(), 0);
    ck_assert_int_eq(weir_trace_stop(), -EALREADY);
    gate_open(&hold);
    ck_assert_int_eq(caller_join(&stopper), 0);
    ck_assert_uint_eq(count_of(&sheet, "\"name\":\"submit\""), 0);
    finish_pool(pool);
    drop(&sheet);
}
END_TEST

static atomic_bool enough;

static int go_on(void *unused)
{
    (void)unused;
    while (!atomic_load(&enough)) {
        weir_trace_begin("a");
        weir_trace_count("b", 1);
        weir_trace_end();
        (void)weir_trace_lost();
    }
    return 0;
}

START_TEST(starts_and_stops_against_threads_that_note)
{
    enum { THREADS = 3, ROUNDS = 100 };
    caller threads[THREADS];
    weir_pool *pool = new_pool(2, 16);
    atomic_store(&enough, false);
    for (int i = 0; i < THREADS; i++)
        caller_start(&threads[i], go_on, NULL);
    for (int round = 0; round < ROUNDS; round++) {
        struct sheet sheet = {0};
        int err = weir_trace_start(
            WEIR_TRACE_OPTIONS(.write = keep, .arg = &sheet, .events = 64, .threads = 8));
        ck_assert_int_eq(err, 0);
        for (int i = 0; i < 8; i++)
            ck_assert_int_eq(weir_pool_submit(pool, nothing, NULL), 0);
        end_trace();
        ck_assert_int_eq(memcmp(sheet.text + sheet.n - 3, "\n]\n", 3), 0);
        drop(&sheet);
    }
    atomic_store(&enough, true);
    for (int i = 0; i < THREADS; i++)
        (void)caller_join(&threads[i]);
    finish_pool(pool);
}
END_TEST

static int try_to_stop(void *arg)
{
    meeting_wait(arg);
    return weir_trace_stop();
}

START_TEST(one_of_several_stops_it)
{
    enum { THREADS = 4, ROUNDS = 20 };
    static meeting start = MEETING_INIT(THREADS);
    for (int round = 0; round < ROUNDS; round++) {
        struct sheet sheet = {0};
        caller threads[THREADS];
        int done = 0, already = 0;
        begin_trace(&sheet, 64);
        for (int i = 0; i < THREADS; i++)
            caller_start(&threads[i], try_to_stop, &start);
        for (int i = 0; i < THREADS; i++) {
            int err = caller_join(&threads[i]);
            done += err == 0;
            already += err == -EALREADY;
        }
        ck_assert_int_eq(done, 1);
        ck_assert_int_eq(already, THREADS - 1);
        drop(&sheet);
    }
}
END_TEST

/* Fork. */

static int child(void)
{
    struct sheet sheet = {0};
    if (weir_trace_stop() != -EALREADY)
        return 1;
    weir_trace_begin("not noted");
    if (weir_trace_start(WEIR_TRACE_OPTIONS(.write = keep, .arg = &sheet)) != 0)
        return 2;
    slice("of the child");
    if (weir_trace_stop() != 0 || count_of(&sheet, "of the child") != 1 ||
        count_of(&sheet, "not noted") != 0 || count_of(&sheet, "of the parent") != 0)
        return 3;
    free(sheet.text);
    return 0;
}

START_TEST(a_child_has_no_trace_and_can_begin_one)
{
    struct sheet sheet = {0};
    begin_trace(&sheet, 64);
    slice("of the parent");
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        _exit(child());
    int status = -1;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    slice("of the parent");
    end_trace();
    ck_assert_uint_eq(count_of(&sheet, "of the parent"), 2);
    ck_assert_uint_eq(count_of(&sheet, "of the child"), 0);
    drop(&sheet);
}
END_TEST

/* The file's number may be another file's there by the time it begins a trace. */
START_TEST(a_child_has_let_go_of_the_file)
{
    int fd = open("/dev/null", O_RDONLY); /* the next file gets that number */
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(close(fd), 0);
    ck_assert_int_eq(weir_trace_start(WEIR_TRACE_OPTIONS(.path = "/dev/null")), 0);
    ck_assert_int_ge(fcntl(fd, F_GETFD), 0);
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        _exit(fcntl(fd, F_GETFD) >= 0);
    int status = -1;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    end_trace();
}
END_TEST

static void *nothing_inherited(weir_pool *pool)
{
    struct sheet sheet = {0};
    int err = weir_trace_start(WEIR_TRACE_OPTIONS(.write = keep, .arg = &sheet, .pool = pool));
    return err == -ESTALE ? NULL : pool;
}

START_TEST(a_pool_of_the_parent_is_stale)
{
    weir_pool *pool = new_pool(1, 4);
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid == 0)
        _exit(nothing_inherited(pool) != NULL);
    int status = -1;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_int_eq(status, 0);
    finish_pool(pool);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("trace");
    TCase *content = add_group(suite, "content");
    tcase_add_test(content, every_run_is_there);
    tcase_add_test(content, the_name_of_a_task_is_kept_though_it_is_gone);
    tcase_add_test(content, slices_of_the_program_end_with_the_task_at_the_latest);
    tcase_add_test(content, what_never_ran_is_there_too);
    tcase_add_test(content, retries_and_breakers_are_there);
    tcase_add_test(content, a_wait_shows_the_call);
    tcase_add_test(content, a_task_can_stop_it_and_is_shown_as_running);
    tcase_add_test(content, a_thread_that_has_ended_is_in_it);
    tcase_add_test(content, one_pool_alone);
    tcase_add_test(content, what_is_left_out_leaves_no_arrow_behind);
    tcase_add_test(content, pools_of_one_name_are_told_apart);

    TCase *loss = add_group(suite, "loss");
    tcase_add_test(loss, the_newest_events_win_and_the_others_are_counted);
    tcase_add_test(loss, a_ring_of_one_event_is_enough_to_run_on);
    tcase_add_test(loss, threads_beyond_the_last_ring_are_counted_as_lost);

    TCase *life = add_group(suite, "life");
    tcase_add_test(life, nothing_is_noted_without_a_trace);
    tcase_add_test(life, there_is_one_at_a_time);
    tcase_add_test(life, options_that_can_never_be_valid);
    tcase_add_test(life, a_file_that_cannot_be_written);
    tcase_add_test(life, the_error_of_a_write_ends_it_and_is_returned);
    tcase_add_test(life, a_write_that_blocks_holds_up_nobody);
    tcase_add_test(life, starts_and_stops_against_threads_that_note);
    tcase_add_test(life, one_of_several_stops_it);

    TCase *forked = add_group(suite, "fork");
    tcase_add_test(forked, a_child_has_no_trace_and_can_begin_one);
    tcase_add_test(forked, a_child_has_let_go_of_the_file);
    tcase_add_test(forked, a_pool_of_the_parent_is_stale);
    return suite;
}
