/* SPDX-License-Identifier: MIT */
/* help.c - waiting for the jobs of a sink, which on a worker means running them.
 *
 * A worker that only slept while it waits could be the one that its jobs need. So it claims queued
 * jobs of what it waits for, and of nothing else: others could want locks that its caller holds. It
 * finds them by walking the queue from the mark on; it walks each position once, since later jobs
 * are queued behind. In a pool with deques it looks through these too, as a whole each time.
 *
 * A job that is queued after that walk wakes it: the waiter is entered before it walks, and a
 * thread that queues a job pushes before it looks for waiters, all sequentially consistent.
 *
 * When none is queued, what is left runs elsewhere. If it is short it is done before this thread
 * would be asleep; so it spins for a moment, once, and again after each job that it ran.
 */
#include "pool/help.h"

#include <errno.h>

#include "base/assert.h"
#include "base/pace.h"

struct help {
    struct host *host; /* whose queue to walk, or NULL */
    const struct sink *sink;
    queue_mark at; /* what is before it was walked */
    bool (*done)(void *arg);
    void *arg;
    struct job job;
    bool found;
    unsigned looks; /* still to come, while it spins */
};

static bool claim_next(struct help *help)
{
    struct queue *queue = help->host->queue;
    return deques_used(&queue->deques)
               ? weir__local_claim_next(queue, help->sink, &help->at, &help->job)
               : weir__queue_claim_next(queue, help->sink, &help->at, &help->job);
}

/* What weir__wait_until looks at first, without its calls: 0: done, or found; -EAGAIN: neither;
 * ctx's err. Of the deques only the newest of this worker's own: a task mostly waits for what it
 * has just submitted. */
static int look_at_once(struct help *help, const weir_context *ctx)
{
    struct queue *queue = help->host->queue;
    int err = context_err(ctx);
    if (err != 0 || help->done(help->arg))
        return err;
    help->found = deques_used(&queue->deques)
                      ? weir__local_take(queue, help->sink, &help->job)
                      : weir__queue_claim_next(queue, help->sink, &help->at, &help->job);
    return help->found ? 0 : -EAGAIN;
}

static bool done_or_found(void *arg)
{
    struct help *help = arg;
    if (help->done(help->arg))
        return true;
    if (help->host == NULL)
        return false;
    help->found = claim_next(help);
    for (; !help->found && help->looks > 0; help->looks--) {
        cpu_relax(HELP_PAUSES);
        if (help->done(help->arg))
            return true;
    }
    return help->found;
}

int weir__wait_helping(struct told told, struct host *helped, const struct sink *sink,
                       const void *object, queue_mark first, bool (*done)(void *arg), void *arg,
                       weir_context *ctx, const weir_context *const also[2], int64_t deadline)
{
    struct help help; /* the job is left alone: to clear it takes as long as to find one */
    help.sink = sink;
    help.at = first;
    help.done = done;
    help.arg = arg;
    told.sink = sink;
    for (;;) {
        /* Not when the deadline has passed: a job may take long. */
        bool late = deadline != WEIR_FOREVER && deadline <= weir_now();
        help.host = late ? NULL : helped;
        help.found = false;
        help.looks = helped != NULL && helped->cpus_to_spare ? HELP_LOOKS : 0;
        int err = help.host != NULL ? look_at_once(&help, ctx) : -EAGAIN;
        if (err == -EAGAIN)
            err = weir__wait_until(told, help.host != NULL ? helper_key(object) : object,
                                   done_or_found, &help, ctx, also, deadline);
        if (err != 0 || !help.found)
            return err;
        weir_assert(helped != NULL);
        note_helped(own_times(helped));
        weir__run(helped, &help.job);
    }
}
