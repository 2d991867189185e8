/* SPDX-License-Identifier: MIT */
/* gate.h - what a pool knows of a gate, which says when each job behind it may start.
 *
 * A pass is one job's way through a gate, and belongs to the place in which the job waits
 * (delay.h). It goes OUTSIDE -> WAITS -> PASSED -> OUTSIDE, once for each run of the job; or from
 * WAITS back to OUTSIDE, if the job ends before its turn. The gate is there from `join_locked`
 * until the `leave` that is the last, and while a call of `look` is due.
 *
 * Locks: that of the places, then the gate's own, or that of a context's hooks. The lock of the
 * places is held while the stop of a hook waits for its call: so that takes none but the clock's
 * and those of a wake. The gate holds none while it calls the pool.
 */
#ifndef WEIR_POOL_GATE_H
#define WEIR_POOL_GATE_H

#include "weir/context.h"

#include "base/atomic.h"
#include "base/list.h"

struct delay;
struct pass;

struct __attribute__((may_alias)) job_gate {
    const struct job_gate_ops *ops; /* NULL: it was never made */
    uint32_t fork;                  /* fork_count() when it was made */
};

struct job_gate_ops {
    /* These three are called under the lock of the places. A job has come that will enter. */
    void (*join_locked)(struct job_gate *gate);
    /* It waits at the end of the line; the time that the gate has waited for has come. True: the
     * caller has to call `look` once it holds no lock. */
    bool (*enter_locked)(struct job_gate *gate, struct pass *pass);
    bool (*ring_locked)(struct job_gate *gate);
    /* Lets in those whose turn it is. From here on the gate may be gone. */
    void (*look)(struct job_gate *gate);
    /* A run of the job is over, or (`last`) the job; then the gate may be gone. What it was given
     * goes back. `started`: with `status`. No lock is held. */
    void (*leave)(struct pass *pass, bool last, bool started, int status);
};

enum pass_state { PASS_OUTSIDE, PASS_WAITS, PASS_PASSED };

struct pass {
    struct job_gate *gate; /* constant while the place is in use, as is the next */
    struct delay *delay;   /* the place is the one of the same index */
    struct list link;      /* the gate's, as are the next two */
    enum pass_state state;
    uint64_t words[4];
    weir_context_hook hook; /* of the job's context, while the job is at the gate */
    bool hooked;            /* likewise; these two under the lock of the places */
};

#endif
