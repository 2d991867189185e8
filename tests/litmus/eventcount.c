/* SPDX-License-Identifier: MIT */
/* eventcount.c - the handshake of wait/eventcount.c: a sleeper counts itself and then looks at the
 * queue, a notifier pushes and then looks at the count. Not both find nothing.
 */
#include "litmus.h"

#define queue (&litmus_words[0])
#define sleepers (&litmus_words[1])
#define epoch (&litmus_words[2])
#define found litmus_results[0]
#define counted litmus_results[1]
#define key litmus_results[2]

static void sleeper(void)
{
    (void)add_seqcst(sleepers, 1);
    found = load_seqcst(queue);
}

static void notifier(void)
{
    (void)litmus_cas(cas_seqcst, queue, 0, 1);
    counted = load_seqcst(sleepers);
}

static bool wake_lost(void)
{
    return found == 0 && counted == 0;
}

/* The key is an acquire: who has taken the epoch of a wake sees what it was for. */

static void wake_all(void)
{
    (void)litmus_cas(cas_rlx, queue, 0, 1);
    (void)add_rel(epoch, 1);
}

static void sleeper_with_key(void)
{
    key = load_acq(epoch);
    (void)add_rlx(sleepers, 1);
    found = load_rlx(queue);
}

static bool slept_on_new_key(void)
{
    return key == 1 && found == 0;
}

const struct litmus litmus_eventcount[] = {
    {"event count", NEVER, true, {sleeper, notifier}, wake_lost, {0}},
    {"event count, key", NEVER, true, {wake_all, sleeper_with_key}, slept_on_new_key, {0}},
    {0},
};
