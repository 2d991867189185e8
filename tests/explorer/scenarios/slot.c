/* SPDX-License-Identifier: MIT */
/* slot.c - a slot by itself: it is filled for its next job while another thread, which comes upon
 * it, looks for jobs of one sink. One of the two gets the job, and the whole of it.
 */
#include "scenario.h"

#include "pool/slot.h"

struct yard {
    struct slot slot;
    struct sink *wanted;
    struct job next;
    bool found; /* by the thread that comes upon it */
};

static int do_nothing(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return 0;
}

/* The slot has its last job, and a claim that was not taken, if nobody but the popper could want
 * it; else the claim was taken. */
static struct yard *new_yard(bool last_was_wanted)
{
    struct yard *yard = make(sizeof *yard);
    yard->wanted = (struct sink *)yard; /* its address is all that counts */
    yard->next =
        (struct job){.fn = do_nothing, .arg = yard, .start_by = WEIR_FOREVER, .sink = yard->wanted};
    slot_init(&yard->slot, 0);
    struct job last = yard->next;
    last.arg = NULL;
    last.sink = last_was_wanted ? yard->wanted : NULL;
    uint64_t claim = slot_fill(&yard->slot, &last, 0, 0);
    if (last_was_wanted)
        check(slot_claim(&yard->slot, claim));
    return yard;
}

/* As weir__queue_claim_next does. */
static void find(void *arg)
{
    struct yard *yard = arg;
    uint64_t claim = slot_look(&yard->slot);
    if (claim_taken(claim))
        return;
    struct job job;
    slot_read(&yard->slot, &job);
    yard->found = job.sink == yard->wanted && slot_claim(&yard->slot, claim);
    check(!yard->found || job.arg == yard);
}

/* As the thread that put the job and then popped it. */
static bool fill_and_take(struct yard *yard)
{
    uint64_t claim = slot_fill(&yard->slot, &yard->next, 0, 0);
    return slot_claim(&yard->slot, claim);
}

static void next_job_against_a_find(bool last_was_wanted)
{
    struct yard *yard = new_yard(last_was_wanted);
    loads_may_be_late();
    explore_begin();
    struct vthread *other = start(find, yard);
    bool taken = fill_and_take(yard);
    finish(other);
    explore_end();
    check(taken != yard->found);
    drop(yard);
}

static void an_old_claim(void)
{
    next_job_against_a_find(false);
}

static void two_jobs_of_one_sink(void)
{
    next_job_against_a_find(true);
}

const struct scenario slot_scenarios[] = {
    {"slot: an old claim against the next job", an_old_claim, false},
    {"slot: two jobs of one sink", two_jobs_of_one_sink, false},
    {0},
};
