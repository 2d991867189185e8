/* SPDX-License-Identifier: MIT */
/* job.h - a task on its way through a pool, and who is told what becomes of it.
 *
 * A job belongs to one thread at a time, which runs it or ends it otherwise, exactly once (run.h).
 * While it is queued it lies in a slot (slot.h). Its sink is whatever waits for it: a handle
 * (task.c), a waitgroup, an errgroup or a loop (group/). Plain jobs have none.
 *
 * What a job goes through, and what its sink is told:
 *
 *     placed      it can be claimed from now on; again after each pause of one that repeats
 *     withdrawn   it was not queued after all
 *     let_in      its gate, or its descriptor, lets it start
 *     starts      fn is about to be called
 *     again       fn has returned: does it repeat? Then `placed` follows, and no end
 *     ended       exactly once; the sink may be gone afterwards
 */
#ifndef WEIR_POOL_JOB_H
#define WEIR_POOL_JOB_H

#include "weir/pool.h"

#include "base/atomic.h"

struct host;
struct sink;

struct job {
    weir_task_fn *fn; /* NULL: it is a turn */
    void *arg;
    weir_context *context; /* a reference, or NULL */
    int64_t start_by;      /* not started by then, it expires; WEIR_FOREVER: never */
    struct sink *sink;     /* or NULL */
    uint64_t stamp;        /* when it was submitted (record/sample.h); 0: it is not measured */
    uint32_t lane;         /* where it is queued: index in the queue's lanes */
};

/* What a run is given by the sink besides the job. */
struct start {
    atomic(uint32_t) *cancelled; /* non-zero once the task was cancelled; or NULL */
    int64_t timeout;             /* ns of running time; 0: none */
    const char *name;            /* of the task, or NULL */
    uintptr_t fn;                /* after which the job is called, if it is not its own; or 0 */
    int64_t stuck_after;         /* ns; 0: as the pool says; negative: never */
};

/* NULL: nothing happens, but for `ended`, which every sink has. */
struct sink_ops {
    bool tells_on_drop; /* the pool's on_drop is told of its jobs that never start */
    /* Its jobs are turns (queue.h): called instead of all that follows. `back`: the turn is not to
     * be used now, but to be queued again. */
    void (*turn)(struct sink *sink, struct host *host, bool back);
    /* The context that its jobs run under; it lives until the last of them has ended. */
    weir_context *(*context)(struct sink *sink);
    /* `claim`: takes it out of its slot (slot.h). It must not start before `not_before`; 0: it may
     * at once. */
    void (*placed)(struct sink *sink, uint64_t claim, int64_t not_before);
    void (*withdrawn)(struct sink *sink);
    /* It was placed for WEIR_FOREVER: now it may start from `now` on. Of sinks whose jobs can
     * have a gate or wait for a descriptor; under the lock of the places. */
    void (*let_in)(struct sink *sink, int64_t now);
    void (*starts)(struct sink *sink, struct start *ret); /* sets all of it */
    /* What the user has submitted, if the job is something else: NULL both if nothing. */
    void (*submitted)(struct sink *sink, weir_task_fn **ret_fn, void **ret_arg);
    /* True: it repeats, and somebody else may have it by now. False: it is to end as *ret_end, if
     * that was changed, with `status`. */
    bool (*again)(struct sink *sink, const struct job *job, int status, weir_state *ret_end);
    /* Asked before it is placed again: shall it end as CANCELLED instead? */
    bool (*cancelled)(struct sink *sink);
    void (*ended)(struct sink *sink, const struct job *job, weir_state end, int status);
};

/* Part of whatever waits for jobs. Its address says whose a job is. */
struct sink {
    atomic(const struct sink_ops *) ops; /* set before the first job, to the same each time */
};

static inline const struct sink_ops *sink_ops(const struct sink *sink)
{
    return load_rlx(&sink->ops); /* set before the job was handed over, which shows it */
}

static inline bool job_is_turn(const struct job *job)
{
    return job->fn == NULL;
}

static inline weir_context *lent_context(struct sink *sink)
{
    if (sink == NULL || sink_ops(sink)->context == NULL)
        return NULL;
    return sink_ops(sink)->context(sink);
}

#endif
