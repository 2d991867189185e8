/* SPDX-License-Identifier: MIT */
/* chaos.c - everything at once, on real threads, and then the books must balance.
 *
 * Round after round: a pool of random shape, 16 producers that use every feature in random order,
 * tasks that do the same from inside, and an end of the pool that often comes while they are at it.
 * Afterwards each task must have had exactly one end, and the pool's counts must say the same.
 *
 * WEIR_STRESS_SECONDS  how long (3); at least one round is played
 * WEIR_STRESS_SEED     repeats the choices of a run, though not what the scheduler made of them
 */
#include "dice.h"
#include "ledger.h"
#include "watchdog.h"
#include "ways.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "weir.h"

enum {
    PRODUCERS = 16,
    STEPS = 40,  /* of each producer in a round */
    DEEPEST = 3, /* tasks submit tasks that submit tasks */
    HANDFUL = 6,
    PLACES = 24, /* for times and gates */
    SHARED = 4,
};

static const unsigned capacities[] = {1, 2, 3, 7, 64, 1000};
static const unsigned crews[] = {1, 2, 16};
static const unsigned locals[] = {1, 2, 5, 256};
enum { LOCALS = 4 };
enum { CAPACITIES = 6, CREWS = 3, POLICIES = WEIR_OVERFLOW_DROP_OLDEST + 1 };
enum { SHAPES = CAPACITIES * CREWS * POLICIES };

enum finish {
    DRAIN,        /* after the producers have left */
    SHUT_DOWN,    /* likewise; what is queued is cancelled */
    CLOSE_MIDWAY, /* from here on while they are at it */
    SHUT_DOWN_MIDWAY,
    CANCEL_MIDWAY, /* the context above the pool */
    EXPIRE_MIDWAY, /* the same, by its deadline */
    GRADUALLY,     /* shutdowns that time out, until one does not */
    FINISHES
};

static const char *const finish_names[] = {"drain",           "shutdown",      "close midway",
                                           "shutdown midway", "cancel midway", "expire midway",
                                           "gradually"};
static const char *const policy_names[] = {"block", "reject", "caller runs", "drop oldest"};

/* What a task does. */
enum behaviour {
    NOTHING,
    FAIL,
    SPIN,
    YIELD,
    NAP,
    BLOCK,        /* says that it does */
    KEEP_CONTEXT, /* takes a reference on its own context and leaves it for later */
    CANCEL_SELF,
    SUBMIT_MORE, /* does what a producer does */
    DIE,         /* ends its thread */
    RANDOMLY,    /* so far they are chosen at random; not the others: */
    UNTIL_OVER,  /* sleeps until its context is over, or another one */
    JOIN_GROUP,  /* a member that adds a member to its own group */
};

/* Serials, of which each is a line, and a line for each key. */
enum { SERIALS = 4, KEYS_AT_ONCE = 3, KEYS = 6, LINES = SERIALS + KEYS };

struct line {
    weir_serial serial; /* or of a key */
    bool single;        /* one at a time, else two */
    atomic_uint inside;
    unsigned last[PRODUCERS]; /* plain: the order is what keeps them */
};

/* What a refusal may say, besides that the pool is closed. */
enum { FULL = 1, LATE = 2, CANCELLED = 4, BUSY = 8 };

static struct {
    uint64_t seed;
    unsigned number;
    unsigned workers, workers_max, lanes, capacity; /* the last of each lane; max 0: fixed */
    weir_overflow overflow;
    enum finish finish;
    bool outside_waiters_help;
    unsigned local;      /* at each worker, of local order; 0: first in, first out */
    weir_context *above; /* the pool's parent context, or NULL */
    weir_pool *pool;
    /* What producers share without asking each other. */
    weir_task shared[SHARED];
    weir_waitgroup waitgroup;
    weir_errgroup *group;
    weir_context *contexts[SHARED]; /* under contexts_lock */
    bool serials;                   /* does the round use them? */
    weir_keyed *keyed;
    struct line lines[LINES];
    atomic_uint workers_started, workers_stopped;
    unsigned midway; /* after this many steps `halfway` is posted */
    atomic_uint steps;
    sem_t halfway;
    atomic_bool closing; /* set before the pool is closed in whatever way */
} the;

static pthread_mutex_t contexts_lock = PTHREAD_MUTEX_INITIALIZER;

static void act(dice *d, unsigned depth, weir_context *ctx);

static weir_context *new_context(void)
{
    weir_context *made;
    if (weir_context_new(&made, NULL, WEIR_FOREVER) != 0)
        abort();
    return made;
}

/* Lines. */

static void enter_line(entry *e)
{
    struct line *line = e->line;
    if (line == NULL)
        return;
    if (atomic_fetch_add(&line->inside, 1) >= (line->single ? 1 : 2))
        broken("more tasks of a serial run at once than may");
    if (!line->single || e->sequence == 0)
        return;
    if (e->sequence <= line->last[e->producer])
        broken("tasks of a serial ran in another order than they were submitted in");
    line->last[e->producer] = e->sequence;
}

static void leave_line(const entry *e)
{
    if (e->line != NULL)
        atomic_fetch_sub(&e->line->inside, 1);
}

/* Tasks. */

static void begin_run(entry *e)
{
    ledger_run(e);
    enter_line(e);
    if (e->way != 0)
        way_enter(e->way - 1);
}

static void end_run(entry *e, int returned)
{
    if (e->way != 0)
        way_leave(e->way - 1, returned);
    ledger_ran(e, returned);
    leave_line(e);
}

static _Thread_local unsigned runs_on_this_thread; /* within each other */

static int behave(entry *e, dice *d, weir_context *ctx)
{
    switch (e->behaviour) {
    case FAIL:
        return -EIO;
    case SPIN:
        for (volatile unsigned n = dice_below(d, 2000); n > 0; n--)
            continue;
        return 0;
    case YIELD:
        (void)sched_yield();
        return 0;
    case NAP:
        return weir_sleep_until(ctx, weir_after((int64_t)dice_below(d, 30000)));
    case BLOCK:
        weir_blocking_begin();
        (void)sched_yield();
        weir_blocking_end();
        return 0;
    case KEEP_CONTEXT:
        e->kept = weir_context_ref(ctx);
        return 0;
    case CANCEL_SELF:
        weir_context_cancel(ctx, -EIO);
        return weir_context_err(ctx);
    case SUBMIT_MORE:
        if (e->depth < DEEPEST)
            act(d, e->depth + 1, ctx);
        return 0;
    case DIE:
        if (runs_on_this_thread == 1 && weir_pool_worker_index() >= 0) {
            if (dice_once_in(d, 2))
                weir_blocking_begin();
            end_run(e, -ECANCELED);
            pthread_exit(NULL);
        }
        return 0;
    case UNTIL_OVER:
        return weir_sleep_until(e->more != NULL ? e->more : ctx, WEIR_FOREVER);
    default:
        return 0;
    }
}

static int join_group(entry *e, dice *d);

static int work(weir_context *ctx, void *arg)
{
    entry *e = arg;
    progress();
    begin_run(e);
    runs_on_this_thread++;
    dice d = dice_make(e->choice, 0);
    int returned = e->behaviour == JOIN_GROUP ? join_group(e, &d) : behave(e, &d, ctx);
    runs_on_this_thread--;
    end_run(e, returned);
    return returned;
}

static entry *new_entry(dice *d, unsigned depth)
{
    entry *e = ledger_take();
    if (e == NULL)
        return NULL;
    e->depth = depth;
    e->choice = dice_roll(d);
    e->behaviour = (int)dice_below(d, RANDOMLY);
    if (e->behaviour == DIE && !dice_once_in(d, 8))
        e->behaviour = NOTHING;
    return e;
}

/* Writes down what a submit said, and whether it may say that. */
static bool submitted(entry *e, int err, unsigned refusals)
{
    ledger_submitted(e, err);
    if ((err == -EAGAIN && !(refusals & FULL)) || (err == -ETIMEDOUT && !(refusals & LATE)) ||
        (err == -ECANCELED && !(refusals & CANCELLED)) || (err == -EBUSY && !(refusals & BUSY)) ||
        (err == -EPIPE && !atomic_load(&the.closing)) ||
        (err != 0 && err != -EAGAIN && err != -ETIMEDOUT && err != -ECANCELED && err != -EBUSY &&
         err != -EPIPE)) {
        fprintf(stderr, "a submit returned %d\n", err);
        broken("a submit was refused for no reason");
    }
    return err == 0;
}

static unsigned when_full(void)
{
    bool refuses = the.overflow == WEIR_OVERFLOW_REJECT ||
                   (the.overflow == WEIR_OVERFLOW_DROP_OLDEST && the.serials); /* of turns only */
    return refuses ? FULL : 0;
}

/* Steps, each of which a producer or a task may make. */

/* For options: one of the pool's lanes, or none. */
static unsigned any_lane(dice *d)
{
    unsigned lane = dice_below(d, the.lanes + 1);
    return lane < the.lanes ? WEIR_LANE(lane) : 0;
}

static void submit_plain(dice *d, unsigned depth)
{
    entry *e = new_entry(d, depth);
    unsigned lane = dice_below(d, the.lanes);
    if (e == NULL)
        return;
    switch (dice_below(d, 4)) {
    case 0:
        submitted(e, weir_pool_submit(the.pool, work, e), when_full());
        break;
    case 1:
        submitted(e, weir_pool_submit_lane(the.pool, lane, work, e), when_full());
        break;
    case 2:
        submitted(e, weir_pool_try_submit_lane(the.pool, lane, work, e), FULL);
        break;
    default:
        submitted(e,
                  weir_pool_submit_lane_until(the.pool, lane, work, e, NULL,
                                              weir_after((int64_t)dice_below(d, 100000))),
                  when_full() | LATE);
    }
}

static void submit_many(dice *d, unsigned depth, weir_context *ctx)
{
    entry *entries[HANDFUL];
    weir_job jobs[HANDFUL];
    size_t n = 0;
    while (n < HANDFUL && (entries[n] = new_entry(d, depth)) != NULL) {
        jobs[n] = (weir_job){work, entries[n]};
        n++;
    }
    int64_t done;
    unsigned refusals = when_full();
    switch (dice_below(d, 3)) {
    case 0:
        refusals = FULL;
        done = weir_pool_try_submit_many(the.pool, jobs, n);
        break;
    case 1:
        done = weir_pool_submit_many(the.pool, jobs, n);
        break;
    default:
        refusals |= LATE | CANCELLED;
        done = weir_pool_submit_many_until(the.pool, jobs, n, ctx,
                                           weir_after((int64_t)dice_below(d, 100000)));
    }
    for (size_t i = 0; i < n; i++) {
        if ((int64_t)i < done)
            submitted(entries[i], 0, 0);
        else if (i == 0)
            submitted(entries[i], (int)done, refusals);
        else if ((int64_t)i == done)
            ledger_submitted(entries[i], -EAGAIN); /* refused; the call tells the number, not why */
    }
}

/* A task whose context, and that of the wait for room, is cancelled at some time or runs out. */
static void submit_with_context(dice *d, unsigned depth, weir_context *ctx)
{
    weir_context *mine;
    int64_t deadline = WEIR_FOREVER;
    if (dice_once_in(d, 2))
        deadline = weir_after((int64_t)dice_below(d, 200000));
    if (weir_context_new(&mine, dice_once_in(d, 2) ? ctx : NULL, deadline) != 0) {
        broken("a context could not be made");
        return;
    }
    unsigned n = 1 + dice_below(d, HANDFUL), cancel_at = dice_below(d, HANDFUL);
    for (unsigned i = 0; i < n; i++) {
        entry *e = new_entry(d, depth);
        if (e == NULL)
            break;
        if (i == cancel_at)
            weir_context_cancel(mine, -EINTR);
        submitted(e, weir_pool_submit_until(the.pool, work, e, mine, WEIR_FOREVER),
                  when_full() | LATE | CANCELLED);
    }
    if (dice_once_in(d, 2))
        weir_context_cancel(mine, 0);
    weir_context_unref(mine);
}

static void wait_for_task(dice *d, weir_task *task, const entry *e, weir_context *ctx)
{
    int err = -ETIMEDOUT;
    switch (dice_below(d, 4)) {
    case 0:
        while ((err = weir_task_try_wait(task)) == -EAGAIN && dice_below(d, 20) > 0)
            (void)sched_yield();
        break;
    case 1:
        err = weir_task_wait_until(task, NULL, weir_after((int64_t)dice_below(d, 50000)));
        break;
    case 2:
        err = weir_task_wait_until(task, ctx, WEIR_FOREVER);
        break;
    default:
        break;
    }
    if (err != 0)
        err = weir_task_wait(task);
    if (err != 0 || !ledger_ended(e) || weir_task_state(task) != e->told ||
        weir_task_status(task) != e->told_status)
        broken("a wait for a task returned too early, or not 0");
}

/* Submits under a handle, and waits; the handle is gone the moment that the wait returns. */
static void with_handle(dice *d, unsigned depth, weir_context *ctx, weir_task *task)
{
    entry *e = new_entry(d, depth);
    if (e == NULL)
        return;
    e->has_handle = true;
    weir_task_options options;
    weir_task_options_init(&options);
    options.on_done = ledger_done;
    options.name = "chaos";
    options.lane = any_lane(d);
    unsigned refusals = when_full();
    bool sleeper = dice_once_in(d, 4), cancel = dice_once_in(d, 3);
    weir_context *alarm = NULL;
    if (sleeper) {
        e->behaviour = UNTIL_OVER;
        unsigned how = dice_below(d, 3);
        cancel = how == 0;
        if (how == 1)
            options.timeout = 1 + (int64_t)dice_below(d, 100000);
        else if (how == 2)
            e->more = alarm = new_context();
    } else if (dice_once_in(d, 3)) {
        options.start_by = weir_after((int64_t)dice_below(d, 100000));
        refusals |= LATE;
    }
    int err;
    /* A sleeper that only we can wake must not run in our place. */
    if (sleeper || dice_once_in(d, 3)) {
        refusals |= FULL;
        err = weir_pool_try_submit_task(the.pool, task, work, e, &options);
    } else if (dice_once_in(d, 2)) {
        err = weir_pool_submit_task(the.pool, task, work, e, &options);
    } else {
        refusals |= LATE | CANCELLED;
        err = weir_pool_submit_task_until(the.pool, task, work, e, &options, ctx,
                                          weir_after((int64_t)dice_below(d, 200000)));
    }
    if (!submitted(e, err, refusals)) {
        weir_context_unref(alarm);
        return;
    }
    if (alarm != NULL && dice_once_in(d, 2))
        (void)sched_yield(); /* so that it is more often asleep already */
    weir_context_cancel(alarm, 0);
    if (cancel) {
        err = weir_task_cancel(task);
        if (err != 0 && err != -EINPROGRESS && err != -EALREADY)
            broken("a cancel returned something else than it can");
        if (err == 0 && (!ledger_ended(e) || e->told != WEIR_TASK_CANCELLED))
            broken("a task was cancelled but not told");
    }
    wait_for_task(d, task, e, ctx);
    weir_context_unref(alarm);
}

static __attribute__((noinline)) void submit_handle_on_stack(dice *d, unsigned depth,
                                                             weir_context *ctx)
{
    weir_task task = WEIR_TASK_INIT;
    with_handle(d, depth, ctx, &task);
    memset((void *)&task, 0xa5, sizeof task);
}

static void submit_handle_on_heap(dice *d, unsigned depth, weir_context *ctx)
{
    weir_task *task = calloc(1, sizeof *task);
    if (task != NULL)
        with_handle(d, depth, ctx, task);
    free(task);
}

/* on_done of a task that was counted by hand. */
static void count_down(void *arg, weir_state end, int status)
{
    weir_waitgroup *wg = ((entry *)arg)->more;
    ledger_done(arg, end, status);
    weir_waitgroup_done(wg);
}

static void fill_waitgroup(dice *d, unsigned depth, weir_waitgroup *wg, entry *given[], unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        entry *e = given[i] = new_entry(d, depth);
        if (e == NULL)
            continue;
        switch (dice_below(d, 3)) {
        case 0:
            submitted(e, weir_waitgroup_go(wg, the.pool, work, e), when_full());
            break;
        case 1:
            submitted(e, weir_waitgroup_try_go(wg, the.pool, work, e), FULL);
            break;
        default:
            submitted(e,
                      weir_waitgroup_go_until(wg, the.pool, work, e, NULL,
                                              weir_after((int64_t)dice_below(d, 100000))),
                      when_full() | LATE);
        }
    }
}

static __attribute__((noinline)) void use_waitgroup(dice *d, unsigned depth, weir_context *ctx)
{
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    for (unsigned laps = 1 + dice_below(d, 2); laps > 0; laps--) {
        entry *given[HANDFUL];
        unsigned n = dice_below(d, HANDFUL + 1);
        fill_waitgroup(d, depth, &wg, given, n);
        weir_task task = WEIR_TASK_INIT;
        entry *by_hand = dice_once_in(d, 2) ? new_entry(d, depth) : NULL;
        if (by_hand != NULL) {
            by_hand->has_handle = true;
            by_hand->more = &wg;
            weir_waitgroup_add(&wg, 1);
            if (!submitted(by_hand,
                           weir_pool_submit_task(
                               the.pool, &task, work, by_hand,
                               WEIR_TASK_OPTIONS(.on_done = count_down, .lane = any_lane(d))),
                           when_full()))
                weir_waitgroup_done(&wg);
        }
        int err = -ETIMEDOUT;
        if (dice_once_in(d, 3))
            err = weir_waitgroup_wait_until(&wg, ctx, weir_after((int64_t)dice_below(d, 50000)));
        /* A worker helps with what was given to the waitgroup; the task by hand is not of it, and
         * may be queued behind us: only by waiting for itself is it sure to run. */
        if (by_hand != NULL && by_hand->accepted)
            wait_for_task(d, &task, by_hand, ctx);
        if (err != 0)
            err = weir_waitgroup_wait(&wg);
        if (err != 0)
            broken("a wait for a waitgroup did not return 0");
        for (unsigned i = 0; i < n; i++)
            if (given[i] != NULL && given[i]->accepted && !ledger_ended(given[i]))
                broken("a wait for a waitgroup returned too early");
    }
    memset((void *)&wg, 0xa5, sizeof wg);
}

static int join_group(entry *e, dice *d)
{
    entry *joined = new_entry(d, e->depth);
    if (joined == NULL)
        return 0;
    joined->of_group = true;
    submitted(joined, weir_errgroup_go(e->more, work, joined), when_full() | CANCELLED | LATE);
    return 0;
}

static void use_group(dice *d, unsigned depth, weir_context *ctx)
{
    weir_context *above = NULL;
    if (dice_once_in(d, 3) && weir_context_new(&above, ctx, WEIR_FOREVER) != 0)
        broken("a context could not be made");
    weir_errgroup *group;
    if (weir_errgroup_new(&group, the.pool, above,
                          WEIR_ERRGROUP_OPTIONS(.limit = dice_below(d, 4), .keep_errors = 2)) !=
        0) {
        broken("a group could not be made");
        weir_context_unref(above);
        return;
    }
    entry *given[HANDFUL];
    unsigned n = dice_below(d, HANDFUL + 1);
    for (unsigned i = 0; i < n; i++) {
        entry *e = given[i] = new_entry(d, depth);
        if (e == NULL)
            continue;
        e->of_group = true;
        if (dice_once_in(d, 6)) {
            e->behaviour = JOIN_GROUP;
            e->more = group;
        }
        if (dice_once_in(d, 3)) {
            submitted(e, weir_errgroup_try_go(group, work, e), FULL | CANCELLED | LATE);
        } else if (dice_once_in(d, 2)) {
            submitted(e, weir_errgroup_go(group, work, e), when_full() | CANCELLED | LATE);
        } else {
            submitted(e,
                      weir_errgroup_go_until(group, work, e, ctx,
                                             weir_after((int64_t)dice_below(d, 100000))),
                      when_full() | CANCELLED | LATE);
        }
        if (dice_once_in(d, 8))
            (void)weir_errgroup_set_limit(group, dice_below(d, 3));
    }
    if (above != NULL && dice_once_in(d, 2))
        weir_context_cancel(above, 0);
    int err = 0;
    bool waited = true;
    switch (dice_below(d, 3)) {
    case 0:
        err = weir_errgroup_wait(group);
        break;
    case 1:
        err = weir_errgroup_stop(group);
        break;
    default:
        waited = false;
    }
    if (!waited)
        weir_errgroup_free(group);
    if (err == -EDEADLK)
        broken("a wait for a group took its caller for a member");
    for (unsigned i = 0; i < n; i++) {
        if (given[i] == NULL || !given[i]->accepted)
            continue;
        if (!ledger_ended(given[i]))
            broken("a wait for a group returned too early");
        else if (waited && err == 0 && given[i]->returned == -EIO)
            broken("a group lost a member's error");
    }
    if (waited)
        weir_errgroup_free(group);
    weir_context_unref(above);
}

/* Serials and keys. A task waits for no place in one, and for no task of one as long as it takes:
 * that could be a circle. */

static _Thread_local unsigned own_producer, own_sequence;

static int submit_to_line(dice *d, entry *e, weir_task_options *options, unsigned *refusals,
                          weir_context *ctx)
{
    unsigned index = (unsigned)(e->line - the.lines);
    weir_serial *serial = &e->line->serial;
    weir_task *task = &e->handle;
    bool keyed = index >= SERIALS;
    unsigned how = e->depth > 0 ? 0 : dice_below(d, 3);
    if (how == 0) {
        *refusals |= FULL;
        return keyed ? weir_keyed_try_submit(the.keyed, index, task, work, e, options)
                     : weir_serial_try_submit(serial, task, work, e, options);
    }
    if (how == 1)
        return keyed ? weir_keyed_submit(the.keyed, index, task, work, e, options)
                     : weir_serial_submit(serial, task, work, e, options);
    *refusals |= LATE | CANCELLED;
    int64_t deadline = weir_after((int64_t)dice_below(d, 200000));
    return keyed ? weir_keyed_submit_until(the.keyed, index, task, work, e, options, ctx, deadline)
                 : weir_serial_submit_until(serial, task, work, e, options, ctx, deadline);
}

static void wait_in_line(dice *d, entry *e, weir_context *ctx)
{
    int64_t deadline = WEIR_FOREVER;
    if (e->depth > 0 || dice_once_in(d, 2))
        deadline = weir_after((int64_t)dice_below(d, 50000));
    int err = weir_task_wait_until(&e->handle, ctx, deadline);
    if (err == -EDEADLK ? e->depth == 0 : err != 0 && err != -ETIMEDOUT && err != -ECANCELED)
        broken("a wait for a task of a serial returned something else than it can");
    if (err == 0 && !ledger_ended(e))
        broken("a wait for a task of a serial returned too early");
}

static void use_line(dice *d, unsigned depth, weir_context *ctx)
{
    entry *e = the.serials ? new_entry(d, depth) : NULL;
    if (e == NULL)
        return;
    weir_task_options *options = WEIR_TASK_OPTIONS(.on_done = ledger_done);
    unsigned refusals = when_full();
    e->has_handle = true;
    e->line = &the.lines[dice_below(d, LINES)];
    if (depth == 0) {
        e->producer = own_producer;
        e->sequence = ++own_sequence;
    }
    if (dice_once_in(d, 6)) {
        options->start_by = weir_after((int64_t)dice_below(d, 100000));
        refusals |= LATE;
    }
    int err = submit_to_line(d, e, options, &refusals, ctx);
    if (!submitted(e, err, refusals))
        return;
    switch (dice_below(d, 6)) {
    case 0:
        if (weir_task_cancel(&e->handle) == 0 && !ledger_ended(e))
            broken("a task of a serial was cancelled but not told");
        break;
    case 1:
        wait_in_line(d, e, ctx);
        break;
    default:
        break;
    }
}

static void drain_line(dice *d, weir_context *ctx)
{
    unsigned index = dice_below(d, SERIALS + 1);
    int64_t deadline = weir_after((int64_t)dice_below(d, 50000));
    if (!the.serials)
        return;
    int err = index < SERIALS ? weir_serial_drain_until(&the.lines[index].serial, ctx, deadline)
                              : weir_keyed_drain_until(the.keyed, ctx, deadline);
    if (err != 0 && err != -ETIMEDOUT && err != -ECANCELED)
        broken("a drain of a serial returned something else than it can");
}

static void make_lines(dice *d)
{
    memset(the.lines, 0, sizeof the.lines);
    the.keyed = NULL;
    if (!the.serials)
        return;
    for (unsigned i = 0; i < LINES; i++)
        the.lines[i].single = i >= SERIALS || dice_below(d, 3) > 0;
    for (unsigned i = 0; i < SERIALS; i++)
        if (weir_serial_init(&the.lines[i].serial, the.pool,
                             WEIR_SERIAL_OPTIONS(.parallel = the.lines[i].single ? 1 : 2,
                                                 .batch = dice_below(d, 4),
                                                 .limit = dice_below(d, 5), .lane = any_lane(d))) !=
            0)
            abort();
    if (weir_keyed_new(&the.keyed, the.pool,
                       WEIR_KEYED_OPTIONS(.keys = KEYS_AT_ONCE, .limit = 3, .batch = 2,
                                          .lane = any_lane(d))) != 0)
        abort();
}

/* The pool has ended, and perhaps is no more. */
static void unmake_lines(void)
{
    if (!the.serials)
        return;
    for (unsigned i = 0; i < SERIALS; i++) {
        if (weir_serial_queued(&the.lines[i].serial) != 0)
            broken("a serial has tasks that the pool has ended");
        weir_serial_destroy(&the.lines[i].serial);
    }
    weir_keyed_free(the.keyed);
    memset((void *)the.lines, 0xa5, sizeof the.lines);
}

/* A task that starts when a pipe is written to, if that comes in time. */
static __attribute__((noinline)) void submit_for_descriptor(dice *d, unsigned depth,
                                                            weir_context *ctx)
{
    int ends[2];
    entry *e = new_entry(d, depth);
    if (e == NULL)
        return;
    if (pipe(ends) != 0)
        abort();
    e->has_handle = true;
    weir_task task = WEIR_TASK_INIT;
    bool early = dice_once_in(d, 3);
    if (early)
        (void)!write(ends[1], "x", 1);
    int err = weir_pool_submit_when_until(
        the.pool, &task, ends[0], WEIR_READABLE, work, e,
        WEIR_TASK_OPTIONS(.on_done = ledger_done, .lane = any_lane(d)),
        dice_once_in(d, 2) ? ctx : NULL, weir_after((int64_t)dice_below(d, 500000)));
    if (submitted(e, err, FULL | LATE | CANCELLED)) {
        if (!early && dice_once_in(d, 2))
            (void)!write(ends[1], "x", 1);
        if (dice_once_in(d, 4))
            (void)weir_task_cancel(&task);
        wait_for_task(d, &task, e, ctx);
    }
    (void)close(ends[0]);
    (void)close(ends[1]);
    memset((void *)&task, 0xa5, sizeof task);
}

/* Times and gates. A task does not wait for one of these as long as it takes: it may hold permits
 * that the other one needs. */

static int submit_for_later(dice *d, entry *e, const weir_task_options *options, unsigned *refusals,
                            weir_context *ctx)
{
    switch (dice_below(d, e->way == 0 ? 1 : 4)) {
    case 0:
        return weir_pool_submit_task_at(the.pool, &e->handle, work, e, options,
                                        weir_after((int64_t)dice_below(d, 100000)));
    case 1:
        return weir_pool_try_submit_task(the.pool, &e->handle, work, e, options);
    case 2:
        return weir_pool_submit_task(the.pool, &e->handle, work, e, options);
    default:
        *refusals |= CANCELLED;
        return weir_pool_submit_task_until(the.pool, &e->handle, work, e, options, ctx,
                                           weir_after((int64_t)dice_below(d, 200000)));
    }
}

static void submit_to_gate(dice *d, unsigned depth, weir_context *ctx)
{
    entry *e = new_entry(d, depth);
    if (e == NULL)
        return;
    weir_task_options *options = WEIR_TASK_OPTIONS(.on_done = ledger_done, .lane = any_lane(d));
    unsigned refusals = FULL | LATE; /* full: of places; late: that of a context, too */
    e->has_handle = true;
    e->way = dice_below(d, WAYS + 1);
    if (e->way != 0)
        options->gate = way_gate(e->way - 1);
    if (dice_once_in(d, 6))
        options->start_by = weir_after((int64_t)dice_below(d, 200000));
    int err = submit_for_later(d, e, options, &refusals, ctx);
    if (!submitted(e, err, refusals))
        return;
    if (e->way != 0)
        way_accepted(e->way - 1);
    switch (dice_below(d, 6)) {
    case 0:
        if (weir_task_cancel(&e->handle) == 0 && !ledger_ended(e))
            broken("a task was cancelled at its gate but not told");
        break;
    case 1:
        if (depth == 0)
            wait_for_task(d, &e->handle, e, ctx);
        else if (weir_task_wait_until(&e->handle, ctx, weir_after(50000)) == 0 && !ledger_ended(e))
            broken("a wait for a task at a gate returned too early");
        break;
    default:
        break;
    }
}

static void resize(dice *d)
{
    if (the.workers_max == 0 || !dice_once_in(d, 4))
        return;
    int err = weir_pool_resize(the.pool, 1 + dice_below(d, the.workers_max));
    if (err != 0 && err != -EPIPE)
        broken("a resize failed");
}

static void act(dice *d, unsigned depth, weir_context *ctx)
{
    switch (dice_below(d, 11)) {
    case 9:
        submit_to_gate(d, depth, ctx);
        break;
    case 10:
        resize(d);
        break;
    case 8:
        submit_for_descriptor(d, depth, ctx);
        break;
    case 0:
        submit_plain(d, depth);
        break;
    case 1:
        submit_many(d, depth, ctx);
        break;
    case 2:
        submit_with_context(d, depth, ctx);
        break;
    case 3:
        submit_handle_on_stack(d, depth, ctx);
        break;
    case 4:
        submit_handle_on_heap(d, depth, ctx);
        break;
    case 5:
        use_waitgroup(d, depth, ctx);
        break;
    case 6:
        use_line(d, depth, ctx);
        break;
    default:
        use_group(d, depth, ctx);
    }
}

/* What only producers do. */

/* A context that another producer may cancel at any time; to be given back. */
static weir_context *borrow_context(dice *d)
{
    (void)pthread_mutex_lock(&contexts_lock);
    weir_context *ctx = weir_context_ref(the.contexts[dice_below(d, SHARED)]);
    (void)pthread_mutex_unlock(&contexts_lock);
    return ctx;
}

static void cancel_a_context(dice *d)
{
    weir_context **slot = &the.contexts[dice_below(d, SHARED)], *fresh = new_context();
    (void)pthread_mutex_lock(&contexts_lock);
    weir_context *old = *slot;
    *slot = fresh;
    (void)pthread_mutex_unlock(&contexts_lock);
    weir_context_cancel(old, -EINTR);
    if (weir_context_err(old) != -ECANCELED || weir_context_cause(old) != -EINTR ||
        weir_context_wait_until(old, 0) != 0)
        broken("a context was cancelled and does not say so");
    weir_context_unref(old);
}

static void use_shared_waitgroup(dice *d, weir_context *ctx)
{
    entry *e;
    int err = 0;
    switch (dice_below(d, 4)) {
    case 0:
        err = weir_waitgroup_wait_until(&the.waitgroup, ctx,
                                        weir_after((int64_t)dice_below(d, 100000)));
        if (err == -ETIMEDOUT || err == -ECANCELED)
            err = 0;
        break;
    case 1:
        err = weir_waitgroup_wait(&the.waitgroup);
        break;
    default:
        if ((e = new_entry(d, 0)) != NULL)
            submitted(e, weir_waitgroup_go(&the.waitgroup, the.pool, work, e), when_full());
    }
    if (err != 0)
        broken("a wait for a waitgroup returned something else than it can");
}

static void use_shared_group(dice *d, weir_context *ctx)
{
    int err = 0;
    entry *e;
    switch (dice_below(d, 6)) {
    case 0:
        (void)weir_errgroup_set_limit(the.group, 1 + dice_below(d, 4));
        break;
    case 1:
        err = weir_errgroup_wait_until(the.group, ctx, weir_after((int64_t)dice_below(d, 100000)));
        if (err == -EDEADLK || err == -EINVAL || err == -EAGAIN)
            broken("a wait for a group returned something else than it can");
        break;
    default:
        if ((e = new_entry(d, 0)) == NULL)
            return;
        e->of_group = true;
        if (e->behaviour == FAIL && !dice_once_in(d, 8))
            e->behaviour = SPIN; /* or the group would soon be over */
        submitted(e, weir_errgroup_go(the.group, work, e), when_full() | CANCELLED);
    }
}

/* Handles that all producers submit, cancel and wait for, without asking each other. */
static void use_shared_handle(dice *d, weir_context *ctx)
{
    weir_task *task = &the.shared[dice_below(d, SHARED)];
    weir_task_options *options = WEIR_TASK_OPTIONS(.on_done = ledger_done, .lane = any_lane(d));
    unsigned what = dice_below(d, 6);
    if (what < 3) {
        entry *e = new_entry(d, 0);
        if (e == NULL)
            return;
        e->has_handle = true;
        int err;
        unsigned refusals = BUSY | when_full();
        if (what == 0) {
            err = weir_pool_submit_task(the.pool, task, work, e, options);
        } else if (what == 1) {
            refusals |= FULL;
            err = weir_pool_try_submit_task(the.pool, task, work, e, options);
        } else {
            refusals |= LATE;
            err = weir_pool_submit_task_until(the.pool, task, work, e, options, NULL,
                                              weir_after((int64_t)dice_below(d, 50000)));
        }
        submitted(e, err, refusals);
        return;
    }
    int err;
    switch (what) {
    case 3:
        err = weir_task_cancel(task);
        if (err != 0 && err != -EINPROGRESS && err != -EALREADY && err != -EINVAL)
            broken("a cancel returned something else than it can");
        break;
    case 4:
        err = weir_task_wait_until(task, ctx, weir_after((int64_t)dice_below(d, 100000)));
        if (err != 0 && err != -ETIMEDOUT && err != -EINVAL && err != -ECANCELED)
            broken("a wait returned something else than it can");
        break;
    default:
        err = weir_task_wait(task);
        if (err != 0 && err != -EINVAL)
            broken("a wait returned something else than it can");
    }
}

static void look_at_pool(dice *d)
{
    unsigned workers = the.workers_max != 0 ? the.workers_max : the.workers;
    size_t most = (size_t)the.capacity * the.lanes + (size_t)workers * the.local;
    weir_pool_counts counts;
    weir_pool_read_counts(the.pool, &counts);
    bool few = weir_pool_queued(the.pool) <= most && counts.queued <= most;
    if (!few && !the.serials)
        broken("more tasks are queued than have room");
    int err = weir_pool_drain_until(the.pool, NULL, weir_after((int64_t)dice_below(d, 50000)));
    if (err != 0 && err != -ETIMEDOUT)
        broken("a drain returned something else than it can");
}

static void *produce(void *arg)
{
    dice d = dice_make(the.seed, (uint64_t)the.number * PRODUCERS + (uint64_t)(uintptr_t)arg);
    own_producer = (unsigned)(uintptr_t)arg;
    own_sequence = 0;
    for (unsigned i = 0; i < STEPS; i++) {
        if (atomic_fetch_add(&the.steps, 1) + 1 == the.midway)
            (void)sem_post(&the.halfway);
        unsigned what = dice_below(&d, 22);
        weir_context *ctx = dice_once_in(&d, 2) ? borrow_context(&d) : NULL;
        if (what < 2) {
            doing("a shared handle");
            use_shared_handle(&d, ctx);
        } else if (what < 3) {
            doing("counts and drain");
            look_at_pool(&d);
        } else if (what < 5) {
            doing("a shared waitgroup");
            use_shared_waitgroup(&d, ctx);
        } else if (what < 7) {
            doing("a shared group");
            use_shared_group(&d, ctx);
        } else if (what < 8) {
            doing("a cancellation");
            cancel_a_context(&d);
        } else if (what < 11) {
            doing("a serial");
            use_line(&d, 0, ctx);
        } else if (what < 12) {
            doing("the drain of a serial");
            drain_line(&d, ctx);
        } else if (what < 14) {
            doing("a gate");
            submit_to_gate(&d, 0, ctx);
            ways_disturb(&d);
        } else {
            doing("a step");
            act(&d, 0, ctx);
        }
        weir_context_unref(ctx);
    }
    doing("the end of a producer");
    return NULL;
}

/* Rounds. */

static void *shut_down_too(void *unused)
{
    (void)unused;
    doing("a second shutdown");
    weir_shutdown_report report;
    if (weir_pool_shutdown(the.pool, 0, WEIR_FOREVER, &report) != 0 || report.running != 0)
        broken("a second shutdown at the same time failed");
    return NULL;
}

static void shut_down(int64_t soft)
{
    doing("shutdown");
    weir_shutdown_report report;
    atomic_store(&the.closing, true);
    if (weir_pool_shutdown(the.pool, soft, WEIR_FOREVER, &report) != 0 || report.running != 0)
        broken("a shutdown without a hard deadline left something undone");
}

static void shut_down_gradually(dice *d)
{
    doing("gradual shutdown");
    weir_shutdown_report report;
    atomic_store(&the.closing, true);
    int err;
    do {
        err = weir_pool_shutdown(the.pool, weir_after((int64_t)dice_below(d, 100000)),
                                 weir_after((int64_t)dice_below(d, 200000)), &report);
    } while (err == -ETIMEDOUT);
    if (err != 0 || report.running != 0)
        broken("a shutdown returned something else than it can");
}

static void finish_midway(dice *d)
{
    doing("waiting for the middle of the round");
    while (sem_wait(&the.halfway) != 0)
        continue;
    pthread_t second;
    atomic_store(&the.closing, true);
    switch (the.finish) {
    case CLOSE_MIDWAY:
        weir_pool_close(the.pool);
        break;
    case SHUT_DOWN_MIDWAY:
        if (pthread_create(&second, NULL, shut_down_too, NULL) != 0)
            abort();
        shut_down(0);
        (void)pthread_join(second, NULL);
        break;
    case CANCEL_MIDWAY:
        weir_context_cancel(the.above, -EINTR);
        break;
    case EXPIRE_MIDWAY:
        if (weir_context_wait_until(the.above, WEIR_FOREVER) != 0)
            broken("a wait for a context that has a deadline did not return 0");
        break;
    default:
        shut_down_gradually(d);
    }
}

static int worker_starts(unsigned index, void *user)
{
    (void)index;
    (void)user;
    atomic_fetch_add(&the.workers_started, 1);
    return 0;
}

static void worker_stops(unsigned index, void *user)
{
    (void)index;
    (void)user;
    atomic_fetch_add(&the.workers_stopped, 1);
}

static void make_pool(dice *d)
{
    the.above = NULL;
    if (the.finish == CANCEL_MIDWAY) {
        the.above = new_context();
    } else if (the.finish == EXPIRE_MIDWAY) {
        atomic_store(&the.closing, true); /* from when on is the clock's affair */
        if (weir_context_new(&the.above, NULL, weir_after((int64_t)dice_below(d, 20000000))) != 0)
            abort();
    }
    int err = weir_pool_new(
        &the.pool,
        WEIR_POOL_OPTIONS(.workers = the.workers, .capacity = the.capacity, .name = "chaos",
                          .overflow = the.overflow, .context = the.above,
                          .on_worker_start = worker_starts, .on_worker_stop = worker_stops,
                          .on_drop = ledger_drop, .outside_waiters_help = the.outside_waiters_help,
                          .timers = PLACES, .descriptors = 8, .workers_max = the.workers_max,
                          .idle_timeout =
                              the.workers_max == 0 ? 0 : 1 + (int64_t)dice_below(d, 1000000),
                          .lanes = the.lanes,
                          .lane_burst = the.lanes > 1 ? 1 + dice_below(d, 64) : 0,
                          .default_lane = any_lane(d),
                          .order = the.local != 0 ? WEIR_ORDER_LOCAL : WEIR_ORDER_FIFO,
                          .local = the.local));
    if (err != 0) {
        fprintf(stderr, "a pool could not be made: %s\n", weir_strerror(err));
        exit(1);
    }
    if (weir_errgroup_new(&the.group, the.pool, NULL, WEIR_ERRGROUP_OPTIONS(.limit = 3)) != 0)
        abort();
    for (unsigned i = 0; i < SHARED; i++)
        the.contexts[i] = new_context();
    make_lines(d);
    ways_make();
}

/* Of a pool that was shut down. */
static void check_size(void)
{
    weir_pool_stats stats = {.size = sizeof stats};
    if (weir_pool_read_stats(the.pool, &stats) != 0)
        broken("there are no stats");
    if (stats.workers != the.workers + stats.grown - stats.shrunk)
        broken("workers came or went uncounted");
    if (stats.workers > (the.workers_max != 0 ? the.workers_max : the.workers))
        broken("there are more workers than there may be");
}

static void unmake_pool(void)
{
    check_size();
    doing("freeing the pool");
    bool before = the.number % 2 == 0;
    if (before)
        unmake_lines();
    weir_pool_free(the.pool);
    if (!before)
        unmake_lines();
    weir_context_unref(the.above);
    for (unsigned i = 0; i < SHARED; i++)
        weir_context_unref(the.contexts[i]);
    if (atomic_load(&the.workers_started) != atomic_load(&the.workers_stopped))
        broken("a worker was not told of its end");
}

static void check_round(void)
{
    weir_pool_counts counts;
    weir_pool_read_counts(the.pool, &counts);
    if (weir_waitgroup_try_wait(&the.waitgroup) != 0)
        broken("a waitgroup is not at zero");
    if (counts.peak_queued > the.capacity * the.lanes)
        broken("the peak is above the capacity");
    for (unsigned k = 0; k < the.lanes; k++) {
        weir_lane_stats stats = {.size = sizeof stats};
        if (weir_pool_read_lane_stats(the.pool, k, &stats) != 0 || stats.peak_queued > the.capacity)
            broken("a lane was more than full");
    }
    for (unsigned i = 0; i < SHARED; i++) {
        weir_state state = weir_task_state(&the.shared[i]);
        if (state == WEIR_TASK_QUEUED || state == WEIR_TASK_RUNNING)
            broken("a shared handle is not over");
    }
    ways_unmake();
    (void)ledger_check(&counts, the.overflow);
}

static void print_round(FILE *to)
{
    fprintf(to,
            "seed %" PRIu64
            ", round %u: %u to %u workers, %u lanes of %u, %s, end: %s%s%s, local %u\n",
            the.seed, the.number, the.workers, the.workers_max, the.lanes, the.capacity,
            policy_names[the.overflow], finish_names[the.finish],
            the.outside_waiters_help ? ", outside waiters help" : "",
            the.serials ? ", serials" : "", the.local);
}

static void diagnose(void)
{
    print_round(stderr);
    weir_pool_counts c;
    weir_pool_read_counts(the.pool, &c);
    fprintf(stderr,
            "submitted %" PRIu64 " rejected %" PRIu64 " done %" PRIu64 " failed %" PRIu64
            " cancelled %" PRIu64 " expired %" PRIu64 " dropped %" PRIu64 " queued %" PRIu64
            " running %" PRIu64 ", steps %u\n",
            c.submitted, c.rejected, c.done, c.failed, c.cancelled, c.expired, c.dropped, c.queued,
            c.running, atomic_load(&the.steps));
    for (unsigned i = 0; i < SHARED; i++)
        fprintf(stderr, "shared handle %u: state %d\n", i, (int)weir_task_state(&the.shared[i]));
}

static void play_round(unsigned shape, dice *d)
{
    the.capacity = capacities[shape % CAPACITIES];
    the.workers = crews[shape / CAPACITIES % CREWS];
    the.overflow = (weir_overflow)(shape / CAPACITIES / CREWS);
    the.finish = dice_once_in(d, 3) ? DRAIN : (enum finish)dice_below(d, FINISHES);
    the.outside_waiters_help = dice_once_in(d, 3);
    the.serials = dice_below(d, 3) > 0;
    the.workers_max = dice_once_in(d, 2) ? 0 : the.workers + dice_below(d, 8);
    the.lanes = dice_once_in(d, 2) ? 1 : 1 + dice_below(d, WEIR_MAX_LANES);
    the.local = the.lanes == 1 && dice_once_in(d, 2) ? locals[dice_below(d, LOCALS)] : 0;
    the.midway = 1 + dice_below(d, PRODUCERS * STEPS * 3 / 4);
    atomic_store(&the.steps, 0);
    atomic_store(&the.closing, false);
    memset(the.shared, 0, sizeof the.shared);
    memset(&the.waitgroup, 0, sizeof the.waitgroup);
    atomic_store(&the.workers_started, 0);
    atomic_store(&the.workers_stopped, 0);
    ledger_clear();
    doing("making a pool");
    make_pool(d);
    pthread_t producers[PRODUCERS];
    for (uintptr_t i = 0; i < PRODUCERS; i++)
        if (pthread_create(&producers[i], NULL, produce, (void *)i) != 0)
            abort();
    if (the.finish >= CLOSE_MIDWAY)
        finish_midway(d);
    else
        while (sem_wait(&the.halfway) != 0)
            continue;
    doing("waiting for the producers");
    for (unsigned i = 0; i < PRODUCERS; i++)
        (void)pthread_join(producers[i], NULL);
    doing("freeing the shared group");
    weir_errgroup_free(the.group);
    if (the.finish == DRAIN) {
        doing("drain");
        if (weir_pool_drain(the.pool) != 0)
            broken("a drain failed");
        check_round();
    }
    shut_down(the.finish == SHUT_DOWN ? 0 : WEIR_FOREVER);
    if (the.finish != DRAIN)
        check_round();
    unmake_pool();
}

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL && *text != '\0' ? strtoull(text, NULL, 10) : otherwise;
}

int main(void)
{
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    the.seed = number_from("WEIR_STRESS_SEED", (uint64_t)weir_now() ^ (uint64_t)time(NULL) << 32);
    int64_t end = weir_after(WEIR_S((int64_t)number_from("WEIR_STRESS_SECONDS", 3)));
    printf("WEIR_STRESS_SEED=%" PRIu64 "\n", the.seed);
    if (sem_init(&the.halfway, 0, 0) != 0)
        abort();
    watchdog_start(diagnose);
    dice d = dice_make(the.seed, UINT64_MAX - 1);
    unsigned start = dice_below(&d, SHAPES);
    do {
        /* 31 has no divisor in common with SHAPES: all are visited before one comes again. */
        play_round((start + 31 * the.number) % SHAPES, &d);
        if (anything_broken()) {
            print_round(stderr);
            return 1;
        }
        the.number++;
    } while (weir_now() < end);
    watchdog_stop();
    printf("%u rounds, %u of %d shapes; ", the.number, the.number < SHAPES ? the.number : SHAPES,
           SHAPES);
    ledger_print_totals();
    return 0;
}
