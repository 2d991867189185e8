/* SPDX-License-Identifier: MIT */
/* freelist.c - the free slots.
 *
 * A worker collects the slots that it frees in a magazine of its own, with no atomic operation, and
 * exchanges it when it is full; a thread outside puts a full one into its stripe, and takes single
 * slots from there with a CAS on a line that is mostly its own. A thread that finds its stripe
 * empty, and no full magazine, looks at the other stripes: nothing that is free is out of reach.
 *
 * A stripe's word changes its tag with every step. So a thread that reads a slot's number in the
 * magazine and then takes it by CAS has read it while the magazine was there. (The tag wraps after
 * 2^37 steps, of which exactly a multiple would have to pass between the read and the CAS.)
 *
 * The contents of a magazine, and the last use of the slots in it, travel with its number: from
 * stack_push to stack_pop, and from load_stripe to take_from.
 *
 * There are magazines for all slots, for each worker and stripe, and for SPARE threads that are in
 * the middle of an exchange. If so many are held up there, slots come back one by one.
 */
#include "pool/freelist.h"

#include <errno.h>

#include "base/assert.h"
#include "base/pace.h"
#include "os/alloc.h"
#include "os/thread.h"

enum { SPARE = 64 }; /* magazines for threads in the middle of an exchange */

int weir__freelist_init(struct freelist *list, uint32_t count, uint32_t most, uint32_t workers,
                        const void *lines)
{
    uint32_t magazines = most / MAGAZINE_ROUNDS + workers + STRIPES + SPARE;
    weir_assert(magazines < 1U << MAGAZINE_BITS); /* a stripe's word has room for its number */
    list->lines = lines;
    list->links = weir__alloc_untouched(most, sizeof *list->links);
    list->magazines = weir__alloc_untouched(magazines, sizeof *list->magazines);
    list->magazine_links = weir__alloc_untouched(magazines, sizeof *list->magazine_links);
    if (list->links == NULL || list->magazines == NULL || list->magazine_links == NULL)
        return -ENOMEM;
    for (uint32_t magazine = magazines; magazine > workers; magazine--)
        stack_push(&list->empty, list->magazine_links, magazine);
    struct loaded loaded = {stack_pop(&list->empty, list->magazine_links), 0};
    for (uint32_t slot = count; slot > 0; slot--)
        freelist_give(list, &loaded, slot);
    while (loaded.rounds > 0)
        weir__freelist_give_shared(list, freelist_take(list, &loaded));
    stack_push(&list->empty, list->magazine_links, loaded.magazine);
    return 0;
}

void weir__freelist_destroy(struct freelist *list)
{
    weir__free(list->links);
    weir__free(list->magazines);
    weir__free(list->magazine_links);
}

/* Workers. */

/* Gives what is loaded to one stack, for a magazine from the other. */
static bool exchange(struct freelist *list, struct loaded *own, index_stack *to, index_stack *from)
{
    uint32_t other = stack_pop(from, list->magazine_links);
    if (other == LINK_NONE)
        return false;
    stack_push(to, list->magazine_links, own->magazine);
    own->magazine = other;
    return true;
}

bool weir__freelist_reload(struct freelist *list, struct loaded *own)
{
    bool done = exchange(list, own, &list->empty, &list->full);
    if (done)
        own->rounds = MAGAZINE_ROUNDS;
    return done;
}

bool weir__freelist_unload(struct freelist *list, struct loaded *own)
{
    bool done = exchange(list, own, &list->full, &list->empty);
    if (done)
        own->rounds = 0;
    return done;
}

/* Threads outside. */

static struct stripe *my_stripe(struct freelist *list)
{
    uint64_t hash = (uint64_t)(uintptr_t)this_thread() * UINT64_C(0x9E3779B97F4A7C15);
    return &list->stripes[(hash >> 32) % STRIPES];
}

/* Fetches the slot that will be taken when `rounds` are left: a submit's CAS waits for what was
 * written to the slot, which is in another core's cache. */
static inline void fetch_slot(const struct freelist *list, uint32_t magazine, uint32_t rounds)
{
    uint32_t slot = load_rlx(&list->magazines[magazine - 1].slots[rounds - 1]);
    prefetch_write((const char *)list->lines + (size_t)(slot - 1) * CACHE_LINE); /* a hint */
}

static inline uint32_t take_from(struct freelist *list, struct stripe *stripe)
{
    uint64_t word = load_acq(&stripe->word); /* pairs with load_stripe */
    for (;;) {
        struct loaded loaded = stripe_loaded(word);
        if (loaded.rounds == 0)
            return stack_pop(&stripe->loose, list->links);
        /* If it is stale, the CAS fails. */
        uint32_t slot = load_rlx(&list->magazines[loaded.magazine - 1].slots[loaded.rounds - 1]);
        /* Pairs with load_stripe; a release too: the number was read before the thread
         * that finds the magazine empty hands it on. */
        if (likely(cas_acqrel(&stripe->word, &word, word + STRIPE_TAG - 1))) {
            if (loaded.rounds > FETCH_AHEAD)
                fetch_slot(list, loaded.magazine, loaded.rounds - FETCH_AHEAD);
            return slot;
        }
    }
}

/* Puts a full magazine into the stripe, unless it has something; false: there is none. */
static bool load_stripe(struct freelist *list, struct stripe *stripe)
{
    uint64_t word = load_rlx(&stripe->word); /* the CAS checks it */
    struct loaded old = stripe_loaded(word);
    if (old.rounds > 0)
        return true;
    uint32_t full = stack_pop(&list->full, list->magazine_links);
    if (full == LINK_NONE)
        return false;
    uint64_t tag = (word & ~(STRIPE_TAG - 1)) + STRIPE_TAG;
    for (int rounds = MAGAZINE_ROUNDS; rounds > 0 && rounds > MAGAZINE_ROUNDS - FETCH_AHEAD;
         rounds--)
        fetch_slot(list, full, (uint32_t)rounds);
    /* Pairs with take_from. */
    if (!cas_acqrel(&stripe->word, &word, tag | (uint64_t)full << ROUNDS_BITS | MAGAZINE_ROUNDS))
        stack_push(&list->full, list->magazine_links, full);
    else if (old.magazine != LINK_NONE)
        stack_push(&list->empty, list->magazine_links, old.magazine);
    return true;
}

uint32_t weir__freelist_take_shared(struct freelist *list)
{
    struct stripe *mine = my_stripe(list);
    uint32_t slot;
    do {
        slot = take_from(list, mine);
        if (likely(slot != LINK_NONE))
            return slot;
    } while (load_stripe(list, mine));
    for (unsigned i = 0; i < STRIPES && slot == LINK_NONE; i++)
        slot = take_from(list, &list->stripes[i]);
    return slot;
}

void weir__freelist_give_shared(struct freelist *list, uint32_t slot)
{
    stack_push(&my_stripe(list)->loose, list->links, slot);
}
