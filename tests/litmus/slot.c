/* SPDX-License-Identifier: MIT */
/* slot.c - pool/slot.h: a slot is filled for its next job while a thread that knows the last one
 * reads it and claims it. Claims: 0 for a job that was queued, 1 when it is taken, 2 for the next.
 */
#include "litmus.h"

#define claim (&litmus_words[0])
#define sink (&litmus_words[1])
#define field (&litmus_words[2])
#define looked litmus_results[0]
#define sink_read litmus_results[1]
#define field_read litmus_results[2]
#define won litmus_results[3]

static void fill(void)
{
    store_rlx(claim, 1);
    store_rlx(field, 1);
    store_rel(sink, 1);
    store_rel(claim, 2);
}

/* The claim in a handle is old; the sink must be the new one for the thread to want the job. */
static void claim_with_old(void)
{
    sink_read = load_acq(sink);
    if (sink_read == 1)
        won = litmus_cas(cas_seqcst, claim, 0, 1);
}

static bool old_claim_won(void)
{
    return won == 1;
}

static void look_and_read(void)
{
    looked = load_acq(claim);
    field_read = load_rlx(field);
}

static bool field_stale(void)
{
    return looked == 2 && field_read == 0;
}

/* Two that claim: one wins, and what the loser sees of the slot is what the winner left. */

static void claim_and_use(void)
{
    if (litmus_cas(cas_acqrel, claim, 0, 1))
        won++;
}

static void claim_and_use_too(void)
{
    if (litmus_cas(cas_acqrel, claim, 0, 1))
        won++;
}

static bool not_one_winner(void)
{
    return won != 1;
}

const struct litmus litmus_slot[] = {
    {"slot, old claim",
     NEVER,
     true,
     {fill, claim_with_old},
     old_claim_won,
     {"fill store_rel 2 -> relaxed", "claim_with_old cas_seqcst 1 -> acq_rel"}},
    {"slot, fields",
     NEVER,
     true,
     {fill, look_and_read},
     field_stale,
     {"fill store_rel 1 -> relaxed"}},
    {"slot, one winner", NEVER, false, {claim_and_use, claim_and_use_too}, not_one_winner, {0}},
    {0},
};
