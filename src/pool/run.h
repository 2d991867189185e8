/* SPDX-License-Identifier: MIT */
/* run.h - running a job, and its one end. */
#ifndef WEIR_POOL_RUN_H
#define WEIR_POOL_RUN_H

#include <errno.h>

#include "os/fork.h"
#include "pool/watchdog.h"

/* What the runs of one pool have in common; constant once its workers run. */
struct host {
    struct queue *queue;
    uint32_t fork;
    bool outside_waiters_help;
    bool cpus_to_spare;            /* as many as workers: then spinning takes them from nobody */
    weir_context *context;         /* of the pool */
    struct times *times;           /* of each worker, and of all other threads */
    struct lane_times *lane_times; /* theirs; or NULL */
    unsigned workers;
    bool notes_starts; /* there are several lanes, or the size may change, or it is attended: */
    bool attended;     /* each run is told to one of the next three, which else are NULL */
    struct watchdog *watchdog;
    void (*on_task_start)(weir_task_fn *fn, void *arg, int worker, void *user);
    void (*on_task_end)(weir_task_fn *fn, void *arg, int worker, int status, void *user);
    void (*on_drop)(weir_task_fn *fn, void *arg, weir_state why, void *user);
    const char *(*name_of)(weir_task_fn *fn, void *arg, void *user); /* or NULL */
    void *user;
    struct trace_pool trace;
};

/* A job that runs on this thread; innermost first. */
struct frame {
    struct frame *below;
    struct host *host;
    const struct job *job;
    bool returned; /* fn came back; if not, its thread is dying */
    bool told;     /* if the pool is attended: of its end, or as much as will be */
    struct timing timing;
    weir_context context; /* the one that the task sees */
};

/* A callback at the end of a job, which this thread is calling; innermost first. It belongs to the
 * pool as a run does. */
struct ending {
    struct ending *below;
    unsigned depth; /* this one included */
    const struct host *host;
    const struct sink *sink; /* of the job, or NULL */
};

/* Both ends of that. The second is a cleanup: a job that the callback has run inline may have ended
 * the thread. */
static inline void ending_push(struct ending *ending, const struct host *host,
                               const struct sink *sink)
{
    struct self *self = this_thread();
    unsigned depth = self->ending != NULL ? self->ending->depth : 0;
    *ending = (struct ending){self->ending, depth + 1, host, sink};
    self->ending = ending;
}

static inline void ending_pop(struct ending *ending)
{
    this_thread()->ending = ending->below;
}

/* Inline runs within each other, also in callbacks at their ends; and callbacks that submit. */
enum { MAX_INLINE = 64 };

/* Is this thread in so many callbacks within each other that it must end no more jobs to make room?
 * To make room is to end jobs, whose callbacks may submit to the full queue in their turn. */
static inline bool ends_deep(void)
{
    const struct ending *ending = this_thread()->ending;
    return unlikely(ending != NULL) && ending->depth >= MAX_INLINE;
}

/* For what is run inline. Before: 0; -EDEADLK: as many as may be nested are. */
static inline int inline_begin(void)
{
    if (unlikely(this_thread()->inline_runs >= MAX_INLINE))
        return -EDEADLK;
    this_thread()->inline_runs++;
    return 0;
}

/* After; also if the job ends its thread. */
static inline void inline_end(struct self **self)
{
    (*self)->inline_runs--;
}

static inline bool host_stale(const struct host *host)
{
    return unlikely(host->fork != fork_count());
}

/* Where the calling thread notes times of jobs of the pool. */
static inline struct times *own_times(const struct host *host)
{
    const struct seat *seat = own_seat(host->queue);
    return seat != NULL ? seat->times : &host->times[host->workers];
}

/* How many tasks of the lane with this number have run in place. */
static inline uint64_t ran_in_place(const struct host *host, uint32_t lane)
{
    uint64_t sum = 0;
    for (unsigned i = 0; i <= host->workers; i++)
        sum += load_rlx(&host->times[i].in_place[lane]); /* numbers */
    return sum;
}

/* Is this thread a worker of the pool, or does it run a job of it, or call a callback at the end of
 * one, at whatever depth? The host is only compared. */
bool weir__inside(const struct host *host);

/* The same, quickly for its workers. */
static inline bool inside_host(const struct host *host)
{
    const struct seat *seat = this_thread()->seat;
    return (seat != NULL && likely(seat->host == host)) || weir__inside(host);
}

/* Does it run a job of `sink`, or call a callback at the end of one? */
bool weir__inside_sink(const struct sink *sink);

/* In a forked child, before an inherited pool is freed: this thread may be one of its workers, and
 * inside its jobs. Another pool may get the same address; it is in nothing of that one. */
void weir__forget_host(const struct host *host);

/* Runs the job, unless it has expired or its context is done; or the turn. */
void weir__run(struct host *host, const struct job *job);
/* The same for one that is in no queue and was counted as in, after inline_begin; calls inline_end.
 * `times`: own_times. Returns 0. */
int weir__run_in_place(struct host *host, struct times *times, const struct job *job);

/* Ends a job that does not start: CANCELLED, EXPIRED or DROPPED. */
void weir__end_unstarted(struct host *host, const struct job *job, weir_state end);

/* Takes jobs off the head of the lane that were claimed or have expired, and ends the latter.
 * True: there was one. If not, as queue_head_done. */
bool weir__clear_head(struct host *host, uint32_t lane, int64_t passed, int64_t *ret_until);

#endif
