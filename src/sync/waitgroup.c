/* SPDX-License-Identifier: MIT */
#include "sync/waitgroup.h"

#include "base/assert.h"
#include "base/tsan.h"
#include "wait/waiter.h"

bool weir__waitgroup_add(struct waitgroup *wg, uint32_t n)
{
    uint64_t state = load_rlx(&wg->state); /* the CAS checks it */
    uint64_t next;
    do {
        uint64_t count = (uint64_t)waitgroup_count(state) + n;
        if (count > WAITGROUP_MAX)
            return false;
        uint64_t round = state >> 32;
        if (waitgroup_count(state) == 0)
            round++;
        next = (uint64_t)(uint32_t)round << 32 | count;
        /* pairs with weir_waitgroup_wait_until, stale in waitgroup_tasks.c: publishes what go has
         * noted for waiters. No thread waits for the count to grow, so it need not be seq_cst. */
    } while (!cas_rel(&wg->state, &state, next));
    return true;
}

bool weir__waitgroup_take(struct waitgroup *wg)
{
    tsan_release(wg);
    /* pairs with weir_waitgroup_wait_until, weir_waitgroup_try_wait, round_over */
    uint64_t before = sub_seqcst(&wg->state, 1);
    if (waitgroup_count(before) == 0)
        weir__misuse("weir_waitgroup_done", "the counter is below zero.");
    return waitgroup_count(before) == 1;
}

void weir_waitgroup_add(weir_waitgroup *wg, unsigned n)
{
    if (wg == NULL)
        weir__misuse("weir_waitgroup_add", "the waitgroup is NULL.");
    struct waitgroup *self = (struct waitgroup *)wg;
    if (n != 0 && waitgroup_count(load_rlx(&self->state)) == 0)
        store_rlx(&self->fork, 0); /* a new round, of this process */
    if (n > WAITGROUP_MAX || (n != 0 && !weir__waitgroup_add(self, n)))
        weir__misuse("weir_waitgroup_add", "the counter is above 2^31 - 1.");
}

void weir_waitgroup_done(weir_waitgroup *wg)
{
    if (wg == NULL)
        weir__misuse("weir_waitgroup_done", "the waitgroup is NULL.");
    if (weir__waitgroup_take((struct waitgroup *)wg))
        wake_waiters(wg);
}
