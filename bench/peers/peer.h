/* SPDX-License-Identifier: MIT */
/* peer.h - what the workloads ask of a pool. A program is made of workloads.c and one peer's file,
 * which says how that pool does each of these things, the way its documentation does it.
 *
 * A task is a weir_task_fn whose first argument means nothing, so that no peer has to go through
 * another function to start it; a peer that queues other things queues one that calls it.
 */
#ifndef BENCH_PEERS_PEER_H
#define BENCH_PEERS_PEER_H

#include <stddef.h>

#include <weir/pool.h>

enum { BOUND = 1024, GROUP_SIZE = 8 }; /* the capacity of the pools that have one; tasks a group */

/* A missing function means that the peer cannot do it; `why_not` says why. */
struct peer {
    const char *name;
    const char *why_not;

    /* `producers` threads will submit; 0: one thread will do nothing but wait. */
    void *(*open)(unsigned workers, unsigned producers);

    /* Waits until every task has ended. Nothing is submitted from outside any more. NULL: the
     * workload looks from time to time whether all have run. */
    void (*finish)(void *pool);
    void (*close)(void *pool);

    /* Runs body(arg) on the calling thread, which is to submit: a producer. Also waits for its
     * tasks if that is the peer's way. NULL: nothing is to be done around it. */
    void (*produce)(void *pool, void (*body)(void *arg), void *arg);

    /* From a producer, and from inside a task. A producer waits for room; a task whose pool is full
     * runs the new one inline, unless the peer is there to show what happens otherwise. */
    void (*submit)(void *pool, weir_task_fn *fn, void *arg);
    void (*spawn)(void *pool, weir_task_fn *fn, void *arg);

    /* Submits a task for each of args and waits for them: from outside, and from inside a task. */
    void (*call)(void *pool, weir_task_fn *fn, void *const args[], size_t n);
    void (*call_inside)(void *pool, weir_task_fn *fn, void *const args[], size_t n);

    /* Inside a task: submits fn(forked), runs fn(own), waits for the first. */
    void (*fork)(void *pool, weir_task_fn *fn, void *forked, void *own);
};

#ifdef __cplusplus
extern "C" {
#endif

/* All forms of the peer, the first one being what it is best known for; ends with a NULL. */
extern const struct peer *const peer_forms[];

#ifdef __cplusplus
}
#endif

#endif
