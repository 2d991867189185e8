/* SPDX-License-Identifier: MIT */
/* waiter.c - the table of waiters (the "parking lot" of F. Pizlo, "Locking in WebKit", 2016).
 *
 * A bucket holds a tree of the addresses that are waited for, made of the waiters themselves: so
 * the table never grows, entering it needs no memory, and an address is found in a few steps
 * whatever else is waited for (base/address_tree.h). The waiter in the tree is the one that has
 * waited longest for its address; the others are in a ring with it, in the order in which they
 * entered. When it is taken out, the next one takes its place.
 *
 * Locks: a bucket's lock guards its tree and the fields of the waiters in it. It is held while the
 * waiters are woken. A waiter leaves only once it finds itself RELEASED, or after it held the lock
 * itself: so its park and its stack outlive the waker's use of them. At most one bucket's lock is
 * held at a time, and only a park's own lock is taken under it.
 *
 * No wake-up is lost: a sleeper counts itself (weir__waiter_add_locked) and then looks at the
 * object; a waker changes the object and then looks at the count (wake). All four are sequentially
 * consistent, so one of the two sees the other. And a wake of an object that nobody waits for takes
 * no lock, while nobody waits for any address of its bucket.
 *
 * fork: a child has one thread and no waiters; its table is made anew before fork() returns.
 */
#include "wait/waiter.h"

#include "base/assert.h"
#include "base/tsan.h"
#include "os/fork.h"
#include "os/lock.h"

enum { BUCKET_BITS = 6, BUCKETS = 1 << BUCKET_BITS };

struct bucket {
    _Alignas(2 * CACHE_LINE) struct lock lock;
    atomic(uint32_t) count; /* of waiters in it; raised before a waiter's first look */
    struct tree_node *waiters;
};

#define BUCKET                                                                                     \
    {                                                                                              \
        .lock = LOCK_INIT                                                                          \
    }
#define BUCKETS_4 BUCKET, BUCKET, BUCKET, BUCKET
#define BUCKETS_16 BUCKETS_4, BUCKETS_4, BUCKETS_4, BUCKETS_4

static struct bucket buckets[BUCKETS] = {BUCKETS_16, BUCKETS_16, BUCKETS_16, BUCKETS_16};

static void reset_after_fork(void)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        lock_init(&buckets[i].lock);
        store_rlx(&buckets[i].count, 0); /* one thread */
        buckets[i].waiters = NULL;
    }
}

__attribute__((constructor)) static void watch_forks(void)
{
    (void)weir__at_fork_child(reset_after_fork); /* fails only if memory ends while loading */
}

static struct bucket *bucket_of(const void *key)
{
    return &buckets[tree_path(key) >> (64 - BUCKET_BITS)];
}

static struct tree_node **find_locked(struct bucket *bucket, const void *key)
{
    return tree_find(&bucket->waiters, key, tree_path(key) << BUCKET_BITS);
}

void weir__wake_thread(struct sleeper *sleeper)
{
    /* pairs with weir__wait_until: a thread that sees it sees what was changed, and WOKEN */
    add_rel(&sleeper->park->word, 1);
    (void)weir__park_wake(sleeper->park, 1);
}

struct bucket *weir__waiters_lock(const void *key)
{
    struct bucket *bucket = bucket_of(key);
    lock_acquire(&bucket->lock);
    return bucket;
}

void weir__waiters_unlock(struct bucket *bucket)
{
    lock_release(&bucket->lock);
}

struct waiter *weir__waiters_next_locked(struct bucket *bucket, const void *key,
                                         const struct waiter *after)
{
    if (after == NULL) {
        struct tree_node *first = *find_locked(bucket, key);
        return first != NULL ? container_of(first, struct waiter, node) : NULL;
    }
    struct waiter *next = container_of(after->link.next, struct waiter, link);
    return next->node.at == NULL ? next : NULL; /* in the tree: the first again */
}

void weir__waiter_add_locked(struct bucket *bucket, struct waiter *waiter)
{
    store_rlx(&waiter->sleeper.woken, WAITING); /* under the lock */
    struct tree_node **at = find_locked(bucket, waiter->node.key);
    if (*at == NULL) {
        list_init(&waiter->link);
        tree_add(at, &waiter->node);
    } else {
        list_append(&container_of(*at, struct waiter, node)->link, &waiter->link);
        waiter->node.at = NULL;
    }
    add_seqcst(&bucket->count, 1); /* pairs with wake */
}

void weir__waiter_take_locked(struct bucket *bucket, struct waiter *waiter)
{
    if (waiter->node.at != NULL && list_empty(&waiter->link))
        tree_remove(&waiter->node);
    else if (waiter->node.at != NULL)
        tree_replace(&waiter->node, &container_of(waiter->link.next, struct waiter, link)->node);
    list_remove(&waiter->link);
    sub_rlx(&bucket->count, 1); /* a waker that misses it takes the lock for nothing */
}

void weir__sleeper_wake_locked(struct sleeper *sleeper)
{
    tsan_release(sleeper);
    store_rlx(&sleeper->woken, WOKEN); /* before the wake, which publishes it */
    sleeper->wake(sleeper);
    /* pairs with weir__waiter_remove, weir__watch_end; now it may be gone */
    store_rel(&sleeper->woken, RELEASED);
}

void weir__waiter_add(struct waiter *waiter)
{
    struct bucket *bucket =
        weir__waiters_lock(waiter->node.key); /* an earlier waker has finished */
    weir__waiter_add_locked(bucket, waiter);
    weir__waiters_unlock(bucket);
}

void weir__waiter_remove(struct waiter *waiter)
{
    /* pairs with weir__sleeper_wake_locked: the waker has finished with the waiter */
    if (load_acq(&waiter->sleeper.woken) == RELEASED) {
        tsan_acquire(&waiter->sleeper);
        return;
    }
    struct bucket *bucket = weir__waiters_lock(waiter->node.key);
    if (load_rlx(&waiter->sleeper.woken) == WAITING) /* under the lock */
        weir__waiter_take_locked(bucket, waiter);
    weir__waiters_unlock(bucket);
}

static COLD void wake_slowly(struct bucket *bucket, const void *key,
                             bool (*match)(const struct waiter *, const void *), const void *arg,
                             size_t most)
{
    lock_acquire(&bucket->lock);
    struct waiter *waiter = weir__waiters_next_locked(bucket, key, NULL), *next;
    for (; waiter != NULL && most > 0; waiter = next) {
        next = weir__waiters_next_locked(bucket, key, waiter);
        if (match != NULL && !match(waiter, arg))
            continue;
        weir__waiter_take_locked(bucket, waiter);
        weir__sleeper_wake_locked(&waiter->sleeper);
        most--;
    }
    lock_release(&bucket->lock);
}

static inline void wake(const void *key, bool (*match)(const struct waiter *, const void *),
                        const void *arg, size_t most)
{
    struct bucket *bucket = bucket_of(key);
    if (unlikely(load_seqcst(&bucket->count) != 0)) /* pairs with weir__waiter_add_locked */
        wake_slowly(bucket, key, match, arg, most);
}

void weir__wake_all(const void *key)
{
    wake(key, NULL, NULL, SIZE_MAX);
}

void weir__wake_one(const void *key)
{
    wake(key, NULL, NULL, 1);
}

void weir__wake_matching(const void *key, bool (*match)(const struct waiter *, const void *),
                         const void *arg)
{
    wake(key, match, arg, SIZE_MAX);
}
