/* SPDX-License-Identifier: MIT */
/* pools.h - the pools that are compared, behind one interface, so that each benchmark has one body.
 *
 * The price of an indirect call is the same for all, and against the faster ones.
 */
#ifndef BENCH_POOLS_H
#define BENCH_POOLS_H

#include <weir/pool.h>

struct pool_kind {
    const char *name;
    void *(*open)(unsigned workers, unsigned capacity);     /* NULL: it could not be made */
    int (*submit)(void *pool, weir_task_fn *fn, void *arg); /* blocks while the pool is full */
    int (*drain)(void *pool);                               /* until nothing is queued or running */
    int (*call)(void *pool, weir_task_fn *fn, void *arg);   /* submits and waits for its end */
    void (*close)(void *pool);
};

extern const struct pool_kind weir_kind, weir_helped_kind, weir_unmeasured_kind,
    weir_all_measured_kind, weir_lanes_kind, mutex_kind;

#endif
