/* SPDX-License-Identifier: MIT */
/* pool.h - the pool inside: what its files share.
 *
 *   pool.c      creation, options, observers     submit.c    the way in: queue, overflow, blocking
 *   worker.c    the threads                      run.c       running a task, and its one end
 *   task.c      handles: wait and cancel         help.c      waiting inside tasks without deadlock
 *   shutdown.c  close, drain, shutdown, free     stats.c     counts
 *   slab.c      the slots of queued tasks       timers.c    tasks that wait for their time
 *
 * States: OPEN -> CLOSED -> CANCELLED -> STOPPING -> STOPPED, never back; CANCELLED is left out
 * when all tasks ended by themselves. Changed under `lock` only, read without.
 *
 * Counting. Every accepted task is counted once on its way in and once at its end:
 *   accepted = pushes + off_ring - retracted       ended = sum of ends
 * `finished` follows when weir touches nothing of the task any more. A task that was taken out of
 * turn leaves a dead ticket in the ring; `taken` counts such takes before they are tried, `dropped`
 * the dead tickets that came out, and the tries that failed. quiet() in shutdown.c adds the
 * difference to what is accepted: so it never sees a pool as quiet too early, whatever it reads in
 * between.
 *
 * A task that waits in a timer is accepted without a push. When it leaves the timer it is pushed,
 * or taken there, which counts as off_ring; so each time it leaves (`left` in timers.h) one entry
 * too many is counted, which is subtracted where tasks are counted. Where quiet is looked for, each
 * entry counts by itself, and so does what is due and has not left.
 */
#ifndef WEIR_POOL_POOL_H
#define WEIR_POOL_POOL_H

#include "weir/task.h"

#include "base/assert.h"
#include "os/fork.h"
#include "os/lock.h"
#include "os/thread.h"
#include "pool/slab.h"
#include "pool/timers.h"
#include "wait/wait.h"
#include "wait/eventcount.h"

enum pool_state { POOL_OPEN, POOL_CLOSED, POOL_CANCELLED, POOL_STOPPING, POOL_STOPPED };

enum { ENDS = WEIR_TASK_DROPPED - WEIR_TASK_DONE + 1 };

enum { NAP_FROM = TIMED_FROM };

/* A worker's own are written by that thread alone, the pool's by everybody else. */
struct counters {
    _Alignas(CACHE_LINE) atomic(uint64_t) ends[ENDS]; /* by weir_state, from WEIR_TASK_DONE on */
    atomic(uint64_t) finished;
    atomic(uint64_t) off_ring;
    atomic(uint64_t) taken;
    atomic(uint64_t) dropped;
};

struct weir__worker {
    _Alignas(CACHE_LINE) weir_pool *pool;
    pthread_t thread;
    pthread_t predecessor; /* a thread that died in a task, to be joined by its replacement */
    unsigned index;
    bool has_predecessor;
    struct loaded free_slots;
    uint64_t head; /* where this worker last found the head of the ring */
    bool submits;  /* a task of its own, since this was cleared */
    struct counters counters;
};

/* A task that runs on this thread; innermost first. */
struct weir__frame {
    struct weir__frame *below;
    weir_pool *pool;
    const struct job *job; /* who runs it keeps it meanwhile */
    unsigned in_place;     /* runs in place within each other, this one included */
    bool returned;         /* fn came back; if not, its thread is dying */
    weir_context context;  /* the one that the task sees */
};

struct weir_pool {
    struct ring ring;
    uint64_t first_position; /* of the ring */
    struct slab slab;

    /* Read by every submit and pop, written rarely. */
    _Alignas(CACHE_LINE) atomic(int) state;
    uint32_t fork; /* constant from here on */
    unsigned worker_count;
    weir_overflow overflow;
    bool outside_waiters_help;
    bool has_parent_context;
    unsigned spins; /* yields of a busy worker before it parks; 0: no CPUs to spare for spinning */
    weir_context *context;
    struct weir__worker *workers;
    int (*on_worker_start)(unsigned index, void *user);
    void (*on_worker_stop)(unsigned index, void *user);
    void (*on_drop)(weir_task_fn *fn, void *arg, weir_state why, void *user);
    void *user;
    size_t stack_size;
    char name[16];

    _Alignas(CACHE_LINE) struct eventcount work; /* idle workers */
    _Alignas(CACHE_LINE) struct eventcount room; /* blocked submitters */

    /* Written by submitters, rarely. */
    _Alignas(CACHE_LINE) atomic(uint64_t) peak; /* most tasks queued at once */
    atomic(uint64_t) head_seen;                 /* a past head, for peak */

    _Alignas(CACHE_LINE) atomic(uintptr_t) peeked; /* see weir__drop_context */
    atomic(uint64_t) rejected;
    atomic(uint64_t) retracted;
    struct counters outside;

    struct timers timers;

    struct lock lock; /* state changes, the snapshot at close, joining */
    uint64_t ran_before_close, unstarted_before_close;
    atomic(unsigned) started; /* workers whose on_worker_start has returned */
    atomic(int) start_error;  /* the first non-zero value it returned */
    atomic(unsigned) alive;   /* workers that have not left */
};

static inline bool pool_stale(const weir_pool *pool)
{
    return unlikely(pool->fork != fork_count());
}

/* The worker of `pool` that this thread is, or NULL. */
static inline struct weir__worker *own_worker(const weir_pool *pool)
{
    struct weir__worker *worker = this_thread()->worker;
    return worker != NULL && worker->pool == pool ? worker : NULL;
}

static inline struct loaded *own_slots(const weir_pool *pool)
{
    struct weir__worker *worker = own_worker(pool);
    return worker != NULL ? &worker->free_slots : NULL;
}

/* Adds 1 to a counter of the calling worker. */
#define COUNT_OWN(worker, field)                                                                   \
    store_rel(&(worker)->counters.field, load_rlx(&(worker)->counters.field) + 1)

/* Adds 1 to a counter of `pool`. */
#define COUNT(pool, field)                                                                         \
    do {                                                                                           \
        struct weir__worker *worker_ = own_worker(pool);                                           \
        if (worker_ != NULL)                                                                       \
            COUNT_OWN(worker_, field);                                                             \
        else                                                                                       \
            add_seqcst(&(pool)->outside.field, 1);                                                 \
    } while (0)

/* Is this thread a worker of `pool`, or does it run a task of it, at whatever depth? */
bool weir__inside(const weir_pool *pool);
/* Does it run a task that `o` waits for? */
bool weir__inside_owner(owner o);

/* submit.c */
enum submit_mode { SUBMIT_TRY, SUBMIT_POLICY };

/* Submits job->fn; on success (0) job->context is the task's. `ctx` and
 * `deadline` bound the wait for room; the caller has found ctx live. */
int weir__submit(weir_pool *pool, const struct job *job, enum submit_mode mode, weir_context *ctx,
                 int64_t deadline);
/* Is this pool closed to the calling thread? 0 or -EPIPE. */
int weir__refusal(weir_pool *pool);
/* Queues the task of a slot that is filled, and wakes a worker. False: full. */
bool weir__push(weir_pool *pool, uint32_t index);
/* Takes tickets off the head whose tasks have been taken, or are over. True: there was one. If not,
 * `*ret_until` is when the task at the head will have expired. `passed` is a time that has passed,
 * even if the clock does not say so. */
bool weir__clear_head(weir_pool *pool, int64_t passed, int64_t *ret_until);
/* Is somebody waiting for room, asleep or in a nap? */
static inline bool weir__submitters_blocked(weir_pool *pool)
{
    return eventcount_has_sleepers(&pool->room) || eventcount_has_nappers(&pool->room);
}
/* For a waiter whose park is room.park: wakes all submitters, one of which has a context that is
 * over. */
void weir__wake_submitters(struct waiter *waiter);
/* Runs a task on this thread that is not in the queue: 0 or -EDEADLK, then it was not accepted. */
int weir__run_in_place(weir_pool *pool, const struct job *job);

/* worker.c */
int weir__worker_start(struct weir__worker *worker);
/* After a pop: the task of the ticket, unless somebody else took it; gives the slot back. */
bool weir__redeem(weir_pool *pool, uint32_t index, struct job *ret);

/* run.c */
void weir__run(weir_pool *pool, const struct job *job, unsigned in_place);
void weir__end_unstarted(weir_pool *pool, const struct job *job, weir_state end);
/* Gives back the context of a job that was queued in `pool`: its reference, if it has one. */
void weir__drop_context(weir_pool *pool, const struct job *job);
/* Takes a task by its claim, not by its ticket. False: somebody else has it. */
bool weir__take_out_of_turn(weir_pool *pool, struct slot *slot, uint64_t claim);
/* A ticket came out whose task was taken before. */
void weir__dropped(weir_pool *pool);

/* What a group (of whatever kind) gets told of its members; its address is their owner. */
struct membership {
    void (*ended)(struct membership *self, weir_state end, int status);
    bool internal; /* its members' functions are weir's own: on_drop is not told of them */
};

/* Where a task is reported besides to who waits for it; the first field of a weir_completion. */
struct reports {
    int (*reserve)(struct reports *self);    /* before a submit: 0, -EAGAIN (full), -ESTALE */
    void (*give_back)(struct reports *self); /* it was refused */
    void (*ended)(struct reports *self, void *task); /* only the address: the task may be gone */
};

/* waitgroup_tasks.c: a task that was given to a waitgroup has ended. */
void weir__waitgroup_ended(void *object, weir_pool *pool);

/* task.c */
void weir__task_running(void *task);
atomic(uint32_t) *weir__task_flag(void *task);
int64_t weir__task_timeout(const void *task);
/* on_done; then the change of state that lets the waiter go. */
void weir__task_tell(void *task, weir_state end, int status);
void weir__task_over(void *task, weir_state end);
/* Wakes who waits for the task: only the address. */
void weir__task_wake(const void *task);
/* Before a try to queue the task, and after it was refused. */
void weir__task_queued(void *task, uint64_t claim);
void weir__task_refused(void *task);

/* Of a task that waits in a timer. waits: from now on it is queued under the claim, for a run at
 * `at`. repetition: see timers.h. repeats: may a run that came back with `status` not be the last
 * one? next_time: when a periodic task is to run next. cause: what weir_task_cause says. */
void weir__task_waits(void *task, uint64_t claim, int64_t at);
void weir__task_set_repetition(void *task, uint32_t repetition);
uint32_t weir__task_repetition(const void *task);
bool weir__task_repeats(const void *task, int status);
bool weir__task_cancelled(void *task);
int64_t weir__task_next_time(void *task);
void weir__task_set_cause(void *task, int status);
/* Submits a task that is not to start before `at`, and then every `period` ns (0: once). */
int weir__submit_task_at(weir_pool *pool, weir_task *task, weir_task_fn *fn, void *arg,
                         const weir_task_options *options, int64_t at, int64_t period);
/* Submits a task that runs again as `repeat` says, which is copied; if there is no room for that,
 * fn runs once. */
int weir__submit_task_repeating(weir_pool *pool, weir_task *task, weir_task_fn *fn, void *arg,
                                const weir_task_options *options, const struct repeat *repeat);

/* help.c */
/* Blocks until over(arg), running queued tasks of `o` meanwhile if `helped` (a pool) is not NULL;
 * `first` is a position before which none is. Asked again after wake_waiters(object); who queues a
 * task of `o` wakes helper_key(object). Returns as weir__wait_until. */
int weir__wait_helping(weir_pool *helped, owner o, const void *object, uint64_t first,
                       bool (*over)(void *arg), void *arg, weir_context *ctx,
                       const weir_context *const also[2], int64_t deadline);
/* The pool that a waiter for tasks of `pool` helps, or NULL. */
weir_pool *weir__helped(weir_pool *pool);
/* shutdown.c, stats.c */
void weir__pool_release(weir_pool *pool); /* frees a pool without threads */
void weir__task_finished_outside(weir_pool *pool);
struct totals {
    uint64_t submitted, dead_tickets, queued, delayed, finished, ends[ENDS];
    uint64_t entered; /* into the queue, or due: a task that repeats each time */
};
void weir__read_totals(const weir_pool *pool, struct totals *ret);

#endif
