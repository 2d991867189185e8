/* SPDX-License-Identifier: MIT */
/* waiter.c - the table of waiters (the "parking lot" of F. Pizlo, "Locking in WebKit", 2016).
 *
 * Locks: a bucket's lock guards its list and the fields of the waiters in it. It is held while the
 * waiters are woken. A waiter leaves only once it finds itself RELEASED, or after it held the lock
 * itself: so its park and its stack outlive the waker's use of them. At most one bucket's lock is
 * held at a time, and only a park's own lock is taken under it.
 *
 * No wake-up is lost: a sleeper counts itself (weir__waiter_add_locked) and then looks at the
 * object; a waker changes the object and then looks at the count (wake). All four are sequentially
 * consistent, so one of the two sees the other. And a wake of an object that nobody waits for takes
 * no lock.
 *
 * fork: a child has one thread and no waiters; its table is made anew before fork() returns.
 */
#include "wait/waiter.h"

#include "base/assert.h"
#include "base/tsan.h"
#include "os/fork.h"
#include "os/lock.h"

enum { BUCKETS = 64 };

struct bucket {
    _Alignas(2 * CACHE_LINE) struct lock lock;
    atomic(uint32_t) count; /* of waiters in the list; raised before a waiter's first look */
    struct list waiters;
};

#define BUCKET(i)                                                                                  \
    {                                                                                              \
        .lock = LOCK_INIT, .waiters = { &buckets[i].waiters, &buckets[i].waiters }                 \
    }
#define BUCKETS_4(i) BUCKET(i), BUCKET((i) + 1), BUCKET((i) + 2), BUCKET((i) + 3)
#define BUCKETS_16(i) BUCKETS_4(i), BUCKETS_4((i) + 4), BUCKETS_4((i) + 8), BUCKETS_4((i) + 12)

static struct bucket buckets[BUCKETS] = {BUCKETS_16(0), BUCKETS_16(16), BUCKETS_16(32),
                                         BUCKETS_16(48)};

static void reset_after_fork(void)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        lock_init(&buckets[i].lock);
        store_rlx(&buckets[i].count, 0); /* one thread */
        list_init(&buckets[i].waiters);
    }
}

__attribute__((constructor)) static void watch_forks(void)
{
    (void)weir__at_fork_child(reset_after_fork); /* fails only if memory ends while loading */
}

static struct bucket *bucket_of(const void *key)
{
    uint64_t hash = (uint64_t)(uintptr_t)key * UINT64_C(0x9E3779B97F4A7C15);
    return &buckets[hash >> 58];
}

void weir__wake_thread(struct waiter *waiter)
{
    /* pairs with weir__wait_until: a thread that sees it sees what was changed, and WOKEN */
    add_rel(&waiter->park->word, 1);
    (void)weir__park_wake(waiter->park, 1);
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
    struct list *at = after != NULL ? after->link.next : bucket->waiters.next;
    for (; at != &bucket->waiters; at = at->next) {
        struct waiter *waiter = container_of(at, struct waiter, link);
        if (waiter->key == key)
            return waiter;
    }
    return NULL;
}

void weir__waiter_add_locked(struct bucket *bucket, struct waiter *waiter)
{
    store_rlx(&waiter->woken, WAITING); /* under the lock */
    list_append(&bucket->waiters, &waiter->link);
    add_seqcst(&bucket->count, 1); /* pairs with wake */
}

void weir__waiter_take_locked(struct bucket *bucket, struct waiter *waiter)
{
    list_remove(&waiter->link);
    sub_rlx(&bucket->count, 1); /* a waker that misses it takes the lock for nothing */
}

void weir__waiter_wake_locked(struct waiter *waiter)
{
    tsan_release(waiter);
    store_rlx(&waiter->woken, WOKEN); /* before the wake, which publishes it */
    waiter->wake(waiter);
    store_rel(&waiter->woken, RELEASED); /* pairs with weir__waiter_remove; now it may be gone */
}

void weir__waiter_add(struct waiter *waiter)
{
    struct bucket *bucket = weir__waiters_lock(waiter->key); /* an earlier waker has finished */
    weir__waiter_add_locked(bucket, waiter);
    weir__waiters_unlock(bucket);
}

void weir__waiter_remove(struct waiter *waiter)
{
    /* pairs with weir__waiter_wake_locked: the waker has finished with the waiter */
    if (load_acq(&waiter->woken) == RELEASED) {
        tsan_acquire(waiter);
        return;
    }
    struct bucket *bucket = weir__waiters_lock(waiter->key);
    if (load_rlx(&waiter->woken) == WAITING) /* under the lock */
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
        weir__waiter_wake_locked(waiter);
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
