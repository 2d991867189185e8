/* SPDX-License-Identifier: MIT */
/* mutex.c - sync/mutex.c: 1 held, 2 held and wanted, 0 free. A sleeper enters itself, then sets 2;
 * an unlock sets 0, and if that was 2 it looks for the sleeper.
 */
#include "litmus.h"

#define state (&litmus_words[0])
#define entered (&litmus_words[1])
#define guarded (&litmus_words[2])
#define was litmus_results[0]
#define entered_read litmus_results[1]
#define guarded_read litmus_results[2]
#define held litmus_results[3]

static void lock_slowly(void)
{
    (void)add_rlx(entered, 1);
    (void)xchg_acqrel(state, 2);
}

static void unlock(void)
{
    was = xchg_acqrel(state, 0);
    entered_read = load_rlx(entered);
}

static bool sleeper_missed(void)
{
    return was == 2 && entered_read == 0;
}

/* What was done under the lock is seen by the next to hold it. */

static void guard_and_unlock(void)
{
    store_rlx(guarded, 1);
    (void)xchg_acqrel(state, 3);
}

static void lock_and_read(void)
{
    held = litmus_cas(cas_acqrel, state, 3, 1);
    guarded_read = load_rlx(guarded);
}

static bool guarded_stale(void)
{
    return held == 1 && guarded_read == 0;
}

const struct litmus litmus_mutex[] = {
    {"mutex, sleeper",
     NEVER,
     true,
     {lock_slowly, unlock},
     sleeper_missed,
     {"lock_slowly xchg_acqrel 1 -> release", "unlock xchg_acqrel 1 -> acquire"}},
    {"mutex, guarded",
     NEVER,
     true,
     {guard_and_unlock, lock_and_read},
     guarded_stale,
     {"guard_and_unlock xchg_acqrel 1 -> release", "lock_and_read cas_acqrel 1 -> acquire"}},
    {0},
};
