/* SPDX-License-Identifier: MIT */
/* eventcount.h - threads that sleep until a queue may have changed, on a word that they share.
 *
 *     for (;;) {                                     a thread that makes the change:
 *         key = eventcount_prepare(&ec);                 push;                (seq_cst CAS)
 *         if (take from the queue) {                     eventcount_notify(&ec);
 *             eventcount_cancel(&ec); break;
 *         }
 *         weir__eventcount_sleep(&ec, key, deadline);
 *     }
 *
 * Lock-free for threads that notify. A wake is for one thread: one to which sleep has returned 0
 * must look at the queue, and must notify again if it leaves something there for others.
 */
#ifndef WEIR_WAIT_EVENTCOUNT_H
#define WEIR_WAIT_EVENTCOUNT_H

#include "base/assert.h"
#include "os/park.h"

struct eventcount {
    struct park park;          /* its word is the epoch: it changes with every wake */
    atomic(uint64_t) sleepers; /* {prepares ever, prepared or asleep now} */
    atomic(uint32_t) timed;    /* prepared for a timed wait, or in one */
    atomic(uint64_t) in_vain;  /* {epoch, prepares} of the last wake that reached no thread */
    atomic(int64_t) last_wake; /* when the last wake was; a hint, as the next one */
    atomic(int64_t) wake_gap;  /* how long after the one before it */
};

#define EVENTCOUNT_PREPARED (UINT64_C(1) << 32 | 1)

void weir__eventcount_init(struct eventcount *ec);
void weir__eventcount_destroy(struct eventcount *ec);

/* Announces a sleeper. The caller then looks at the queue and either cancels or sleeps. */
static inline uint32_t eventcount_prepare(struct eventcount *ec)
{
    /* First the key, see eventcount.c. pairs with weir__eventcount_wake_another,
     * weir__eventcount_wake_all; acquire would do */
    uint32_t key = load_seqcst(&ec->park.word);
    /* pairs with eventcount_has_sleepers, weir__eventcount_wake, weir__eventcount_wake_another */
    add_seqcst(&ec->sleepers, EVENTCOUNT_PREPARED);
    return key;
}

static inline void eventcount_cancel(struct eventcount *ec)
{
    /* pairs with eventcount_has_sleepers. For the count any order would do: one that is seen late
     * causes a wake for nothing. But a worker that leaves publishes by it what it knew. */
    sub_seqcst(&ec->sleepers, 1);
}

/* Sleeps until the epoch is no longer `key`, or until `deadline`, or for no reason. 0: a wake
 * reached this thread, and it now owes a look; -ETIMEDOUT: the deadline has passed; or another
 * code. */
int weir__eventcount_sleep(struct eventcount *ec, uint32_t key, int64_t deadline);

/* The same for a timed wait: a sleep until a deadline that is near, of which eventcount_notify
 * knows nothing. weir__eventcount_wake_all ends it, and weir__eventcount_wake_another may. */
static inline uint32_t eventcount_prepare_timed(struct eventcount *ec)
{
    uint32_t key = load_rlx(&ec->park.word); /* a wrong one costs one timed wait at most */
    add_seqcst(&ec->timed, 1);               /* pairs with eventcount_has_timed */
    return key;
}

static inline void eventcount_cancel_timed(struct eventcount *ec)
{
    sub_rlx(&ec->timed, 1); /* a thread that still counts it makes a wake in vain */
}

int weir__eventcount_sleep_timed(struct eventcount *ec, uint32_t key, int64_t deadline);

static inline bool eventcount_has_timed(struct eventcount *ec)
{
    return load_seqcst(&ec->timed) != 0; /* pairs with eventcount_prepare_timed */
}

static inline bool eventcount_has_sleepers(struct eventcount *ec)
{
    /* pairs with eventcount_prepare, eventcount_cancel */
    return (uint32_t)load_seqcst(&ec->sleepers) != 0;
}

/* False: the last wake was in vain, and so would this one be. */
bool weir__eventcount_wake(struct eventcount *ec);

/* Wakes one sleeper, if there is one that may have missed the change. True: a wake was made. */
static inline bool eventcount_notify(struct eventcount *ec)
{
    return unlikely(eventcount_has_sleepers(ec)) && weir__eventcount_wake(ec);
}

/* How long after the wake before it the last one came, in ns. */
static inline int64_t eventcount_wake_gap(struct eventcount *ec)
{
    return load_rlx(&ec->wake_gap);
}

/* Wakes one sleeper, even if the last wake was in vain; and all of them. */
void weir__eventcount_wake_another(struct eventcount *ec);
void weir__eventcount_wake_all(struct eventcount *ec);

#endif
