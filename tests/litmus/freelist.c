/* SPDX-License-Identifier: MIT */
/* freelist.c - pool/freelist.c and ring/index_stack.h: numbers of free slots that lie in a magazine
 * (or below a head), and a word by which it is handed over.
 */
#include "litmus.h"

#define word (&litmus_words[0])
#define number (&litmus_words[1])
#define taken litmus_results[0]
#define slot litmus_results[1]
#define taken_again litmus_results[2]

/* load_stripe: the magazine is written, then its number goes into the stripe's word. */
static void load(void)
{
    store_rlx(number, 7);
    (void)litmus_cas(cas_rel, word, 0, 2);
}

/* take_from: the number is read before the CAS that takes it. */
static void take(void)
{
    uint64_t seen = load_acq(word);
    slot = load_rlx(number);
    taken = seen == 2 && litmus_cas(cas_rel, word, seen, seen - 1);
}

static bool slot_unwritten(void)
{
    return taken == 1 && slot != 7;
}

/* Two that take, one after the other: the second sees through the first one's CAS, which carries
 * the release on, whatever its own order. */
static void take_after(void)
{
    uint64_t seen = load_acq(word);
    slot = load_rlx(number);
    taken_again = seen == 1 && litmus_cas(cas_rel, word, seen, seen - 1);
}

static bool second_unwritten(void)
{
    return taken_again == 1 && slot != 7;
}

static void take_first(void)
{
    uint64_t seen = load_acq(word);
    if (seen == 2)
        (void)litmus_cas(cas_rel, word, seen, seen - 1);
}

/* The last one is taken, and the magazine, empty, is written anew by a thread that has seen so:
 * the number that was read is the old one. */

static void write_anew(void)
{
    if (load_acq(word) == 1)
        store_rlx(number, 9);
}

static void load_and_take(void)
{
    store_rlx(number, 7);
    (void)litmus_cas(cas_rel, word, 0, 2);
    slot = load_rlx(number);
    taken = litmus_cas(cas_rel, word, 2, 1);
}

static bool slot_of_another(void)
{
    return taken == 1 && slot != 7;
}

const struct litmus litmus_freelist[] = {
    {"freelist, hand over",
     NEVER,
     true,
     {load, take},
     slot_unwritten,
     {"take cas_rel 1 -> relaxed"}},
    {"freelist, hand over by way of another",
     NEVER,
     true,
     {load, take_first, take_after},
     second_unwritten,
     {"take_first load_acq 1 -> relaxed", "take_first cas_rel 1 -> relaxed",
      "take_after cas_rel 1 -> relaxed"}},
    {"freelist, written anew",
     NEVER,
     true,
     {load_and_take, write_anew},
     slot_of_another,
     {"load_and_take cas_rel 1 -> relaxed"}},
    {0},
};
