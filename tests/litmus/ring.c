/* SPDX-License-Identifier: MIT */
/* ring.c - ring/algorithm.h: words in which items lie, and a hint up to where they are filled.
 *
 * A pushes the first item and stores the hint. B starts from the hint, so it never looks at the
 * first word, pushes the second item, and tells C. C finds what was pushed before it was told.
 * Looks and CASes are sequentially consistent, but A and B touch no word in common but the hint: so
 * it is the hint's release and acquire by which C must see A's item.
 */
#include "litmus.h"

#define first (&litmus_words[0])
#define second (&litmus_words[1])
#define tail (&litmus_words[2])
#define flag (&litmus_words[3])
#define hint litmus_results[0]
#define told litmus_results[1]
#define seen litmus_results[2]

static void push_first(void)
{
    (void)litmus_cas(cas_seqcst, first, 0, 1);
    store_rel(tail, 1);
}

static void push_second(void)
{
    hint = load_acq(tail);
    if (hint == 0)
        return;
    (void)litmus_cas(cas_seqcst, second, 0, 1);
    store_rel(flag, 1);
}

static void look(void)
{
    told = load_acq(flag);
    seen = load_seqcst(first);
}

static bool falsely_empty(void)
{
    return hint == 1 && told == 1 && seen == 0;
}

/* The same by the second word alone: C sees the second item, by its look, and the first is not
 * there: filled positions would be no prefix. */

static void look_backwards(void)
{
    told = load_seqcst(second);
    seen = load_seqcst(first);
}

/* An item's memory is written before the push and read after the pop. */

static void push_item(void)
{
    store_rlx(tail, 1);
    (void)litmus_cas(cas_seqcst, first, 0, 1);
}

static void pop_item(void)
{
    told = load_seqcst(first);
    seen = load_rlx(tail);
}

static bool item_not_there(void)
{
    return told == 1 && seen == 0;
}

const struct litmus litmus_ring[] = {
    {"ring, hint",
     NEVER,
     true,
     {push_first, push_second, look},
     falsely_empty,
     {"push_first cas_seqcst 1 -> acq_rel", "push_second cas_seqcst 1 -> acq_rel",
      "look load_seqcst 1 -> acquire"}},
    {"ring, prefix",
     NEVER,
     true,
     {push_first, push_second, look_backwards},
     falsely_empty,
     {"push_first cas_seqcst 1 -> acq_rel", "push_second cas_seqcst 1 -> acq_rel",
      "push_second store_rel 1 -> relaxed", "look_backwards load_seqcst 1 -> acquire",
      "look_backwards load_seqcst 2 -> acquire"}},
    {"ring, item",
     NEVER,
     true,
     {push_item, pop_item},
     item_not_there,
     {"push_item cas_seqcst 1 -> acq_rel", "pop_item load_seqcst 1 -> acquire"}},
    {0},
};
