/* SPDX-License-Identifier: MIT */
/* metrics.c - what is in metrics, and how it comes and goes while others write. See metrics.h.
 *
 * A remove takes its entries out under the lock, so that no use of them begins any more; then it
 * waits, without the lock, until those that are under way have ended. It keeps the entries
 * meanwhile: the last use ends before the memory goes.
 */
#include "see/metrics.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "os/alloc.h"
#include "pool/pool.h"
#include "wait/wait.h"

int weir_metrics_new(weir_metrics **ret)
{
    if (ret == NULL)
        return -EINVAL;
    weir_metrics *metrics = weir__alloc(1, sizeof *metrics);
    if (metrics == NULL)
        return -ENOMEM;
    metrics->fork = fork_count();
    lock_init(&metrics->lock);
    for (unsigned i = 0; i < KINDS; i++)
        list_init(&metrics->entries[i]);
    list_init(&metrics->uses);
    *ret = metrics;
    return 0;
}

static struct entry *entry_of(struct list *link)
{
    return container_of(link, struct entry, link);
}

/* A pool knows how many metrics it is in, so that it is not freed before. */
static void note_pool(const struct entry *entry, unsigned n)
{
    if (entry->kind == KIND_POOL)
        add_rlx(&((weir_pool *)(uintptr_t)entry->object)->in_metrics, n); /* only counted */
}

void weir_metrics_free(weir_metrics *metrics)
{
    if (metrics == NULL)
        return;
    bool stale = metrics_stale(metrics); /* then the lock may be held for ever */
    if (!stale) {
        lock_acquire(&metrics->lock);
        unsigned calls = metrics->calls;
        lock_release(&metrics->lock);
        if (calls != 0)
            weir__misuse("weir_metrics_free", "a write or a remove is under way.");
    }
    for (unsigned kind = 0; kind < KINDS; kind++) {
        struct list *head = &metrics->entries[kind], *next;
        for (struct list *at = head->next; at != head; at = next) {
            next = at->next;
            if (!stale)
                note_pool(entry_of(at), -1U);
            weir__free(entry_of(at));
        }
    }
    weir__free(metrics);
}

/* Adding. */

/* Where an own metric belongs: after the last of its name, or at the end. */
static struct list *place_locked(weir_metrics *metrics, const struct entry *entry)
{
    struct list *head = &metrics->entries[entry->kind], *place = head->prev;
    for (struct list *at = head->next; entry->kind == KIND_OWN && at != head; at = at->next)
        if (strcmp(entry_of(at)->name, entry->name) == 0)
            place = at;
    return place;
}

/* 0, or why the entry cannot stand beside `other`. */
static int conflict(const struct entry *entry, const struct entry *other)
{
    if (entry->kind != KIND_OWN)
        return entry->object == other->object || strcmp(entry->labels, other->labels) == 0 ? -EEXIST
                                                                                           : 0;
    if (strcmp(entry->name, other->name) != 0)
        return 0;
    if (entry->type != other->type || strcmp(entry->help, other->help) != 0)
        return -EINVAL;
    return strcmp(entry->labels, other->labels) == 0 ? -EEXIST : 0;
}

static int add(weir_metrics *metrics, struct entry *entry)
{
    int err = 0;
    lock_acquire(&metrics->lock);
    struct list *head = &metrics->entries[entry->kind];
    for (struct list *at = head->next; err == 0 && at != head; at = at->next)
        if (!entry_of(at)->removed)
            err = conflict(entry, entry_of(at));
    if (err == 0) {
        list_append(place_locked(metrics, entry)->next, &entry->link); /* after it */
        note_pool(entry, 1);
    }
    lock_release(&metrics->lock);
    if (err != 0)
        weir__free(entry);
    return err;
}

static int add_object(weir_metrics *metrics, enum kind kind, const char *name, const void *object)
{
    if (metrics == NULL || object == NULL || !weir__entry_valid_name(name))
        return -EINVAL;
    if (metrics_stale(metrics))
        return -ESTALE;
    struct entry *entry = weir__entry_object(kind, name, object);
    return entry != NULL ? add(metrics, entry) : -ENOMEM;
}

int weir_metrics_add_pool(weir_metrics *metrics, const char *name, weir_pool *pool)
{
    if (pool != NULL && pool_stale(pool))
        return -ESTALE;
    return add_object(metrics, KIND_POOL, name, pool);
}

int weir_metrics_add_semaphore(weir_metrics *metrics, const char *name,
                               const weir_semaphore *semaphore)
{
    return add_object(metrics, KIND_SEMAPHORE, name, semaphore);
}

int weir_metrics_add_channel(weir_metrics *metrics, const char *name, const weir_channel *channel)
{
    return add_object(metrics, KIND_CHANNEL, name, channel);
}

int weir_metrics_add_limiter(weir_metrics *metrics, const char *name, const weir_limiter *limiter)
{
    return add_object(metrics, KIND_LIMITER, name, limiter);
}

int weir_metrics_add_window(weir_metrics *metrics, const char *name, const weir_window *window)
{
    return add_object(metrics, KIND_WINDOW, name, window);
}

int weir_metrics_add_breaker(weir_metrics *metrics, const char *name, const weir_breaker *breaker)
{
    return add_object(metrics, KIND_BREAKER, name, breaker);
}

int weir_metrics_add_lease_pool(weir_metrics *metrics, const char *name,
                                const weir_lease_pool *pool)
{
    return add_object(metrics, KIND_LEASE_POOL, name, pool);
}

int weir_metrics_add_topic(weir_metrics *metrics, const char *name, const weir_topic *topic)
{
    return add_object(metrics, KIND_TOPIC, name, topic);
}

int weir_metrics_add_errgroup(weir_metrics *metrics, const char *name, const weir_errgroup *group)
{
    return add_object(metrics, KIND_ERRGROUP, name, group);
}

static int add_own(weir_metrics *metrics, enum type type, const char *name, const char *help,
                   const weir_label labels[], weir_metric_fn *fn, void *arg)
{
    if (metrics == NULL || fn == NULL || !weir__entry_valid_own(name, help, labels))
        return -EINVAL;
    if (metrics_stale(metrics))
        return -ESTALE;
    struct entry *entry = weir__entry_own(name, help, labels);
    if (entry == NULL)
        return -ENOMEM;
    entry->type = type;
    entry->fn = fn;
    entry->object = arg;
    return add(metrics, entry);
}

int weir_metrics_add_counter(weir_metrics *metrics, const char *name, const char *help,
                             const weir_label labels[], weir_metric_fn *fn, void *arg)
{
    return add_own(metrics, TYPE_COUNTER, name, help, labels, fn, arg);
}

int weir_metrics_add_gauge(weir_metrics *metrics, const char *name, const char *help,
                           const weir_label labels[], weir_metric_fn *fn, void *arg)
{
    return add_own(metrics, TYPE_GAUGE, name, help, labels, fn, arg);
}

/* Going through. */

static void unref_locked(struct entry *entry)
{
    entry->refs--;
    if (!entry->removed || entry->refs != 0)
        return;
    list_remove(&entry->link);
    weir__free(entry);
}

struct entry *weir__metrics_next(weir_metrics *metrics, enum kind kind, struct entry *entry)
{
    struct list *head = &metrics->entries[kind];
    lock_acquire(&metrics->lock);
    struct list *at = entry != NULL ? entry->link.next : head->next;
    while (at != head && entry_of(at)->removed)
        at = at->next;
    struct entry *next = at != head ? entry_of(at) : NULL;
    if (next != NULL)
        next->refs++;
    if (entry != NULL)
        unref_locked(entry);
    lock_release(&metrics->lock);
    return next;
}

void weir__metrics_keep(weir_metrics *metrics, struct entry *entry)
{
    lock_acquire(&metrics->lock);
    entry->refs++;
    lock_release(&metrics->lock);
}

void weir__metrics_leave(weir_metrics *metrics, struct entry *entry)
{
    lock_acquire(&metrics->lock);
    unref_locked(entry);
    lock_release(&metrics->lock);
}

bool weir__metrics_use_begin(weir_metrics *metrics, struct entry *entry, struct use *use)
{
    use->entry = entry;
    use->thread = this_thread();
    lock_acquire(&metrics->lock);
    bool there = !entry->removed;
    if (there) {
        add_rlx(&entry->uses, 1); /* under the lock, as is the mark of the remove */
        list_append(&metrics->uses, &use->link);
    }
    lock_release(&metrics->lock);
    return there;
}

void weir__metrics_use_end(weir_metrics *metrics, struct use *use)
{
    struct entry *entry = use->entry; /* kept by the writer */
    lock_acquire(&metrics->lock);
    list_remove(&use->link);
    bool last = sub_seqcst(&entry->uses, 1) == 1 && entry->removed; /* pairs with unused */
    lock_release(&metrics->lock);
    if (last)
        weir__wake_all(&entry->uses);
}

/* Removing. */

static bool unused(void *arg)
{
    return load_seqcst(&((struct entry *)arg)->uses) == 0; /* pairs with weir__metrics_use_end */
}

/* Marks the object's entries as removed; a list by next_removed, each with a reference. */
static struct entry *take_locked(weir_metrics *metrics, const void *object)
{
    struct entry *taken = NULL;
    for (unsigned kind = 0; kind < KINDS; kind++) {
        struct list *head = &metrics->entries[kind];
        for (struct list *at = head->next; at != head; at = at->next) {
            struct entry *entry = entry_of(at);
            if (entry->removed || entry->object != object)
                continue;
            entry->removed = true;
            entry->refs++;
            entry->next_removed = taken;
            taken = entry;
        }
    }
    return taken;
}

static bool uses_something_locked(const weir_metrics *metrics)
{
    for (struct list *at = metrics->uses.next; at != &metrics->uses; at = at->next)
        if (container_of(at, struct use, link)->thread == this_thread())
            return true;
    return false;
}

int weir_metrics_remove(weir_metrics *metrics, const void *object)
{
    if (metrics == NULL || object == NULL)
        return -EINVAL;
    if (metrics_stale(metrics))
        return -ESTALE;
    lock_acquire(&metrics->lock);
    bool inside = uses_something_locked(metrics);
    struct entry *taken = inside ? NULL : take_locked(metrics, object);
    metrics->calls++;
    lock_release(&metrics->lock);
    for (struct entry *at = taken; at != NULL; at = at->next_removed)
        (void)weir__wait_until(TELL("weir_metrics_remove", object), &at->uses, unused, at, NULL,
                               NULL, WEIR_FOREVER);
    int err = inside ? -EDEADLK : taken == NULL ? -EINVAL : 0;
    lock_acquire(&metrics->lock);
    for (struct entry *at = taken, *next; at != NULL; at = next) {
        next = at->next_removed;
        note_pool(at, -1U);
        unref_locked(at);
    }
    metrics->calls--;
    lock_release(&metrics->lock);
    return err;
}
