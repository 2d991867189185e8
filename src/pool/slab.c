/* SPDX-License-Identifier: MIT */
/* slab.c - the free slots.
 *
 * A worker collects the slots it frees in a magazine of its own, with no atomic operation, and
 * exchanges it when it is full; a thread outside puts a full one into its stripe, and takes single
 * slots from there with a CAS on a line that is mostly its own. Who finds its stripe empty, and no
 * full magazine, looks at the other stripes: nothing that is free is out of reach.
 *
 * A stripe's word changes its tag with every step. So who reads a slot's number in the magazine
 * and then takes it by CAS has read it while the magazine was there. (The tag wraps after 2^37
 * steps, of which exactly a multiple would have to pass between the read and the CAS.)
 *
 *   R19 the CAS that puts a magazine into a stripe -> A19 a look at the word: its contents, and the
 *       last use of the slots. They come from a worker by the stack `full`: R4 -> A4.
 *
 * There are magazines for all slots, for each worker and stripe, and for SPARE threads that are
 * in the middle of an exchange. If so many are held up there, slots come back one by one.
 */
#include "pool/slab.h"

#include <errno.h>
#include <string.h>

#include "os/alloc.h"
#include "os/thread.h"

enum { SPARE = 64 }; /* magazines for threads in the middle of an exchange */

static void make_slot(struct slab *slab, uint32_t index)
{
    struct slot *slot = &slab->slots[index];
    memset(slot, 0, sizeof *slot);
    store_rlx(&slot->claim, claim_first(index)); /* nobody else knows the slot yet */
}

static uint32_t magazines_for(uint32_t slots, uint32_t workers)
{
    return slots / ROUNDS + workers + STRIPES + SPARE;
}

int weir__slab_init(struct slab *slab, uint32_t capacity, uint32_t workers, uint32_t more)
{
    uint32_t count = capacity + workers * ROUNDS + MARGIN, all = count + more;
    uint32_t magazines = magazines_for(all, workers);
    weir_assert(magazines < 1U << MAGAZINE_BITS); /* a stripe's word has room for its number */
    slab->slots = weir__alloc_untouched(all, sizeof *slab->slots);
    slab->links = weir__alloc_untouched(all, sizeof *slab->links);
    slab->magazines = weir__alloc_untouched(magazines, sizeof *slab->magazines);
    slab->magazine_links = weir__alloc_untouched(magazines, sizeof *slab->magazine_links);
    if (slab->slots == NULL || slab->links == NULL || slab->magazines == NULL ||
        slab->magazine_links == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; i++)
        make_slot(slab, i);
    for (uint32_t magazine = magazines; magazine > workers; magazine--)
        stack_push(&slab->empty, slab->magazine_links, magazine);
    struct loaded loaded = {workers + 1, 0};
    (void)stack_pop(&slab->empty, slab->magazine_links);
    for (uint32_t link = count; link > 0; link--)
        slab_give(slab, &loaded, link);
    while (loaded.rounds > 0)
        weir__slab_give_shared(slab, slab_take(slab, &loaded));
    stack_push(&slab->empty, slab->magazine_links, loaded.magazine);
    store_rlx(&slab->count, count); /* no other thread yet */
    return 0;
}

void weir__slab_add(struct slab *slab)
{
    uint32_t index = load_rlx(&slab->count); /* changed by one thread at a time */
    make_slot(slab, index);
    store_rel(&slab->count, index + 1); /* R13 */
    weir__slab_give_shared(slab, index + 1);
}

void weir__slab_destroy(struct slab *slab)
{
    weir__free(slab->slots);
    weir__free(slab->links);
    weir__free(slab->magazines);
    weir__free(slab->magazine_links);
}

/* Workers. */

/* Gives what is loaded to one stack, for a magazine from the other. */
static bool exchange(struct slab *slab, struct loaded *own, index_stack *to, index_stack *from)
{
    uint32_t other = stack_pop(from, slab->magazine_links);
    if (other == LINK_NONE)
        return false;
    stack_push(to, slab->magazine_links, own->magazine); /* R4 */
    own->magazine = other;
    return true;
}

bool weir__slab_reload(struct slab *slab, struct loaded *own)
{
    bool done = exchange(slab, own, &slab->empty, &slab->full);
    if (done)
        own->rounds = ROUNDS;
    return done;
}

bool weir__slab_unload(struct slab *slab, struct loaded *own)
{
    bool done = exchange(slab, own, &slab->full, &slab->empty);
    if (done)
        own->rounds = 0;
    return done;
}

/* Threads outside. */

/* Who loses a CAS there moves on to the next one: so threads come to have stripes of their own. */
static struct stripe *my_stripe(struct slab *slab)
{
    struct self *self = this_thread();
    uint64_t hash = (uint64_t)(uintptr_t)self * UINT64_C(0x9E3779B97F4A7C15);
    return &slab->stripes[((hash >> 32) + self->stripes_left) % STRIPES];
}

/* Fetches the slot that will be taken when `rounds` are left: a submit's CAS waits for what was
 * written to the slot, which is in another core's cache. */
static inline void fetch_slot(const struct slab *slab, uint32_t magazine, uint32_t rounds)
{
    uint32_t link = load_rlx(&slab->magazines[magazine - 1].slots[rounds - 1]);
    prefetch_write(&slab->slots[link - 1]); /* a hint: any slot will do */
}

static inline uint32_t take_from(struct slab *slab, struct stripe *stripe)
{
    uint64_t word = load_acq(&stripe->word); /* A19 */
    for (;;) {
        struct loaded loaded = stripe_loaded(word);
        if (loaded.rounds == 0)
            return stack_pop(&stripe->loose, slab->links);
        /* Stale if we lose; ordered by A19 if not. */
        uint32_t link = load_rlx(&slab->magazines[loaded.magazine - 1].slots[loaded.rounds - 1]);
        /* A release too: the number was read before who empties the magazine hands it on. */
        if (likely(cas_acqrel(&stripe->word, &word, word + STRIPE_TAG - 1))) { /* A19 */
            if (loaded.rounds > AHEAD)
                fetch_slot(slab, loaded.magazine, loaded.rounds - AHEAD);
            return link;
        }
        if (stripe == my_stripe(slab))
            this_thread()->stripes_left++;
    }
}

/* Puts a full magazine into the stripe, unless it has something; false: there is none. */
static bool load_stripe(struct slab *slab, struct stripe *stripe)
{
    uint64_t word = load_rlx(&stripe->word); /* the CAS checks it */
    struct loaded old = stripe_loaded(word);
    if (old.rounds > 0)
        return true;
    uint32_t full = stack_pop(&slab->full, slab->magazine_links); /* A4 */
    if (full == LINK_NONE)
        return false;
    uint64_t tag = (word & ~(STRIPE_TAG - 1)) + STRIPE_TAG;
    for (int rounds = ROUNDS; rounds > 0 && rounds > ROUNDS - AHEAD; rounds--)
        fetch_slot(slab, full, (uint32_t)rounds);
    if (!cas_acqrel(&stripe->word, &word, tag | (uint64_t)full << ROUNDS_BITS | ROUNDS)) /* R19 */
        stack_push(&slab->full, slab->magazine_links, full);
    else if (old.magazine != LINK_NONE)
        stack_push(&slab->empty, slab->magazine_links, old.magazine);
    return true;
}

uint32_t weir__slab_take_shared(struct slab *slab)
{
    struct stripe *mine = my_stripe(slab);
    uint32_t link;
    do {
        link = take_from(slab, mine);
        if (likely(link != LINK_NONE))
            return link;
    } while (load_stripe(slab, mine));
    for (unsigned i = 0; i < STRIPES && link == LINK_NONE; i++)
        link = take_from(slab, &slab->stripes[i]);
    return link;
}

void weir__slab_give_shared(struct slab *slab, uint32_t link)
{
    stack_push(&my_stripe(slab)->loose, slab->links, link);
}
