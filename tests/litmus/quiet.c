/* SPDX-License-Identifier: MIT */
/* quiet.c - pool/quiet.c: work out and waiters, and work in of a thread outside and a closed pool.
 */
#include "litmus.h"

#define out (&litmus_words[0])
#define meet (&litmus_words[1])
#define waiters (&litmus_words[2])
#define out_read litmus_results[0]
#define waiters_read litmus_results[1]

/* A worker tells what is out by a plain release store; the two changes of `meet` make up for it. */

static void worker(void)
{
    store_rlx(out, 1);
    (void)add_acqrel(meet, 1);
    waiters_read = load_rlx(waiters);
}

static void waiter(void)
{
    (void)add_rlx(waiters, 1);
    (void)add_acqrel(meet, 1);
    out_read = load_rlx(out);
}

static bool wake_lost(void)
{
    return out_read == 0 && waiters_read == 0;
}

/* What the waiter has seen to be out was done. */

#define done (&litmus_words[1])
#define done_read litmus_results[2]

static void worker_that_did(void)
{
    store_rlx(done, 1);
    store_rel(out, 1);
}

static void waiter_that_reads(void)
{
    out_read = load_acq(out);
    done_read = load_rlx(done);
}

static bool too_early(void)
{
    return out_read == 1 && done_read == 0;
}

/* A thread outside is in, then looks whether the pool is open; shutdown closes it, then reads what
 * is in. A task that was accepted is not overlooked. */

#define in (&litmus_words[0])
#define closed (&litmus_words[1])
#define closed_read litmus_results[0]
#define in_read litmus_results[1]

static void run_inline(void)
{
    (void)add_seqcst(in, 1);
    closed_read = load_seqcst(closed);
}

static void shut_down(void)
{
    (void)xchg_seqcst(closed, 1);
    in_read = load_seqcst(in);
}

static bool overlooked(void)
{
    return closed_read == 0 && in_read == 0;
}

const struct litmus litmus_quiet[] = {
    {"quiet, meet", NEVER, true, {worker, waiter}, wake_lost, {0}},
    {"quiet, done", NEVER, true, {worker_that_did, waiter_that_reads}, too_early, {0}},
    {"quiet, closed", NEVER, true, {run_inline, shut_down}, overlooked, {0}},
    {0},
};
