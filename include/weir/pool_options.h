/* SPDX-License-Identifier: MIT */
/* weir/pool_options.h - what a pool is made with: how large it is, what happens when it is full,
 * callbacks. weir/pool.h includes it.
 *
 * Each field that is zero means the default.
 */
#ifndef WEIR_POOL_OPTIONS_H
#define WEIR_POOL_OPTIONS_H

#include "context.h"

WEIR_BEGIN_DECLS

/* What a task runs. `ctx` is never NULL: it is over when the task or its pool was cancelled, its
 * `timeout` has passed, or the context given at submit is over; it ends with the task (to keep it,
 * see weir_context_ref). Returns 0: the task is DONE; anything else: it is FAILED with that status,
 * by convention a negative errno. */
typedef int weir_task_fn(weir_context *ctx, void *arg);

/* What weir_pool_submit does when the pool is full. */
typedef enum weir_overflow {
    WEIR_OVERFLOW_BLOCK,       /* wait for room */
    WEIR_OVERFLOW_REJECT,      /* return -EAGAIN */
    WEIR_OVERFLOW_CALLER_RUNS, /* run the task on the submitting thread */
    WEIR_OVERFLOW_DROP_OLDEST  /* end the oldest queued task as DROPPED and take its place; -EAGAIN
                                * if serials have all places (serial.h). LOCAL: none of those that
                                * wait at a worker */
} weir_overflow;

/* The order in which tasks start. */
typedef enum weir_order {
    WEIR_ORDER_FIFO, /* in the order of their submits */
    WEIR_ORDER_LOCAL /* for tasks that make tasks. What a task submits, its worker runs next, the
                        newest first; workers with nothing to do take the oldest of others. A task
                        submitted from elsewhere starts, once it is the oldest such, after at most
                        64 of these on each worker; of those that a worker takes of its own, one in
                        61 is its oldest. Whatever its worker does, the oldest that waits there
                        starts after at most 64 x workers (or workers_max) starts of any one worker
                        that goes on. What a task runs while it waits is part of it */
} weir_order;

/* Which tasks are measured (weir/stats.h): of tasks that come thick, some; all; none. */
typedef enum weir_measure {
    WEIR_MEASURE_SAMPLED,
    WEIR_MEASURE_ALL,
    WEIR_MEASURE_NONE
} weir_measure;

/* A pool may have so many lanes; and how an option names one of them, from 0 on, the most urgent: 0
 * by itself, which is default, names none. */
#define WEIR_MAX_LANES 8
#define WEIR_LANE(number) (0x100U + (unsigned)(number))

typedef enum weir_state {
    WEIR_TASK_IDLE,   /* never submitted */
    WEIR_TASK_QUEUED, /* accepted and not running, also before its time (timer.h) */
    WEIR_TASK_RUNNING,
    WEIR_TASK_DONE,      /* returned 0 */
    WEIR_TASK_FAILED,    /* returned something else, or ended its thread */
    WEIR_TASK_CANCELLED, /* not started (again): it, its context or the pool was cancelled */
    WEIR_TASK_EXPIRED,   /* not started (again): `start_by` or its context's deadline passed */
    WEIR_TASK_DROPPED    /* not started (again): DROP_OLDEST took its place */
} weir_state;

typedef struct weir_pool weir_pool;

typedef enum weir_stuck_reason {
    WEIR_STUCK_RUNNING,    /* a task has run for longer than it may */
    WEIR_STUCK_BLOCKED,    /* likewise, and all that time in one call of weir, in which it waits, or
                              between weir_blocking_begin and _end */
    WEIR_STUCK_ALL_BLOCKED /* every worker is blocked like that, and tasks wait to start */
} weir_stuck_reason;

/* What on_stuck is told. */
typedef struct weir_stuck {
    size_t size; /* of this struct */
    weir_pool *pool;
    weir_stuck_reason reason;
    int recovered;      /* 0: it is so now; 1: it was told, and is over */
    int worker;         /* its index; ALL_BLOCKED: -1 */
    int thread;         /* the system's number of it, as debuggers and /proc show it; or 0 */
    const char *name;   /* of the task, or else of its function, valid during the call; or "" */
    weir_task_fn *fn;   /* that it runs; or NULL */
    int64_t ns;         /* how long the task has run; ALL_BLOCKED: how long all are blocked */
    const char *call;   /* of weir, that it is blocked in, or "weir_blocking_begin"; or NULL */
    const void *object; /* on which; an address only, or NULL */
    int64_t call_ns;    /* for so long */
    int holder;         /* the worker that runs what it waits for there, if that is known; or -1 */
    size_t queued;      /* tasks that wait to start */
} weir_stuck;

/* What a rule for growth is asked about (weir_pool_options.growth_rule). */
typedef struct weir_growth {
    size_t size;          /* of this struct */
    unsigned workers;     /* threads that there are */
    unsigned blocked;     /* those whose task says that it blocks, or waits in weir */
    unsigned workers_min; /* to which the pool shrinks */
    unsigned workers_max;
    size_t queued;      /* tasks that wait to start; never 0 */
    int full;           /* 1: a lane has no room for another */
    int64_t stalled_ns; /* no worker has taken a task for so long, also none that it runs while it
                           waits, or in place; within a millisecond */
} weir_growth;

/* The rule that a pool has without another: one more if no worker has taken a task for 1 ms, and
 * more than 2 x workers tasks are queued, or a lane is full. */
WEIR_API int weir_growth_rule(const weir_growth *growth, void *user);

typedef struct weir_pool_options {
    size_t size;            /* filled by WEIR_POOL_OPTIONS or weir_pool_options_init */
    unsigned workers;       /* threads, at most 1024; 0: the CPUs this process may use (affinity and
                               cgroup quota), at least 1 */
    unsigned capacity;      /* tasks that wait to start, of each lane; at most 2^22, all lanes
                               together; 0: 1024 */
    const char *name;       /* of the threads, copied, cut to fit; 0: "weir" */
    weir_overflow overflow; /* 0: BLOCK */
    size_t stack_size;      /* of the threads, in bytes; 0: the system's default */
    weir_context *context; /* parent of every task's context; the pool holds a reference; 0: none */
    int (*on_worker_start)(unsigned index, void *user); /* non-zero fails weir_pool_new with it */
    void (*on_worker_stop)(unsigned index, void *user); /* neither may end its thread: may abort */
    /* Called once for an accepted plain task (no weir_task) that will never start, on any thread;
       must not block. `why`: CANCELLED, EXPIRED or DROPPED. */
    void (*on_drop)(weir_task_fn *fn, void *arg, weir_state why, void *user);
    void *user;                         /* for the callbacks */
    unsigned char outside_waiters_help; /* 1: threads outside the pool that wait for its tasks run
                                           them if they have not started */
    /* Places to wait for a time, a retry (else FAILED) or a gate, at most 2^22; 0: capacity */
    size_t timers;
    weir_measure measure; /* 0: SAMPLED */
    /* The name of a plain task for weir/dump.h, which is copied; called before it runs, by the
       thread that runs it. 0, or a result of NULL: the name of `fn` */
    const char *(*name_of)(weir_task_fn *fn, void *arg, void *user);
    /* The watchdog: on_stuck is told, once, of each task that runs on a worker for longer than
       stuck_after, and once more when it is over; and of all workers being blocked. From a thread
       of weir's that exists while a worker is awake, at most twice stuck_after late; what is told
       as over is so within stuck_after. It may call weir, but while it blocks nothing else is told.
       A shutdown waits until it has returned. Costs a look at the clock for each task. Misuse that
       aborts: it frees the pool; to shut it down is -EDEADLK. */
    int64_t stuck_after; /* ns; a task's own may be another; 0: only those with their own */
    void (*on_stuck)(const weir_stuck *what, void *user); /* 0: none; stuck_after must be 0 then */
    /* Called right before and right after each run of a task, by the thread that runs it; each
       attempt of a retried task is a run, and each run of a periodic one. They are part of the run:
       they may call what a task may, their time counts as its time, and what on_task_end does is
       seen by a wait for the task. `fn`, `arg`: as they were submitted; NULL both for the part that
       a worker takes in a loop or pipeline. `worker`: its index; -1: a thread that is no worker of
       the pool. `status`: what fn returned, or -ECANCELED if it ended its thread. They must not
       end the thread themselves: if on_task_start does, fn is not called, and the task is FAILED.
       0: none; that costs nothing */
    void (*on_task_start)(weir_task_fn *fn, void *arg, int worker, void *user);
    void (*on_task_end)(weir_task_fn *fn, void *arg, int worker, int status, void *user);
    unsigned descriptors; /* places to wait for a descriptor (weir/ready.h), <= 2^22, some 500 bytes
                             each; 0: none */
    /* Lanes (weir/lane.h), at most WEIR_MAX_LANES, with WEIR_ORDER_LOCAL only one; 0: 1 */
    unsigned lanes;
    unsigned lane_burst;   /* while a lane has a task, so many of more urgent lanes start at most
                              between two of its own, or as many as workers; 0: 64. Make it 8
                              for each worker at least (weir/lane.h). One lane: must be 0 */
    unsigned default_lane; /* WEIR_LANE of where tasks go that name none; 0: the last one */
    /* Of each lane, from the most urgent on; 0: capacity. All together at most 2^22 */
    unsigned lane_capacity[WEIR_MAX_LANES];
    weir_order order; /* 0: FIFO */
    unsigned local;   /* LOCAL: so many tasks, beside `capacity`, wait at each worker, at most 2048;
                         0: 256. Beyond that what a task submits is queued as from elsewhere.
                         FIFO: must be 0 */
    /* More workers while tasks block (blocking.h): so many at most, up to 1024; 0: `workers`.
       Such a pool has one thread more, which makes the others: with the CPUs and the scheduling of
       the thread that made the pool. One whose on_worker_start fails is tried again */
    unsigned workers_max;
    /* ns. Of the workers above `workers`, so many leave as were not needed at any moment of so long
       a time, but not less than 1 ms; up to twice as late. 0: 10 s */
    int64_t idle_timeout;
    /* Asked at most once in a millisecond, on that thread, while tasks are queued, no worker could
       take one and there may be one more: non-zero adds one. Must not block. Misuse that aborts: it
       ends the thread, or frees the pool; to shut it down is -EDEADLK. 0: weir_growth_rule */
    int (*growth_rule)(const weir_growth *growth, void *user);
} weir_pool_options;

/* A pointer to options with the fields named set and the others default (C only). */
#define WEIR_POOL_OPTIONS(...)                                                                     \
    (&(weir_pool_options){.size = sizeof(weir_pool_options), __VA_ARGS__})
/* The same for C++ and for options that are filled step by step. */
WEIR_API void weir_pool_options_init(weir_pool_options *options);
/* What is wrong with the first field that makes a call refuse the options, with -EINVAL or -E2BIG:
 * the name and a few words, as "workers: above 1024", in static memory; NULL if they are fine. NULL
 * options: the defaults. Never blocks. */
WEIR_API const char *weir_pool_options_error(const weir_pool_options *options);

WEIR_END_DECLS

#endif
