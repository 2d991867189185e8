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

#include "os/alloc.h"
#include "os/thread.h"

int weir__slab_init(struct slab *slab, uint32_t waiting, uint32_t workers)
{
    slab->count = waiting + workers * CHAIN + MARGIN;
    slab->slots = weir__alloc(slab->count, sizeof *slab->slots);
    slab->links = weir__alloc(slab->count, sizeof *slab->links);
    slab->chain_links = weir__alloc(slab->count, sizeof *slab->chain_links);
    if (slab->slots == NULL || slab->links == NULL || slab->chain_links == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < slab->count; i++)
        store_rlx(&slab->slots[i].claim, claim_first(i)); /* nobody else knows the slab yet */
    struct chain all = {LINK_NONE, 0};
    for (uint32_t link = slab->count; link > 0; link--)
        slab_give(slab, &all, link);
    if (all.length > 0)
        weir__slab_give_chain(slab, &all);
    return 0;
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
