/* SPDX-License-Identifier: MIT */
/* deque.c - pool/deque.h: an owner at the young end, thieves at the old end.
 *
 * Two numbers are queued, at 0 and at 1. The owner lowers `bottom` and, if it finds the older one
 * still there, takes the newer one as its own. One thief takes the older one; another finds it
 * gone, and the newer one at `top`.
 */
#include "litmus.h"

#define top (&litmus_words[0])
#define lowered (&litmus_words[1])
#define claim (&litmus_words[2])
#define owner_has litmus_results[0]
#define thief_has litmus_results[1]

static void take_newer(void)
{
    (void)xchg_seqcst(lowered, 1);
    owner_has = load_seqcst(top) == 0;
}

/* The same, with a change of another word between the two. */
static void take_newer_in_steps(void)
{
    store_ahead_seqcst(lowered, 1);
    (void)xchg_seqcst(claim, 1);
    owner_has = load_seqcst(top) == 0;
}

static void steal_older(void)
{
    (void)litmus_cas(cas_seqcst, top, 0, 1);
}

static void steal_newer(void)
{
    if (load_seqcst(top) != 1)
        return;
    if (load_seqcst(lowered) == 0)
        thief_has = litmus_cas(cas_seqcst, top, 1, 2);
}

static bool taken_twice(void)
{
    return owner_has == 1 && thief_has == 1;
}

/* A push against a worker that parks: it announces itself, and looks at the deque. */

#define bottom (&litmus_words[0])
#define sleepers (&litmus_words[1])
#define word (&litmus_words[2])
#define found litmus_results[0]
#define counted litmus_results[1]
#define number litmus_results[2]

static void push_and_count(void)
{
    (void)xchg_seqcst(bottom, 1);
    counted = load_seqcst(sleepers);
}

static void announce_and_look(void)
{
    (void)add_seqcst(sleepers, 1);
    found = load_seqcst(bottom);
}

static bool asleep_beside_it(void)
{
    return counted == 0 && found == 0;
}

/* What is pushed, and a thief that sees that it was. */

static void push(void)
{
    store_rlx(word, 7);
    (void)xchg_seqcst(bottom, 1);
}

static void look(void)
{
    found = load_seqcst(bottom);
    number = load_rlx(word);
}

static bool number_not_there(void)
{
    return found == 1 && number != 7;
}

/* A word that was taken is written again, by the owner that has seen so: the thief has read the old
 * number. */

static void steal(void)
{
    number = load_rlx(word);
    found = litmus_cas(cas_seqcst, top, 0, 1);
}

static void push_again(void)
{
    if (load_acq(top) == 1)
        store_rlx(word, 9);
}

static bool number_of_another(void)
{
    return found == 1 && number == 9;
}

const struct litmus litmus_deque[] = {
    {"deque, the last one",
     NEVER,
     true,
     {take_newer, steal_older, steal_newer},
     taken_twice,
     {"steal_newer cas_seqcst 1 -> acq_rel"}},
    {"deque, the last one in two steps",
     NEVER,
     true,
     {take_newer_in_steps, steal_older, steal_newer},
     taken_twice,
     {"steal_newer cas_seqcst 1 -> acq_rel", "take_newer_in_steps xchg_seqcst 1 -> acq_rel"}},
    {"deque, push against park",
     NEVER,
     true,
     {push_and_count, announce_and_look},
     asleep_beside_it,
     {NULL}},
    {"deque, hand over",
     NEVER,
     true,
     {push, look},
     number_not_there,
     {"push xchg_seqcst 1 -> acq_rel", "look load_seqcst 1 -> acquire"}},
    {"deque, written again",
     NEVER,
     true,
     {steal, push_again},
     number_of_another,
     {"steal cas_seqcst 1 -> acq_rel"}},
    {0},
};
