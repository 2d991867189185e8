/* SPDX-License-Identifier: MIT */
/* waiter.h - threads that wait for something, found by its address.
 *
 * The objects that are waited for carry no list: a waiter enters itself under the object's address
 * in a table, and a thread that changes the object wakes by address. So the change itself can be
 * the last access to the object, which its waiter may free at once.
 *
 * Waiting: add; look at the object (sequentially consistent); park if it is not yet so; remove.
 * Waking: change the object (a sequentially consistent read-modify-write); weir__wake.
 */
#ifndef WEIR_WAIT_WAITER_H
#define WEIR_WAIT_WAITER_H

#include "base/address_tree.h"
#include "base/atomic.h"
#include "base/list.h"
#include "os/park.h"

enum {
    WAITING,  /* in the table */
    WOKEN,    /* out of the table; the waker is still at work on the waiter */
    RELEASED, /* the waker has finished with it */
};

/* A thread that waits for somebody to wake it. */
struct sleeper {
    void (*wake)(struct sleeper *); /* called under the table's lock, must not take another one */
    struct park *park;              /* for wake */
    atomic(uint32_t) woken;         /* WAITING, WOKEN or RELEASED */
};

struct waiter {
    struct sleeper sleeper;
    struct tree_node node; /* with the address waited for; the rest under the bucket's lock: in the
                            * tree is the waiter that has waited longest for that address */
    struct list link;      /* of those that wait for one address; under the lock */
    const void *arg;       /* read by a wake with a match; or NULL */
};

/* A `wake` for a thread that sleeps on its own park. */
void weir__wake_thread(struct sleeper *sleeper);

/* Enters the waiter under waiter->node.key, for the first time or after it was woken; `wake`,
 * `park` and `arg` are the caller's too. */
void weir__waiter_add(struct waiter *waiter);

/* Takes it out if it was not woken. Afterwards no other thread touches it. */
void weir__waiter_remove(struct waiter *waiter);

/* Was it taken out of the table? Then a wake of the key no longer finds it. */
static inline bool sleeper_woken(const struct sleeper *sleeper)
{
    /* Relaxed: add and remove wait for the waker, by the lock or by RELEASED. */
    return load_rlx(&sleeper->woken) != WAITING;
}

/* Wakes all waiters, or the one that has waited longest, that are entered under `key`. Touches only
 * the address, not what is there. Takes no lock while that part of the table is empty. Costs a step
 * for each waiter that it looks at, and as many to find them as the logarithm of how many addresses
 * are waited for. */
void weir__wake_all(const void *key);
void weir__wake_one(const void *key);

/* For objects that give what is waited for to the threads that have waited longest. A thread that
 * gives holds the lock of the key's bucket: it looks at the waiters in the order in which they
 * entered, takes some out, changes the object, and only then wakes them, for a waiter that finds
 * itself woken has what it waited for. Between lock and unlock no other key may be locked or woken.
 */
struct bucket *weir__waiters_lock(const void *key);
void weir__waiters_unlock(struct bucket *bucket);

/* The one that entered next after `after` (NULL: the first) under `key`, or NULL. */
struct waiter *weir__waiters_next_locked(struct bucket *bucket, const void *key,
                                         const struct waiter *after);

/* These enter a waiter; take out one that is WAITING, whose `link` is then the caller's; and wake
 * one that was taken out, which may be gone afterwards. */
void weir__waiter_add_locked(struct bucket *bucket, struct waiter *waiter);
void weir__waiter_take_locked(struct bucket *bucket, struct waiter *waiter);
void weir__sleeper_wake_locked(struct sleeper *sleeper);

/* The address for these objects. A wake touches only an address, and may come late: when the memory
 * holds another object. A thread that is entered under an object's own address then just looks once
 * more; but here the wake-up itself is what was waited for. Objects are aligned to 4, so no other
 * key is this address. */
static inline const void *giver_key(const void *object)
{
    return (const char *)object + 2;
}

/* A thread that runs queued tasks of an object while it waits for it is entered under another
 * address: it is to be woken also when there is one more task to run. */
static inline const void *helper_key(const void *object)
{
    return (const char *)object + 1;
}

/* What was waited for is done: wakes both kinds of waiters. */
static inline void wake_waiters(const void *object)
{
    weir__wake_all(object);
    weir__wake_all(helper_key(object));
}

/* Wakes the waiters for which match(waiter, arg) holds; it is called under the bucket's lock. */
void weir__wake_matching(const void *key, bool (*match)(const struct waiter *, const void *),
                         const void *arg);

#endif
