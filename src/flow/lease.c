/* SPDX-License-Identifier: MIT */
/* lease.c - the pool of resources.
 *
 * A semaphore of max permits gives the order, the deadlines and the contexts: a thread that makes
 * or destroys a resource has a permit for it, and so has a borrower until the release. Idle
 * resources have none.
 *
 * States of a record: UNUSED -> BUSY -> LENT -> BUSY or IDLE; IDLE -> BUSY; BUSY -> IDLE or UNUSED.
 * BUSY is between lists: made, checked or destroyed by the thread that took it.
 *
 * Invariants:
 *   I1  Each LENT or BUSY record goes with a permit of its own. So a thread that has a permit and
 *       no record, and finds none IDLE, finds one UNUSED: the others are at most max - 1.
 *   I2  A resource exists only with a record, from before `make` until after `destroy`: so there
 *       are at most max.
 *
 * Lock: one, for the lists, the count and the records in the lists; a BUSY record belongs to its
 * thread. The user's functions are called without it. A release may touch the pool after it gave
 * its permit back: free must be the last call, which the caller ensures.
 */
#include "weir/lease.h"

#include <errno.h>

#include "weir/semaphore.h"

#include "base/assert.h"
#include "base/list.h"
#include "flow/lease_options.h"
#include "os/alloc.h"
#include "os/fork.h"
#include "os/lock.h"

struct record {
    struct list link;
    void *resource;
    int64_t old_at; /* when it has lived long enough */
    int64_t idle_since;
};

struct weir_lease_pool {
    weir_lease_options options; /* constant; times that are none are INT64_MAX */
    uint32_t fork;
    weir_semaphore permits;
    struct lock lock;
    struct list idle; /* the one returned last comes first */
    struct list lent, unused;
    unsigned idle_count, lent_count;
    uint64_t made, destroyed, failed; /* so far */
    struct record records[];
};

static bool stale(const weir_lease_pool *pool)
{
    return pool->fork != fork_count();
}

static struct record *record_of(struct list *link)
{
    return container_of(link, struct record, link);
}

static void list_prepend(struct list *head, struct list *element)
{
    list_append(head->next, element); /* before the first */
}

/* Records. */

static bool too_old_locked(const weir_lease_pool *pool, const struct record *record, int64_t now)
{
    return now >= record->old_at || (now - record->idle_since >= pool->options.idle_timeout &&
                                     pool->idle_count > pool->options.min_idle);
}

static struct record *find_too_old_locked(weir_lease_pool *pool, int64_t now)
{
    if (pool->options.idle_timeout == INT64_MAX && pool->options.max_lifetime == INT64_MAX)
        return NULL;
    for (struct list *at = pool->idle.prev; at != &pool->idle; at = at->prev)
        if (too_old_locked(pool, record_of(at), now))
            return record_of(at);
    return NULL;
}

static void take_idle_locked(weir_lease_pool *pool, struct record *record)
{
    list_remove(&record->link);
    pool->idle_count--;
}

/* Puts it back among the unused ones; `count` says why. */
static void put_unused(weir_lease_pool *pool, struct record *record, uint64_t *count)
{
    lock_acquire(&pool->lock);
    list_append(&pool->unused, &record->link);
    ++*count;
    lock_release(&pool->lock);
}

/* The user's functions, for a record that is BUSY. */

static void destroy(weir_lease_pool *pool, struct record *record)
{
    if (pool->options.destroy != NULL)
        pool->options.destroy(pool->options.user, record->resource);
    put_unused(pool, record, &pool->destroyed);
}

static int make(weir_lease_pool *pool, struct record *record)
{
    record->resource = NULL;
    int err = pool->options.make(pool->options.user, &record->resource);
    if (err != 0) {
        put_unused(pool, record, &pool->failed);
        return err;
    }
    lock_acquire(&pool->lock);
    pool->made++;
    lock_release(&pool->lock);
    int64_t now = weir_now(), lifetime = pool->options.max_lifetime;
    record->old_at = lifetime < INT64_MAX - now ? now + lifetime : INT64_MAX;
    record->idle_since = now;
    return 0;
}

static bool is_good(const weir_lease_pool *pool, const struct record *record)
{
    return pool->options.check == NULL ||
           pool->options.check(pool->options.user, record->resource) == 0;
}

/* Upkeep, by any thread that comes by and gets a permit for it. If none is free, so many resources
 * are lent that none can be idle for long. */

static bool destroy_one_too_old(weir_lease_pool *pool)
{
    int64_t now = weir_now();
    lock_acquire(&pool->lock);
    struct record *record = find_too_old_locked(pool, now);
    if (record != NULL)
        take_idle_locked(pool, record);
    lock_release(&pool->lock);
    if (record == NULL)
        return false;
    destroy(pool, record);
    return true;
}

/* Returns 1: there is one more idle; 0: there was no need; else what `make` returned. */
static int make_one_idle(weir_lease_pool *pool, int *ret_err)
{
    struct record *record = NULL;
    lock_acquire(&pool->lock);
    if (pool->idle_count < pool->options.min_idle && !list_empty(&pool->unused)) {
        record = record_of(pool->unused.next);
        list_remove(&record->link);
    }
    lock_release(&pool->lock);
    if (record == NULL || (*ret_err = make(pool, record)) != 0)
        return 0;
    lock_acquire(&pool->lock);
    list_append(&pool->idle, &record->link); /* last: it was never returned */
    pool->idle_count++;
    lock_release(&pool->lock);
    return 1;
}

/* At most twice for each resource, however fast they age. An error of `make` is dropped
 * here: a thread that needs a resource will call it, and get its error. */
static void keep_up(weir_lease_pool *pool)
{
    int64_t now = weir_now();
    for (unsigned i = 0; i < 2 * pool->options.max; i++) {
        lock_acquire(&pool->lock);
        bool old = find_too_old_locked(pool, now) != NULL;
        bool few = pool->idle_count < pool->options.min_idle && !list_empty(&pool->unused);
        lock_release(&pool->lock);
        if ((!old && !few) || weir_semaphore_try_acquire(&pool->permits, 1) != 0)
            return;
        int err = 0;
        bool done = old ? destroy_one_too_old(pool) : make_one_idle(pool, &err) != 0;
        weir_semaphore_release(&pool->permits, 1);
        if (!done)
            return;
    }
}

/* Life. */

int weir_lease_pool_new(weir_lease_pool **ret, const weir_lease_options *given)
{
    if (ret == NULL)
        return -EINVAL;
    weir_lease_options options;
    int err = weir__lease_read(&options, given);
    if (err != 0)
        return err;
    weir_lease_pool *pool = weir__alloc(1, sizeof *pool + options.max * sizeof pool->records[0]);
    if (pool == NULL)
        return -ENOMEM;
    pool->options = options;
    pool->fork = fork_count();
    lock_init(&pool->lock);
    list_init(&pool->idle);
    list_init(&pool->lent);
    list_init(&pool->unused);
    for (unsigned i = 0; i < options.max; i++)
        list_append(&pool->unused, &pool->records[i].link);
    err = weir_semaphore_init(&pool->permits, options.max);
    while (err == 0 && make_one_idle(pool, &err) != 0)
        ; /* nobody else knows the pool yet: no permits are needed */
    if (err != 0) {
        weir_lease_pool_free(pool);
        return err;
    }
    *ret = pool;
    return 0;
}

void weir_lease_pool_free(weir_lease_pool *pool)
{
    if (pool == NULL)
        return;
    if (!stale(pool)) {
        if (!list_empty(&pool->lent)) /* or else nobody has reason to wait */
            weir__misuse("weir_lease_pool_free", "a resource is still lent.");
        weir_semaphore_destroy(&pool->permits);
        for (struct list *at = pool->idle.next; at != &pool->idle; at = at->next)
            if (pool->options.destroy != NULL)
                pool->options.destroy(pool->options.user, record_of(at)->resource);
    }
    weir__free(pool);
}

/* Lending. */

/* With a permit: lends an idle resource that is good, or a new one. */
static int lend(weir_lease_pool *pool, void **ret_resource)
{
    struct record *record;
    bool idle, good;
    do {
        int64_t now = weir_now();
        lock_acquire(&pool->lock);
        idle = !list_empty(&pool->idle);
        weir_assert(idle || !list_empty(&pool->unused)); /* I1 */
        record = record_of(idle ? pool->idle.next : pool->unused.next);
        good = idle && !too_old_locked(pool, record, now);
        if (idle)
            take_idle_locked(pool, record);
        else
            list_remove(&record->link);
        lock_release(&pool->lock);
        if (idle && !(good = good && is_good(pool, record)))
            destroy(pool, record);
    } while (idle && !good);
    int err = idle ? 0 : make(pool, record);
    if (err != 0)
        return err;
    *ret_resource = record->resource;
    lock_acquire(&pool->lock);
    list_append(&pool->lent, &record->link);
    pool->lent_count++;
    lock_release(&pool->lock);
    return 0;
}

enum form { TRY, WAIT };

static int acquire(weir_lease_pool *pool, void **ret_resource, enum form form, weir_context *ctx,
                   int64_t deadline)
{
    if (pool == NULL || ret_resource == NULL)
        return -EINVAL;
    if (stale(pool))
        return -ESTALE;
    int err = form == TRY ? weir_semaphore_try_acquire(&pool->permits, 1)
                          : weir_semaphore_acquire_until(&pool->permits, 1, ctx, deadline);
    if (err != 0)
        return err;
    if ((err = lend(pool, ret_resource)) != 0)
        weir_semaphore_release(&pool->permits, 1);
    else
        keep_up(pool);
    return err;
}

int weir_lease_acquire_until(weir_lease_pool *pool, void **ret_resource, weir_context *ctx,
                             int64_t deadline)
{
    return acquire(pool, ret_resource, WAIT, ctx, deadline);
}

int weir_lease_acquire(weir_lease_pool *pool, void **ret_resource)
{
    return acquire(pool, ret_resource, WAIT, NULL, WEIR_FOREVER);
}

int weir_lease_try_acquire(weir_lease_pool *pool, void **ret_resource)
{
    return acquire(pool, ret_resource, TRY, NULL, WEIR_FOREVER);
}

/* Takes the record of a lent resource out of the list. */
static struct record *take_lent_locked(weir_lease_pool *pool, const void *resource)
{
    for (struct list *at = pool->lent.next; at != &pool->lent; at = at->next) {
        if (record_of(at)->resource == resource) {
            list_remove(at);
            pool->lent_count--;
            return record_of(at);
        }
    }
    return NULL;
}

void weir_lease_release(weir_lease_pool *pool, void *resource, int code)
{
    if (pool == NULL)
        weir__misuse("weir_lease_release", "the pool is NULL.");
    if (stale(pool))
        return;
    int64_t now = weir_now();
    lock_acquire(&pool->lock);
    struct record *record = take_lent_locked(pool, resource);
    if (record == NULL)
        weir__misuse("weir_lease_release", "the resource is not lent.");
    bool keep = code == 0 && now < record->old_at;
    if (keep) {
        record->idle_since = now;
        list_prepend(&pool->idle, &record->link);
        pool->idle_count++;
    }
    lock_release(&pool->lock);
    if (!keep)
        destroy(pool, record);
    weir_semaphore_release(&pool->permits, 1);
    keep_up(pool);
}

/* Observers. */

void weir_lease_read_counts(const weir_lease_pool *given, weir_lease_counts *ret)
{
    if (ret == NULL)
        return;
    *ret = (weir_lease_counts){0};
    if (given == NULL || stale(given))
        return;
    weir_lease_pool *pool = (weir_lease_pool *)(uintptr_t)given; /* for its lock */
    ret->waiting = weir_semaphore_waiting(&pool->permits);
    lock_acquire(&pool->lock);
    ret->lent = pool->lent_count;
    ret->idle = pool->idle_count;
    ret->made = pool->made;
    ret->destroyed = pool->destroyed;
    ret->failed = pool->failed;
    lock_release(&pool->lock);
}

unsigned weir_lease_max(const weir_lease_pool *pool)
{
    return pool != NULL ? pool->options.max : 0;
}
