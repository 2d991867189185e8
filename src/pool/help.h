/* SPDX-License-Identifier: MIT */
/* help.h - waits of jobs for jobs: on a worker they run what they wait for. */
#ifndef WEIR_POOL_HELP_H
#define WEIR_POOL_HELP_H

#include "pool/local.h"
#include "pool/run.h"

/* The pool that a thread which waits for its jobs helps, or NULL: it just sleeps. */
static inline struct host *helped(struct host *host)
{
    return host->outside_waiters_help || inside_host(host) ? host : NULL;
}

/* Blocks until done(arg), running queued jobs of `sink` meanwhile if `helped` is not NULL; none is
 * before `first`. Asked again after wake_waiters(object); a thread that queues a job of the sink
 * wakes helper_key(object). Returns as weir__wait_until. */
int weir__wait_helping(struct told told, struct host *helped, const struct sink *sink,
                       const void *object, queue_mark first, bool (*done)(void *arg), void *arg,
                       weir_context *ctx, const weir_context *const also[2], int64_t deadline);

#endif
