/* SPDX-License-Identifier: MIT */
/* slab.c - the free slots.
 *
 * One free-list operation a task on a word that all threads share would cost more than the ring
 * itself. So a worker collects the slots it frees, with no atomic operation, and gives CHAIN at
 * once; a thread outside takes a whole chain to its stripe, and single slots from there with a CAS
 * on a line that is mostly its own. Who finds its stripe and the chains empty takes from the other
 * stripes: nothing that is free is out of reach.
 */
#include "pool/slab.h"

#include <errno.h>
#include <string.h>

#include "os/alloc.h"
#include "os/thread.h"

static void make_slot(struct slab *slab, uint32_t index)
{
    struct slot *slot = &slab->slots[index];
    memset(slot, 0, sizeof *slot);
    store_rlx(&slot->claim, claim_first(index)); /* nobody else knows the slot yet */
}

int weir__slab_init(struct slab *slab, uint32_t capacity, uint32_t workers, uint32_t more)
{
    uint32_t count = capacity + workers * CHAIN + MARGIN, all = count + more;
    slab->slots = weir__alloc_untouched(all, sizeof *slab->slots);
    slab->links = weir__alloc_untouched(all, sizeof *slab->links);
    slab->chain_links = weir__alloc_untouched(all, sizeof *slab->chain_links);
    if (slab->slots == NULL || slab->links == NULL || slab->chain_links == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; i++)
        make_slot(slab, i);
    struct chain chain = {LINK_NONE, 0};
    for (uint32_t link = count; link > 0; link--)
        slab_give(slab, &chain, link);
    if (chain.length > 0)
        weir__slab_give_chain(slab, &chain);
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
    weir__free(slab->chain_links);
}

void weir__slab_give_chain(struct slab *slab, struct chain *own)
{
    stack_push(&slab->chains.stack, slab->chain_links, own->first, own->first);
    *own = (struct chain){LINK_NONE, 0};
}

static unsigned my_stripe(void)
{
    uint64_t hash = (uint64_t)(uintptr_t)this_thread() * UINT64_C(0x9E3779B97F4A7C15);
    return (unsigned)(hash >> 61);
}

uint32_t weir__slab_take_shared(struct slab *slab)
{
    unsigned mine = my_stripe();
    uint32_t link = stack_pop(&slab->stripes[mine].stack, slab->links);
    if (likely(link != LINK_NONE)) {
        /* The next one that this thread will write to: the CASes of a submit wait for its line. */
        uint32_t following = load_rlx(&slab->links[link - 1]); /* a hint; any slot will do */
        if (following != LINK_NONE)
            __builtin_prefetch(&slab->slots[following - 1], 1);
        return link;
    }
    link = stack_pop(&slab->chains.stack, slab->chain_links);
    if (link != LINK_NONE) {
        uint32_t rest = load_rlx(&slab->links[link - 1]); /* the chain is ours */
        if (rest != LINK_NONE && !stack_fill(&slab->stripes[mine].stack, rest))
            stack_push(&slab->chains.stack, slab->chain_links, rest, rest);
        return link;
    }
    for (unsigned i = 1; i < STRIPES; i++) {
        link = stack_pop(&slab->stripes[(mine + i) % STRIPES].stack, slab->links);
        if (link != LINK_NONE)
            return link;
    }
    return LINK_NONE;
}

void weir__slab_give_shared(struct slab *slab, uint32_t link)
{
    stack_push(&slab->stripes[my_stripe()].stack, slab->links, link, link);
}
