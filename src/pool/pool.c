/* SPDX-License-Identifier: MIT */
/* pool.c - making a pool, and asking it what it is. */
#include "pool/pool.h"

#include <errno.h>
#include <string.h>

#include "base/options.h"
#include "os/alloc.h"
#include "os/cpus.h"

enum {
    MAX_WORKERS = 1024,
    MAX_CAPACITY = 1 << 22,
    MAX_TIMERS = 1 << 22,
    DEFAULT_CAPACITY = 1024,
    SPINS = 4, /* yields before a busy worker parks, if there are CPUs to spare */
};

_Static_assert(MAX_CAPACITY + MAX_TIMERS + MAX_WORKERS * ROUNDS + MARGIN <= STACK_LINK_MASK,
               "an index has 24 bits");

/* Queue positions of the n-th pool of a process start at n * 2^32: see waitgroup_tasks.c. */
static atomic(uint64_t) pools_made;

void weir_pool_options_init(weir_pool_options *options)
{
    if (options != NULL)
        *options = (weir_pool_options){.size = sizeof *options};
}

/* Checks the options and fills in what depends on the machine. */
static int settle(weir_pool_options *options)
{
    if (options->workers > MAX_WORKERS || options->capacity > MAX_CAPACITY ||
        (unsigned)options->overflow > WEIR_OVERFLOW_DROP_OLDEST ||
        options->outside_waiters_help > 1 || options->timers > MAX_TIMERS)
        return -EINVAL;
    if (options->stack_size != 0 && options->stack_size < weir__stack_minimum())
        return -EINVAL;
    if (options->workers == 0) {
        options->workers = weir__usable_cpus();
        if (options->workers > MAX_WORKERS)
            options->workers = MAX_WORKERS;
    }
    if (options->capacity == 0)
        options->capacity = DEFAULT_CAPACITY;
    if (options->timers == 0)
        options->timers = options->capacity;
    if (options->name == NULL)
        options->name = "weir";
    return 0;
}

/* On lines of its own: all workers read it for every task. */
static bool make_context(weir_pool *pool, weir_context *parent)
{
    weir_context *ctx = weir__alloc(1, sizeof *ctx);
    if (weir__context_new_at(ctx, parent, WEIR_FOREVER) != 0)
        return false;
    pool->context = ctx;
    return true;
}

static weir_pool *alloc(const weir_pool_options *options)
{
    weir_pool *pool = weir__alloc(1, sizeof *pool);
    if (pool == NULL)
        return NULL;
    pool->fork = fork_count();
    ring_word *words = weir__alloc((size_t)ring_slots(options->capacity), sizeof *words);
    pool->workers = weir__alloc(options->workers, sizeof *pool->workers);
    pool->ring.words = words;
    weir__eventcount_init(&pool->work);
    weir__eventcount_init(&pool->room);
    lock_init(&pool->lock);
    uint32_t timers = (uint32_t)options->timers;
    if (words == NULL || pool->workers == NULL ||
        weir__slab_init(&pool->slab, options->capacity, options->workers, timers + 1) != 0 ||
        weir__timers_init(pool, timers, options->capacity + options->workers + timers + MARGIN) !=
            0 ||
        !make_context(pool, options->context)) {
        weir__pool_release(pool);
        return NULL;
    }
    pool->first_position = add_rlx(&pools_made, 1) << 32; /* unique is all that it must be */
    ring_init(&pool->ring, words, options->capacity, pool->first_position);
    store_rlx(&pool->head_seen, pool->first_position); /* no other thread yet */
    return pool;
}

static bool all_started(void *arg)
{
    weir_pool *pool = arg;
    return load_seqcst(&pool->started) == pool->worker_count;
}

/* Starts the workers; on failure none is left. */
static int start(weir_pool *pool, unsigned workers)
{
    int err = 0;
    for (unsigned i = 0; i < workers && err == 0; i++) {
        struct weir__worker *worker = &pool->workers[i];
        worker->pool = pool;
        worker->index = i;
        worker->head = pool->first_position;
        worker->free_slots = slab_first_magazine(i);
        err = weir__worker_start(worker);
        if (err == 0)
            pool->worker_count++;
    }
    if (err == 0) {
        (void)weir__wait_until(&pool->started, all_started, pool, NULL, NULL, WEIR_FOREVER);
        err = load_rlx(&pool->start_error); /* each was set before its thread was counted */
    }
    if (err != 0) {
        /* Relaxed: a worker reads the epoch, which the wake changes, before it looks at this. */
        store_rlx(&pool->state, POOL_STOPPING);
        weir__eventcount_wake_all(&pool->work);
        for (unsigned i = 0; i < pool->worker_count; i++)
            (void)pthread_join(pool->workers[i].thread, NULL);
    }
    return err;
}

int weir_pool_new(weir_pool **ret, const weir_pool_options *given)
{
    if (ret == NULL)
        return -EINVAL;
    weir_pool_options options;
    int err = read_options(&options, sizeof options,
                           offsetof(weir_pool_options, outside_waiters_help) + 1, given);
    if (err == 0)
        err = settle(&options);
    if (err != 0)
        return err;
    weir_pool *pool = alloc(&options);
    if (pool == NULL)
        return -ENOMEM;
    pool->overflow = options.overflow;
    pool->outside_waiters_help = options.outside_waiters_help != 0;
    pool->has_parent_context = options.context != NULL;
    pool->timers.clock.watched = options.context != NULL ? pool->context : NULL;
    pool->spins = options.workers <= weir__usable_cpus() ? SPINS : 0;
    pool->on_worker_start = options.on_worker_start;
    pool->on_worker_stop = options.on_worker_stop;
    pool->on_drop = options.on_drop;
    pool->user = options.user;
    pool->stack_size = options.stack_size;
    memcpy(pool->name, options.name, strnlen(options.name, sizeof pool->name - 1));
    store_rlx(&pool->alive, options.workers); /* no other thread yet */
    err = start(pool, options.workers);
    if (err != 0) {
        weir__pool_release(pool);
        return err;
    }
    *ret = pool;
    return 0;
}

unsigned weir_pool_workers(const weir_pool *pool)
{
    return pool != NULL ? pool->worker_count : 0;
}

unsigned weir_pool_capacity(const weir_pool *pool)
{
    return pool != NULL ? (unsigned)pool->ring.capacity : 0;
}

weir_pool *weir_pool_current(void)
{
    const struct weir__worker *worker = this_thread()->worker;
    return worker != NULL && !pool_stale(worker->pool) ? worker->pool : NULL;
}

int weir_pool_worker_index(void)
{
    return weir_pool_current() != NULL ? (int)this_thread()->worker->index : -1;
}
