/* SPDX-License-Identifier: MIT */
/* serial.c - serials: turns that must not be lost or doubled, places that must stay exact, and
 * memory that is freed as soon as it may be. */
#include "scenario.h"

enum { TASKS = 3 };

struct line {
    weir_pool *pool;
    weir_serial *serial;
    weir_task *tasks[TASKS];
    unsigned runs;  /* plain: two at once are a race */
    unsigned order; /* of the last one that ran */
    int results[TASKS];
};

struct step {
    struct line *line;
    unsigned number; /* from 1 on */
};

static struct step steps[TASKS];

static int run(weir_context *ctx, void *arg)
{
    struct step *step = arg;
    (void)ctx;
    check(step->number > step->line->order);
    step->line->order = step->number;
    step->line->runs++;
    return 0;
}

static struct line *new_line(const weir_pool_options *options, const weir_serial_options *of_serial)
{
    struct line *line = make(sizeof *line);
    line->pool = new_worn_pool(options);
    line->serial = make(sizeof *line->serial);
    int err = weir_serial_init(line->serial, line->pool, of_serial);
    check(err == 0);
    for (unsigned i = 0; i < TASKS; i++) {
        line->tasks[i] = make(sizeof *line->tasks[i]);
        steps[i] = (struct step){line, i + 1};
    }
    return line;
}

static void submit(struct line *line, unsigned i)
{
    line->results[i] = weir_serial_submit(line->serial, line->tasks[i], run, &steps[i], NULL);
}

/* Destroys the serial, and frees it at once. */
static void end_serial(struct line *line)
{
    weir_serial_destroy(line->serial);
    drop(line->serial);
}

static void end_line(struct line *line)
{
    for (unsigned i = 0; i < TASKS; i++)
        drop(line->tasks[i]);
    end_pool(line->pool);
    drop(line);
}

static void drain(struct line *line)
{
    int err = weir_serial_drain(line->serial);
    check(err == 0);
}

static void submit_second(void *arg)
{
    submit(arg, 1);
}

/* One at a time, in order, on two workers; the ticket goes round. */
static void turns_on_two_workers(void)
{
    struct line *line =
        new_line(WEIR_POOL_OPTIONS(.workers = 2, .capacity = 2), WEIR_SERIAL_OPTIONS(.batch = 1));
    explore_begin();
    for (unsigned i = 0; i < TASKS; i++) {
        submit(line, i);
        check(line->results[i] == 0);
    }
    drain(line);
    check(line->runs == TASKS);
    end_serial(line);
    explore_end();
    end_line(line);
}

/* Two submitters: whoever comes second may find the serial on its way in, or out. */
static void last_task_against_a_new_submit(void)
{
    struct line *line = new_line(WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1), NULL);
    explore_begin();
    submit(line, 0);
    int err = weir_task_wait(line->tasks[0]);
    check(err == 0 && line->runs == 1);
    struct vthread *other = start(submit_second, line);
    finish(other);
    check(line->results[1] == 0);
    err = weir_task_wait(line->tasks[1]);
    check(err == 0 && line->runs == 2);
    end_serial(line);
    explore_end();
    end_line(line);
}

static void submit_against_drain(void)
{
    struct line *line = new_line(WEIR_POOL_OPTIONS(.workers = 1, .capacity = 2), NULL);
    explore_begin();
    submit(line, 0);
    struct vthread *other = start(submit_second, line);
    drain(line);
    finish(other);
    check(line->results[1] == 0);
    drain(line);
    check(line->runs == 2);
    end_serial(line);
    explore_end();
    end_line(line);
}

static void cancel_first(void *arg)
{
    struct line *line = arg;
    line->results[0] = weir_task_cancel(line->tasks[0]);
}

static void cancel_against_its_turn(void)
{
    struct line *line = new_line(WEIR_POOL_OPTIONS(.workers = 1, .capacity = 2), NULL);
    explore_begin();
    submit(line, 0);
    struct vthread *canceller = start(cancel_first, line);
    int err = weir_task_wait(line->tasks[0]);
    check(err == 0);
    weir_state state = weir_task_state(line->tasks[0]);
    finish(canceller);
    end_serial(line);
    explore_end();
    check((state == WEIR_TASK_CANCELLED) == (line->results[0] == 0));
    check(line->runs == (line->results[0] == 0 ? 0 : 1));
    end_line(line);
}

/* The canceller may be late: the task is another's by then. */
static void cancel_against_the_next_submit(bool to_a_serial)
{
    struct line *line = new_line(WEIR_POOL_OPTIONS(.workers = 1, .capacity = 2), NULL);
    weir_serial *other = make(sizeof *other);
    int err = weir_serial_init(other, line->pool, NULL);
    check(err == 0);
    explore_begin();
    submit(line, 0);
    struct vthread *canceller = start(cancel_first, line);
    err = weir_task_wait(line->tasks[0]);
    check(err == 0);
    line->order = 0;
    if (to_a_serial)
        err = weir_serial_submit(other, line->tasks[0], run, &steps[0], NULL);
    else
        err = weir_pool_submit_task(line->pool, line->tasks[0], run, &steps[0], NULL);
    check(err == 0);
    err = weir_task_wait(line->tasks[0]);
    check(err == 0);
    finish(canceller);
    end_serial(line);
    weir_serial_destroy(other);
    drop(other);
    explore_end();
    check(line->runs == (line->results[0] == 0 ? 1 : 2));
    end_line(line);
}

static void cancel_against_a_submit_to_the_pool(void)
{
    cancel_against_the_next_submit(false);
}

static void cancel_against_a_submit_to_another(void)
{
    cancel_against_the_next_submit(true);
}

static void close_line(void *arg)
{
    struct line *line = arg;
    weir_serial_close(line->serial);
}

/* The third waits below the limit, if the first has not started. */
static void close_against_a_submit(void)
{
    struct line *line =
        new_line(WEIR_POOL_OPTIONS(.workers = 1, .capacity = 2), WEIR_SERIAL_OPTIONS(.limit = 1));
    explore_begin();
    submit(line, 0);
    struct vthread *closer = start(close_line, line);
    submit(line, 1);
    finish(closer);
    drain(line);
    check(line->results[1] == 0 || line->results[1] == -EPIPE);
    check(line->runs == (line->results[1] == 0 ? 2 : 1));
    end_serial(line);
    explore_end();
    end_line(line);
}

static void wait_below_the_limit(void)
{
    struct line *line =
        new_line(WEIR_POOL_OPTIONS(.workers = 1, .capacity = 2), WEIR_SERIAL_OPTIONS(.limit = 1));
    explore_begin();
    submit(line, 0);
    submit(line, 1);
    check(line->results[1] == 0);
    drain(line);
    check(line->runs == 2);
    end_serial(line);
    explore_end();
    end_line(line);
}

static void submit_any(struct line *line, unsigned i)
{
    line->results[i] =
        weir_serial_submit(line->serial, line->tasks[i], count_run, &line->runs, NULL);
}

static void submit_any_second(void *arg)
{
    submit_any(arg, 1);
}

static void submit_any_third(void *arg)
{
    submit_any(arg, 2);
}

/* In a pool that rejects. Both wait for a place below the limit; the one that is woken for it may
 * find the pool full, and then leaves the place to the other. */
static void two_below_the_limit(void)
{
    struct line *line =
        new_line(WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1, .overflow = WEIR_OVERFLOW_REJECT),
                 WEIR_SERIAL_OPTIONS(.limit = 1));
    unsigned *runs = make(sizeof *runs);
    explore_begin();
    submit(line, 0);
    struct vthread *second = start(submit_any_second, line);
    struct vthread *third = start(submit_any_third, line);
    int err = weir_task_wait(line->tasks[0]);
    check(err == 0);
    unsigned accepted = weir_pool_try_submit(line->pool, count_run, runs) == 0;
    finish(second);
    finish(third);
    for (unsigned i = 1; i < TASKS; i++)
        check(line->results[i] == 0 || line->results[i] == -EAGAIN);
    drain(line);
    end_serial(line);
    err = weir_pool_drain(line->pool);
    check(err == 0 && *runs == accepted);
    explore_end();
    drop(runs);
    end_line(line);
}

static void shut_down(void *arg)
{
    struct line *line = arg;
    int err = weir_pool_shutdown(line->pool, WEIR_FOREVER, WEIR_FOREVER, NULL);
    check(err == 0);
}

static void cancel_pool(void *arg)
{
    struct line *line = arg;
    weir_pool_cancel_queued(line->pool);
}

static void submits_against(void (*what)(void *arg))
{
    struct line *line =
        new_line(WEIR_POOL_OPTIONS(.workers = 1, .capacity = 2), WEIR_SERIAL_OPTIONS(.batch = 1));
    unsigned accepted = 0, ended = 0;
    explore_begin();
    struct vthread *other = start(what, line);
    for (unsigned i = 0; i < 2; i++)
        submit(line, i);
    finish(other);
    drain(line);
    for (unsigned i = 0; i < 2; i++) {
        check(line->results[i] == 0 || line->results[i] == -EPIPE);
        accepted += line->results[i] == 0;
        ended += weir_task_state(line->tasks[i]) >= WEIR_TASK_DONE;
    }
    check(accepted == ended);
    end_serial(line);
    explore_end();
    end_line(line);
}

static void submit_against_shutdown(void)
{
    submits_against(shut_down);
}

static void submit_against_cancel(void)
{
    submits_against(cancel_pool);
}

/* A pool with two places, of which the serial has one until its two tasks are through. */

struct plain {
    weir_pool *pool;
    unsigned runs, accepted;
};

static void submit_plain(void *arg)
{
    struct plain *plain = arg;
    for (unsigned i = 0; i < 2; i++)
        plain->accepted += weir_pool_try_submit(plain->pool, count_run, &plain->runs) == 0;
}

static void turns_against_a_full_pool(void)
{
    struct line *line =
        new_line(WEIR_POOL_OPTIONS(.workers = 1, .capacity = 2), WEIR_SERIAL_OPTIONS(.batch = 1));
    struct plain *plain = make(sizeof *plain);
    plain->pool = line->pool;
    explore_begin();
    submit(line, 0);
    submit(line, 1);
    struct vthread *other = start(submit_plain, plain);
    drain(line);
    finish(other);
    end_serial(line);
    int err = weir_pool_drain(line->pool);
    check(err == 0 && line->runs == 2 && plain->runs == plain->accepted);
    explore_end();
    drop(plain);
    end_line(line);
}

/* The blocked submitter has the place once the serial has left it. */
static void room_after_a_serial(void)
{
    struct line *line =
        new_line(WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1), WEIR_SERIAL_OPTIONS(.batch = 1));
    unsigned *runs = make(sizeof *runs);
    explore_begin();
    submit(line, 0);
    submit(line, 1);
    int err = weir_pool_submit(line->pool, count_run, runs);
    check(err == 0);
    drain(line);
    end_serial(line);
    err = weir_pool_drain(line->pool);
    check(err == 0 && *runs == 1 && line->runs == 2);
    explore_end();
    drop(runs);
    end_line(line);
}

static void drop_oldest_beside_a_turn(void)
{
    struct line *line = new_line(
        WEIR_POOL_OPTIONS(.workers = 1, .capacity = 2, .overflow = WEIR_OVERFLOW_DROP_OLDEST),
        NULL);
    unsigned *runs = make(sizeof *runs);
    explore_begin();
    submit(line, 0);
    for (unsigned i = 0; i < 2; i++) {
        int err = weir_pool_submit(line->pool, count_run, runs);
        check(err == 0);
    }
    drain(line);
    check(line->runs == 1);
    end_serial(line);
    int err = weir_pool_drain(line->pool);
    check(err == 0);
    explore_end();
    drop(runs);
    end_line(line);
}

/* With one worker each, and in turns: the worker that waits sleeps while the other runs the first
 * task, and has to run the second, since the other one then waits for it. */
static int wait_for_second(weir_context *ctx, void *arg)
{
    struct line *line = arg;
    (void)ctx;
    return weir_task_wait(line->tasks[1]);
}

static int wait_for_third(weir_context *ctx, void *arg)
{
    struct line *line = arg;
    (void)ctx;
    return weir_task_wait(line->tasks[2]);
}

static void two_workers_that_wait(void)
{
    struct line *line =
        new_line(WEIR_POOL_OPTIONS(.workers = 2, .capacity = 4), WEIR_SERIAL_OPTIONS(.batch = 1));
    explore_begin();
    submit(line, 0);
    submit(line, 1);
    int err = weir_pool_submit_task(line->pool, line->tasks[2], wait_for_second, line, NULL);
    check(err == 0);
    err = weir_pool_submit(line->pool, wait_for_third, line);
    check(err == 0);
    err = weir_pool_drain(line->pool);
    check(err == 0 && line->runs == 2);
    end_serial(line);
    explore_end();
    end_line(line);
}

static void two_at_once(void)
{
    struct line *line = new_line(WEIR_POOL_OPTIONS(.workers = 2, .capacity = 2),
                                 WEIR_SERIAL_OPTIONS(.parallel = 2, .batch = 1));
    unsigned *runs = make(2 * sizeof *runs);
    explore_begin();
    for (unsigned i = 0; i < 2; i++) {
        int err = weir_serial_submit(line->serial, line->tasks[i], count_run, &runs[i], NULL);
        check(err == 0);
    }
    drain(line);
    check(runs[0] == 1 && runs[1] == 1);
    end_serial(line);
    explore_end();
    drop(runs);
    end_line(line);
}

/* Keys. The lock of the table is taken with the mutex of a serial; and all is freed as soon as the
 * last task has ended. */

struct keys {
    weir_pool *pool;
    weir_keyed *keyed;
    weir_task *tasks[2];
    unsigned *runs;
    uint64_t other;
};

static void submit_key(struct keys *keys, unsigned i, uint64_t key)
{
    int err = weir_keyed_submit(keys->keyed, key, keys->tasks[i], count_run, &keys->runs[i], NULL);
    check(err == 0);
}

static void submit_other_key(void *arg)
{
    struct keys *keys = arg;
    submit_key(keys, 1, keys->other);
}

static void two_submits_with_one_line(uint64_t other, bool waits)
{
    struct keys *keys = make(sizeof *keys);
    keys->pool = new_worn_pool(WEIR_POOL_OPTIONS(.workers = 1, .capacity = 2));
    keys->runs = make(2 * sizeof *keys->runs);
    keys->other = other;
    for (unsigned i = 0; i < 2; i++)
        keys->tasks[i] = make(sizeof *keys->tasks[i]);
    int err = weir_keyed_new(&keys->keyed, keys->pool, WEIR_KEYED_OPTIONS(.keys = 1));
    check(err == 0);
    explore_begin();
    struct vthread *thread = start(submit_other_key, keys);
    submit_key(keys, 0, 1);
    finish(thread);
    for (unsigned i = 0; waits && i < 2; i++) {
        err = weir_task_wait(keys->tasks[i]);
        check(err == 0);
    }
    err = waits ? 0 : weir_keyed_drain(keys->keyed);
    check(err == 0 && keys->runs[0] == 1 && keys->runs[1] == 1);
    weir_keyed_free(keys->keyed);
    explore_end();
    end_pool(keys->pool);
    for (unsigned i = 0; i < 2; i++)
        drop(keys->tasks[i]);
    drop(keys->runs);
    drop(keys);
}

static void one_key_after_the_other(void)
{
    two_submits_with_one_line(2, false);
}

static void one_key_of_two_submitters(void)
{
    two_submits_with_one_line(1, true);
}

const struct scenario serial_scenarios[] = {
    {"serial: turns on two workers", turns_on_two_workers, false},
    {"serial: its last task against a new submit", last_task_against_a_new_submit, false},
    {"serial: a submit against a drain", submit_against_drain, false},
    {"serial: a cancel against its turn", cancel_against_its_turn, false},
    {"serial: a cancel against a submit to the pool", cancel_against_a_submit_to_the_pool, false},
    {"serial: a cancel against a submit to another", cancel_against_a_submit_to_another, false},
    {"serial: a close against a submit", close_against_a_submit, false},
    {"serial: a submit below the limit", wait_below_the_limit, false},
    {"serial: two that wait below the limit", two_below_the_limit, false},
    {"serial: submits against a shutdown", submit_against_shutdown, false},
    {"serial: submits against a cancel of the pool", submit_against_cancel, false},
    {"serial: turns against a full pool", turns_against_a_full_pool, false},
    {"serial: a submitter waits for its place", room_after_a_serial, false},
    {"serial: drop oldest beside a turn", drop_oldest_beside_a_turn, false},
    {"serial: two workers that wait", two_workers_that_wait, false},
    {"serial: two at once", two_at_once, false},
    {"keyed: one key after the other", one_key_after_the_other, false},
    {"keyed: one key of two submitters", one_key_of_two_submitters, false},
    {NULL, NULL, false},
};
