/* SPDX-License-Identifier: MIT */
/* slot.h - where a queued job lies, and the word by which it is claimed.
 *
 * A slot belongs to the thread that took it from the free ones, until its number, the ticket, is in
 * the ring; then to the thread that pops the ticket, which alone gives it back. The job in it may
 * be wanted by others too: a canceller, a waiter that runs it or ends it as expired. They race with
 * the popper on the claim word, by a CAS from queued to taken. The winner owns the job and its one
 * end; a popper that loses drops the ticket, which is dead.
 *
 * claim: {generation:39, number of the slot:24, taken:1}. The generation grows with every use of
 * the slot, so a claim that was read before the slot was used again cannot win any more (it wraps
 * after 2^39 uses of one slot). The number makes it a complete address, for a handle to keep in one
 * word.
 *
 * A thread that does not own the ticket reads the claim, then the fields, then claims. The fields
 * are atomic because they may be overwritten meanwhile; then the CAS fails. slot_fill makes the
 * claim taken before it writes the sink, so a reader that sees the new sink does not win with the
 * old claim. The CAS is a release too: the reads of the fields are not moved behind it.
 */
#ifndef WEIR_POOL_SLOT_H
#define WEIR_POOL_SLOT_H

#include "base/tsan.h"
#include "pool/job.h"
#include "ring/index_ring.h"

struct slot {
    _Alignas(CACHE_LINE) atomic(uint64_t) claim;
    atomic(weir_task_fn *) fn;
    atomic(void *) arg;
    atomic(weir_context *) context;
    atomic(int64_t) start_by;
    atomic(struct sink *) sink;
    atomic(uint64_t) stamp;
    atomic(uint32_t)
        place;             /* index+1 of the place where it waits for its time; 0: none (delay.h) */
    atomic(uint32_t) lane; /* the job's, and whether its ticket is in a deque */
};

#define SLOT_IN_DEQUE (UINT32_C(1) << 31) /* in `lane` */
#define CLAIM_TAKEN UINT64_C(1)
#define CLAIM_GENERATION (UINT64_C(1) << 25)

static inline uint32_t claim_index(uint64_t claim)
{
    return (uint32_t)(claim >> 1 & INDEX_MASK);
}

static inline bool claim_taken(uint64_t claim)
{
    return (claim & CLAIM_TAKEN) != 0;
}

/* The slot's first use is still to come, and no other thread knows it. */
static inline void slot_init(struct slot *slot, uint32_t index)
{
    store_rlx(&slot->claim, (uint64_t)index << 1 | CLAIM_TAKEN);
    store_rlx(&slot->context, NULL);
    store_rlx(&slot->fn, NULL); /* may be looked at before: take_beside_turns */
    store_rlx(&slot->sink, NULL);
    store_rlx(&slot->place, 0);
    store_rlx(&slot->lane, 0);
}

/* Puts a job into a slot that is ours and makes it claimable. `lane`: the job's, and where its
 * ticket goes. Returns the claim. */
static inline uint64_t slot_fill(struct slot *slot, const struct job *job, uint64_t stamp,
                                 uint32_t lane)
{
    uint64_t taken = load_rlx(&slot->claim) | CLAIM_TAKEN; /* ours */
    uint64_t queued = (taken ^ CLAIM_TAKEN) + CLAIM_GENERATION;
    store_rlx(&slot->claim, taken);
    store_rlx(&slot->fn, job->fn);
    store_rlx(&slot->arg, job->arg);
    store_rlx(&slot->context, job->context);
    store_rlx(&slot->start_by, job->start_by);
    store_rlx(&slot->stamp, stamp);
    store_rlx(&slot->lane, lane);
    tsan_release(slot);
    store_rel(&slot->sink, job->sink); /* the claim is taken: pairs with slot_read */
    store_rel(&slot->claim, queued);   /* the fields: pairs with slot_look */
    return queued;
}

/* The claim of the job in the slot; the fields that go with it may be read from here on. */
static inline uint64_t slot_look(const struct slot *slot)
{
    return load_acq(&slot->claim); /* pairs with slot_fill, slot_claim */
}

/* True: the job is this thread's. */
static inline bool slot_claim(struct slot *slot, uint64_t claim)
{
    /* Pairs with slot_look, slot_claimed; with the former in the slot's next use, by way of the
     * free slots: the fields were read. seq_cst: a canceller that misses a blocked submitter must
     * be seen by its look at the head. */
    return cas_seqcst(&slot->claim, &claim, claim | CLAIM_TAKEN);
}

/* Reads the job; true only together with a claim, or for the owner of the ticket. Not if that may
 * be in a deque. */
static inline void slot_read(const struct slot *slot, struct job *ret)
{
    ret->sink = load_acq(&slot->sink); /* pairs with slot_fill */
    tsan_acquire(slot);
    ret->fn = load_rlx(&slot->fn);
    ret->arg = load_rlx(&slot->arg);
    ret->context = load_rlx(&slot->context);
    ret->start_by = load_rlx(&slot->start_by);
    ret->stamp = load_rlx(&slot->stamp);
    ret->lane = load_rlx(&slot->lane);
}

/* Likewise, wherever the ticket is. */
static inline void slot_read_anywhere(const struct slot *slot, struct job *ret)
{
    slot_read(slot, ret);
    ret->lane &= ~SLOT_IN_DEQUE;
}

/* The lane of the job, and whether its ticket is in a deque; true as slot_read is. */
static inline uint32_t slot_lane(const struct slot *slot)
{
    return load_rlx(&slot->lane) & ~SLOT_IN_DEQUE;
}

static inline bool slot_in_deque(const struct slot *slot)
{
    return (load_rlx(&slot->lane) & SLOT_IN_DEQUE) != 0;
}

#endif
