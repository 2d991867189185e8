/* SPDX-License-Identifier: MIT */
/* run.h - running a job, and its one end. */
#ifndef WEIR_POOL_RUN_H
#define WEIR_POOL_RUN_H

#include "os/fork.h"
#include "pool/watchdog.h"

/* What the runs of one pool have in common; constant once its workers run. */
struct host {
    struct queue *queue;
    uint32_t fork;
    bool outside_waiters_help;
    bool cpus_to_spare;    /* as many as workers: then spinning takes them from nobody */
    weir_context *context; /* of the pool */
    struct times *times;   /* of each worker, and of all other threads */
    unsigned workers;
    struct watchdog *watchdog; /* or NULL */
    void (*on_drop)(weir_task_fn *fn, void *arg, weir_state why, void *user);
    const char *(*name_of)(weir_task_fn *fn, void *arg, void *user); /* or NULL */
    void *user;
};

/* A job that runs on this thread; innermost first. */
struct frame {
    struct frame *below;
    struct host *host;
    const struct job *job;
    unsigned inline_depth; /* inline runs within each other, this one included */
    bool returned;         /* fn came back; if not, its thread is dying */
    struct timing timing;
    weir_context context; /* the one that the task sees */
};

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

/* Is this thread a worker of the pool, or does it run a job of it, at whatever depth? The host is
 * only compared. */
bool weir__inside(const struct host *host);
/* Does it run a job of `sink`? */
bool weir__inside_sink(const struct sink *sink);

/* Runs the job, unless it has expired or its context is done. `inline_depth`: 0, or as in struct
 * frame. */
void weir__run(struct host *host, const struct job *job, unsigned inline_depth);

/* Ends a job that does not start: CANCELLED, EXPIRED or DROPPED. */
void weir__end_unstarted(struct host *host, const struct job *job, weir_state end);

/* Takes jobs off the head of the queue that were claimed or have expired, and ends the latter.
 * True: there was one. If not, as queue_head_done. */
bool weir__clear_head(struct host *host, int64_t passed, int64_t *ret_until);

#endif
