/* SPDX-License-Identifier: MIT */
/* eventcount.c - an event count (D. P. Reed and R. K. Kanodia, "Synchronization with eventcounts
 * and sequencers", 1979).
 *
 * The handshake. Its steps are named here as in tests/model/pool.pml:
 *
 *   a sleeper    key: eventcount_prepare reads the epoch; announce: then it counts itself;
 *                look: the caller looks at the queue; sleep: while the epoch is the key
 *   a notifier   push: the caller; count: eventcount_has_sleepers;
 *                advance: weir__eventcount_wake_another changes the epoch; wake: then it wakes one
 *   woken        advance: sleep_on changes the epoch; eventcount_cancel; look: the caller
 *
 * Announce and look, push and count are sequentially consistent. If the count misses the
 * announcement, the look sees the push. If it does not, either the sleeper finds that the epoch has
 * advanced and does not sleep, or the wake reaches it.
 *
 * A wake in vain. The wake may find nobody asleep, because the threads that were counted were woken
 * and have not run yet, or have only announced themselves. The former will look again. The latter
 * will not sleep, since they read their key before the epoch advanced; they look again after they
 * have prepared once more. So until a thread prepares, others need not wake either: that is marked
 * with the epoch and the number of prepares that the notifier counted. (If a sleeper announced
 * itself first and read its key second, it could take the new epoch for its key, find nothing,
 * sleep, and be missed.)
 *
 * A timed wait (eventcount_prepare_timed, weir__eventcount_sleep_timed) sleeps on the same word and
 * is counted apart: only notifiers that ask eventcount_has_timed wake it. A wake that was meant for
 * a sleeper may reach a timed wait; then that advances the epoch, and owes what a woken thread
 * owes.
 *
 * The epoch wraps after 2^32 wakes; a sleeper stopped between key and sleep for exactly so many
 * would sleep through one.
 *
 * Orders that are stronger than they must be. A mark counts only while no thread has prepared
 * since, and so while nobody sleeps. A thread that prepares later looks later: announce and look,
 * push and count make sure that it finds what was pushed, whatever the order of the advances that
 * make a mark void. And the kernel compares the newest epoch, whatever the order of the advance
 * before a wake. All are seq_cst nevertheless, so that the argument above needs no exceptions.
 */
#include "wait/eventcount.h"

#include "weir/clock.h"

void weir__eventcount_init(struct eventcount *ec)
{
    weir__park_init(&ec->park);
    store_rlx(&ec->sleepers, 0);
    store_rlx(&ec->timed, 0);
    store_rlx(&ec->in_vain, UINT64_MAX); /* no epoch for a long time */
    store_rlx(&ec->last_wake, 0);
    store_rlx(&ec->wake_gap, WEIR_FOREVER);
}

void weir__eventcount_destroy(struct eventcount *ec)
{
    weir__park_destroy(&ec->park);
}

static int sleep_on(struct eventcount *ec, uint32_t key, int64_t deadline)
{
    int err = weir__park_wait(&ec->park, key, deadline);
    if (err == 0)
        add_seqcst(&ec->park.word, 1); /* pairs with weir__eventcount_wake; stronger: see above */
    return err;
}

int weir__eventcount_sleep(struct eventcount *ec, uint32_t key, int64_t deadline)
{
    int err = sleep_on(ec, key, deadline);
    eventcount_cancel(ec);
    return err;
}

int weir__eventcount_sleep_timed(struct eventcount *ec, uint32_t key, int64_t deadline)
{
    int err = sleep_on(ec, key, deadline);
    eventcount_cancel_timed(ec);
    return err;
}

void weir__eventcount_wake_another(struct eventcount *ec)
{
    /* pairs with eventcount_prepare; stronger: an old number only makes the mark void */
    uint64_t prepares = load_seqcst(&ec->sleepers) >> 32;
    /* pairs with eventcount_prepare, weir__eventcount_wake; stronger: see above */
    uint32_t epoch = add_seqcst(&ec->park.word, 1) + 1;
    int64_t now = weir_now();
    store_rlx(&ec->wake_gap, now - load_rlx(&ec->last_wake)); /* a hint */
    store_rlx(&ec->last_wake, now);
    if (weir__park_wake(&ec->park, 1) == 0)
        store_rlx(&ec->in_vain, (uint64_t)epoch << 32 | prepares); /* void if late */
}

COLD bool weir__eventcount_wake(struct eventcount *ec)
{
    /* pairs with eventcount_prepare; stronger: eventcount_has_sleepers has just read the word */
    uint64_t prepares = load_seqcst(&ec->sleepers) >> 32;
    /* pairs with sleep_on, weir__eventcount_wake_another, weir__eventcount_wake_all; stronger: see
     * above */
    uint32_t epoch = load_seqcst(&ec->park.word);
    /* Relaxed: the epoch and the number decide whether the mark counts. */
    if (load_rlx(&ec->in_vain) == ((uint64_t)epoch << 32 | prepares))
        return false;
    weir__eventcount_wake_another(ec);
    return true;
}

void weir__eventcount_wake_all(struct eventcount *ec)
{
    /* pairs with eventcount_prepare, weir__eventcount_wake: publishes what was changed before;
     * release would do */
    add_seqcst(&ec->park.word, 1);
    (void)weir__park_wake(&ec->park, PARK_ALL);
}
