/* SPDX-License-Identifier: MIT */
/* eventcount.c - an event count (D. P. Reed and R. K. Kanodia, "Synchronization with eventcounts
 * and sequencers", 1979) with at most one wake in flight.
 *
 * A wake costs microseconds before the woken thread runs. Whoever pushes meanwhile need not wake
 * again: the woken thread will see the new items and wake the next sleeper if there is work for it.
 *
 * The handshake, all of it sequentially consistent:
 *   sleeper    S1 key = epoch   S2 sleepers++  S3 look at the queue  S4 sleep while epoch == key
 *   notifier   N1 push            N2 sleepers?     N3 epoch++             N4 wake one
 *   woken      W1 epoch++         W2 look at the queue    (and sleepers-- before W2)
 * If N2 misses S2, S3 sees N1. If N2 sees S2, either S4 sees N3 and does not sleep, or N4 wakes it.
 *
 * In flight: after N4 reached a sleeper, the notifier marks {the epoch it made, position}. Others
 * may rely on that wake while the epoch is still the marked one: then W1 of the woken thread is yet
 * to come, and its W2 sees whatever they pushed before they read the epoch. The mark is
 *   - set only after the system call, so a thread stopped before it holds nobody's wake back;
 *   - tied to the epoch, so a late one is void;
 *   - good for WAKE_RELY changes only, so that a woken thread which does not get a core does not
 *     keep the other sleepers from what is queued meanwhile.
 *
 * In vain: N4 may find nobody asleep, because those who are counted were woken and have not run
 * yet, or have only prepared. The former will come to W2; the latter will not sleep at S4, since S1
 * of whoever N2 counted was before N3, and look again after they have prepared once more. So until
 * somebody prepares, others need not wake either: that is marked with the epoch and the number of
 * prepares that the notifier saw at N2. (Were S1 behind S2, a sleeper could take the new epoch for
 * its key, find nothing, sleep, and be passed over.)
 *
 * Who naps sleeps on the same word and is counted apart: those notify it who look for nappers at
 * N2. A wake that was meant for a sleeper may reach it; then it does W1, and owes what a woken one
 * owes.
 *
 * The epoch wraps after 2^32 wakes; a sleeper stopped between S1 and S4 for exactly so many would
 * sleep through one.
 */
#include "wait/eventcount.h"

#include "weir/clock.h"

#include "base/pace.h"

void weir__eventcount_init(struct eventcount *ec)
{
    weir__park_init(&ec->park);
    store_rlx(&ec->sleepers, 0);
    store_rlx(&ec->in_flight, UINT64_MAX); /* no epoch for a long time */
    store_rlx(&ec->in_vain, UINT64_MAX);
    store_rlx(&ec->nappers, 0);
    store_rlx(&ec->last_wake, 0);
    store_rlx(&ec->wake_gap, WEIR_FOREVER);
}

void weir__eventcount_destroy(struct eventcount *ec)
{
    weir__park_destroy(&ec->park);
}

static int sleep_on(struct eventcount *ec, uint32_t key, int64_t deadline)
{
    int err = weir__park_wait(&ec->park, key, deadline); /* S4 */
    if (err == 0)
        add_seqcst(&ec->park.word, 1); /* W1 */
    return err;
}

int weir__eventcount_sleep(struct eventcount *ec, uint32_t key, int64_t deadline)
{
    int err = sleep_on(ec, key, deadline);
    eventcount_cancel(ec);
    return err;
}

int weir__eventcount_nap(struct eventcount *ec, uint32_t key, int64_t deadline)
{
    int err = sleep_on(ec, key, deadline);
    eventcount_cancel_nap(ec);
    return err;
}

void weir__eventcount_wake_another(struct eventcount *ec, uint64_t position)
{
    uint64_t prepares = load_seqcst(&ec->sleepers) >> 32;
    uint32_t epoch = add_seqcst(&ec->park.word, 1) + 1; /* N3 */
    int64_t now = weir_now();
    store_rlx(&ec->wake_gap, now - load_rlx(&ec->last_wake)); /* a hint */
    store_rlx(&ec->last_wake, now);
    unsigned reached = weir__park_wake(&ec->park, 1); /* N4 */
    if (reached != 0)
        store_rlx(&ec->in_flight, (uint64_t)epoch << 32 | (uint32_t)position); /* void if late */
    else
        store_rlx(&ec->in_vain, (uint64_t)epoch << 32 | prepares); /* likewise */
}

COLD void weir__eventcount_wake(struct eventcount *ec, uint64_t position)
{
    uint64_t prepares = load_seqcst(&ec->sleepers) >> 32;
    uint32_t epoch = load_seqcst(&ec->park.word);
    uint64_t mark = load_rlx(&ec->in_flight); /* the epoch alone decides whether it counts */
    if (mark >> 32 == epoch && (uint32_t)position - (uint32_t)mark < WAKE_RELY)
        return;
    if (load_rlx(&ec->in_vain) == ((uint64_t)epoch << 32 | prepares)) /* likewise */
        return;
    weir__eventcount_wake_another(ec, position);
}

void weir__eventcount_wake_all(struct eventcount *ec)
{
    add_seqcst(&ec->park.word, 1); /* N3 */
    (void)weir__park_wake(&ec->park, PARK_ALL);
}
