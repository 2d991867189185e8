/* SPDX-License-Identifier: MIT */
/* slab.h - the slots that queued tasks live in, and who may take a task out of one.
 *
 * A slot belongs to whoever took it from the free slots until its number, the ticket, is in the
 * ring; then to whoever pops the ticket, who alone gives it back. The task in it may be wanted by
 * others too: a canceller, a waiter that runs it or ends it as expired. They race with the popper
 * on the claim word, by CAS from queued to taken. Whoever wins owns the task and its one end; a
 * popper that loses drops the ticket.
 *
 * claim: {generation:39, index of the slot:24, taken:1}. The generation grows with every use of the
 * slot, so a claim that was read before the slot was used again cannot win any more (it wraps after
 * 2^39 uses of one slot). The index makes it a complete address, for a handle to keep in one word.
 * Who is not the ticket's owner reads the claim, then the fields, then claims. The fields are
 * atomic because they may be overwritten meanwhile; then the CAS fails:
 *   R10 owner, written after the claim was made taken -> A10: who sees the new owner sees that
 *   R11 claim, made queued -> A11: who sees that sees the fields
 *   R12 the claim CAS, also a release: the reads of the fields are not moved behind it
 *   R13 count -> A13: whoever looks at a slot by a claim that may be another pool's sees it made
 * A task that nobody but the popper can want (OWNER_NONE, pool open) is taken without a claim.
 */
#ifndef WEIR_POOL_SLAB_H
#define WEIR_POOL_SLAB_H

#include "weir/pool.h"

#include "base/pace.h"
#include "base/sizes.h"
#include "ring/index_ring.h"
#include "ring/index_stack.h"

/* Who waits for a task: an address with its kind in the low bits; 0: nobody. */
typedef uintptr_t owner;
enum { OWNER_NONE, OWNER_TASK, OWNER_WAITGROUP, OWNER_GROUP, OWNER_KIND = 3 };

static inline owner owner_of(const void *object, unsigned kind)
{
    return (uintptr_t)object | kind;
}

static inline void *owner_object(owner o)
{
    return (void *)(o & ~(uintptr_t)OWNER_KIND);
}

/* A task that this thread owns: to be run, or ended otherwise, exactly once. */
struct job {
    weir_task_fn *fn;
    void *arg;
    weir_context *context; /* a reference, a group's own (borrowed by its members), or NULL */
    owner owner;
    int64_t start_by; /* WEIR_FOREVER: none */
};

struct slot {
    _Alignas(CACHE_LINE) atomic(uint64_t) claim;
    atomic(weir_task_fn *) fn;
    atomic(void *) arg;
    atomic(weir_context *) context;
    atomic(int64_t) start_by;
    atomic(owner) owner;
    atomic(uint32_t) timer; /* index+1 of the timer that the task waits in; 0: none */
};

enum {
    ROUNDS = MAGAZINE_ROUNDS,
    MARGIN = SLOT_MARGIN,
    AHEAD = FETCH_AHEAD,
};

/* Free slots change hands by the magazine (J. Bonwick and J. Adams, "Magazines and Vmem", 2001):
 * their numbers side by side in memory, so that neither side waits for a line for each of them. A
 * magazine, full or empty, belongs to who popped it from its stack, a worker's until it is
 * exchanged; one that is in a stripe, to the stripe. */
struct magazine {
    _Alignas(CACHE_LINE) atomic(uint32_t) slots[ROUNDS]; /* as index+1 */
};

/* Also what a stripe's word says. */
struct loaded {
    uint32_t magazine; /* as index+1 */
    uint32_t rounds;
};

/* Of the threads outside that have come to it. */
struct stripe {
    _Alignas(CACHE_LINE) atomic(uint64_t) word; /* {tag:37, magazine, rounds} */
    index_stack loose;                          /* slots that came back one by one */
};

enum { MAGAZINE_BITS = 20, ROUNDS_BITS = 7 };
#define STRIPE_TAG (UINT64_C(1) << (MAGAZINE_BITS + ROUNDS_BITS))

static inline struct loaded stripe_loaded(uint64_t word)
{
    return (struct loaded){(uint32_t)(word >> ROUNDS_BITS) & ((1U << MAGAZINE_BITS) - 1),
                           (uint32_t)word & ((1U << ROUNDS_BITS) - 1)};
}

/* Free slots are in a full magazine, in a stripe, or in the magazine of a worker. Everybody finds
 * them, except the ROUNDS at most of each worker, for which there are spare ones, and what threads
 * inside a call have in their hands: a slot, or a magazine for a moment. A submit runs out of slots
 * only if these come to MARGIN. */
struct slab {
    struct slot *slots; /* constant, as are the other pointers */
    struct magazine *magazines;
    index_link *links;          /* of loose slots */
    index_link *magazine_links; /* of the two stacks of magazines */
    atomic(uint32_t) count;     /* of slots that there are; the memory is there for more */
    _Alignas(CACHE_LINE) index_stack full;
    index_stack empty;
    struct stripe stripes[STRIPES];
};

/* Makes a slab for `capacity` queued tasks and `workers`, to which up to `more` slots may be added.
 * 0, or -ENOMEM; to be destroyed either way. */
int weir__slab_init(struct slab *slab, uint32_t capacity, uint32_t workers, uint32_t more);
/* Adds one of these; one thread at a time. */
void weir__slab_add(struct slab *slab);
void weir__slab_destroy(struct slab *slab);

/* The magazine that a worker begins with. */
static inline struct loaded slab_first_magazine(uint32_t worker)
{
    return (struct loaded){worker + 1, 0};
}

/* Takes a free slot (as index+1) or LINK_NONE; gives it back. */
uint32_t weir__slab_take_shared(struct slab *slab);
void weir__slab_give_shared(struct slab *slab, uint32_t link);
/* Exchanges the magazine of a worker: an empty one for a full one, and the other way round. False:
 * there is none. */
bool weir__slab_reload(struct slab *slab, struct loaded *own);
bool weir__slab_unload(struct slab *slab, struct loaded *own);

/* `own`: what the calling worker has loaded, or NULL. */
static inline uint32_t slab_take(struct slab *slab, struct loaded *own)
{
    if (own == NULL || (own->rounds == 0 && !weir__slab_reload(slab, own)))
        return weir__slab_take_shared(slab);
    return load_rlx(&slab->magazines[own->magazine - 1].slots[--own->rounds]); /* ours */
}

static inline void slab_give(struct slab *slab, struct loaded *own, uint32_t link)
{
    if (own == NULL || (own->rounds == ROUNDS && !weir__slab_unload(slab, own)))
        weir__slab_give_shared(slab, link);
    else
        store_rlx(&slab->magazines[own->magazine - 1].slots[own->rounds++], link); /* ours */
}

#define CLAIM_TAKEN UINT64_C(1)
#define CLAIM_GENERATION (UINT64_C(1) << 25)

static inline uint64_t claim_first(uint32_t index)
{
    return (uint64_t)index << 1 | CLAIM_TAKEN;
}

static inline uint32_t claim_index(uint64_t claim)
{
    return (uint32_t)(claim >> 1 & INDEX_MASK);
}

static inline bool claim_taken(uint64_t claim)
{
    return (claim & CLAIM_TAKEN) != 0;
}

/* The slot of a task further back in the queue, if there is one: its line is on its way while those
 * before it run. The index may be of another task by now; any slot will do. */
static inline void slab_prefetch(const struct slab *slab, const struct ring *ring,
                                 uint64_t position)
{
    const ring_word *word = ring_at(ring, position);
    if (word_ahead(word, position + 1) == 0)
        __builtin_prefetch(&slab->slots[word_item(word)], 0);
}

/* Puts a task into a slot that is ours and makes it claimable. Returns the claim. */
static inline uint64_t slot_fill(struct slot *slot, const struct job *job)
{
    uint64_t taken = load_rlx(&slot->claim) | CLAIM_TAKEN; /* ours */
    uint64_t queued = (taken ^ CLAIM_TAKEN) + CLAIM_GENERATION;
    store_rlx(&slot->claim, taken);
    store_rlx(&slot->fn, job->fn);
    store_rlx(&slot->arg, job->arg);
    store_rlx(&slot->context, job->context);
    store_rlx(&slot->start_by, job->start_by);
    store_rel(&slot->owner, job->owner); /* R10 */
    store_rel(&slot->claim, queued);     /* R11 */
    return queued;
}

static inline bool slot_claim(struct slot *slot, uint64_t claim)
{
    return cas_seqcst(&slot->claim, &claim,
                      claim | CLAIM_TAKEN); /* R12; seq_cst: see weir__drop_context */
}

/* Reads the task; true only together with a claim, or for the owner of the ticket. */
static inline void slot_read(const struct slot *slot, struct job *ret)
{
    ret->owner = load_acq(&slot->owner); /* A10 */
    ret->fn = load_rlx(&slot->fn);
    ret->arg = load_rlx(&slot->arg);
    ret->context = load_rlx(&slot->context);
    ret->start_by = load_rlx(&slot->start_by);
}

#endif
