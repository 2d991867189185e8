/* SPDX-License-Identifier: MIT */
/* pool.c - making a pool, freeing it, and asking it what it is. */
#include "pool/pool.h"

#include <errno.h>
#include <string.h>

#include "base/options.h"
#include "os/alloc.h"
#include "os/cpus.h"
#include "pool/descriptor.h"
#include "pool/due.h"
#include "pool/lane_options.h"
#include "pool/size_options.h"
#include "pool/lanes.h"
#include "weir/shutdown.h"

enum {
    MAX_WORKERS = 1024,
    MAX_CAPACITY = 1 << 22,
    MAX_TIMERS = 1 << 22,
    MAX_DESCRIPTORS = 1 << 22,
    MAX_LOCAL = 1 << 11,
    DEFAULT_CAPACITY = 1024,
    DEFAULT_LOCAL = 256,
};

_Static_assert(MAX_CAPACITY + MAX_TIMERS + MAX_DESCRIPTORS + 2 +
                       MAX_WORKERS * (MAX_LOCAL + MAGAZINE_ROUNDS) + SLOT_MARGIN <=
                   STACK_LINK_MASK,
               "the number of a slot has 24 bits");

_Static_assert(offsetof(struct weir_pool, queue) == 0,
               "below pool.h, probes name a pool by the address of its queue");

void weir_pool_options_init(weir_pool_options *options)
{
    if (options != NULL)
        *options = (weir_pool_options){.size = sizeof *options};
}

static int read_pool_options(weir_pool_options *ret, const weir_pool_options *given)
{
    return read_options(ret, sizeof *ret, offsetof(weir_pool_options, outside_waiters_help) + 1,
                        given);
}

static const char *wrong_field(const weir_pool_options *options)
{
    if (options->workers > MAX_WORKERS)
        return "workers: above 1024";
    if (options->capacity > MAX_CAPACITY)
        return "capacity: above 2^22";
    if ((unsigned)options->overflow > WEIR_OVERFLOW_DROP_OLDEST)
        return "overflow: not one of weir_overflow";
    if (options->stack_size != 0 && options->stack_size < weir__stack_minimum())
        return "stack_size: less than a thread needs here";
    if (options->outside_waiters_help > 1)
        return "outside_waiters_help: neither 0 nor 1";
    if (options->timers > MAX_TIMERS)
        return "timers: above 2^22";
    if ((unsigned)options->measure > WEIR_MEASURE_NONE)
        return "measure: not one of weir_measure";
    if (options->stuck_after < 0)
        return "stuck_after: negative";
    if (options->stuck_after > 0 && options->on_stuck == NULL)
        return "stuck_after: set without on_stuck";
    if (options->descriptors > MAX_DESCRIPTORS)
        return "descriptors: above 2^22";
    const char *wrong = weir__lane_options_wrong(options, DEFAULT_CAPACITY, MAX_CAPACITY);
    if (wrong != NULL)
        return wrong;
    if ((unsigned)options->order > WEIR_ORDER_LOCAL)
        return "order: not one of weir_order";
    if (options->order == WEIR_ORDER_LOCAL && options->lanes > 1)
        return "order: WEIR_ORDER_LOCAL with lanes";
    if (options->local > MAX_LOCAL)
        return "local: above 2048";
    if (options->local > 0 && options->order != WEIR_ORDER_LOCAL)
        return "local: set without WEIR_ORDER_LOCAL";
    return weir__size_options_wrong(options, MAX_WORKERS);
}

const char *weir_pool_options_error(const weir_pool_options *given)
{
    weir_pool_options options;
    int err = read_pool_options(&options, given);
    return options_error(err, wrong_field(&options));
}

/* Fills in the defaults and what depends on the machine. */
static void settle(weir_pool_options *options)
{
    if (options->workers == 0) {
        options->workers = weir__usable_cpus();
        unsigned most = options->workers_max != 0 ? options->workers_max : MAX_WORKERS;
        if (options->workers > most)
            options->workers = most;
    }
    if (options->idle_timeout == 0)
        options->idle_timeout = WEIR_S(10);
    if (options->capacity == 0)
        options->capacity = DEFAULT_CAPACITY;
    weir__lane_options_settle(options);
    if (options->timers == 0)
        options->timers = options->capacity;
    if (options->order == WEIR_ORDER_LOCAL && options->local == 0)
        options->local = DEFAULT_LOCAL;
    if (options->name == NULL)
        options->name = "weir";
}

/* Releasing. */

/* In a forked child, which is alone with the pool: the contexts that queued jobs hold. */
static void drop_context(struct slot *slot)
{
    if (claim_taken(load_rlx(&slot->claim))) /* the child has one thread */
        return;
    weir_context_unref(load_rlx(&slot->context));
    store_rlx(&slot->context, NULL); /* it may be in its place still: see push_locked */
}

static void drop_queued_contexts(struct queue *queue, struct lane *lane)
{
    uint64_t position;
    uint32_t index;
    while (ring_pop(&lane->ring, &position, &index))
        drop_context(&queue->slots[index]);
}

static void drop_local_contexts(struct queue *queue, const struct deque *deque)
{
    uint64_t position, end;
    for (deque_range(deque, &position, &end); position != end; position++)
        drop_context(&queue->slots[deque_at(deque, position)]);
}

/* Frees a pool without threads, or one that was inherited. */
static void release(weir_pool *pool)
{
    bool inherited = pool_stale(pool);
    if (inherited)
        weir__forget_host(&pool->host);
    for (unsigned k = 0; inherited && k < pool->queue.lane_count; k++)
        drop_queued_contexts(&pool->queue, queue_lane(&pool->queue, k));
    for (uint32_t i = 0; inherited && i < pool->queue.deques.count; i++)
        drop_local_contexts(&pool->queue, &pool->queue.deques.of_workers[i].deque);
    weir_context_unref(pool->host.context);
    weir__repeats_release(&pool->repeats);
    weir__delay_release(&pool->delay, inherited);
    if (pool->host.watchdog != NULL)
        weir__watchdog_release(pool->host.watchdog);
    weir__free(pool->host.watchdog);
    if (pool->crew.size != NULL)
        weir__size_release(pool->crew.size, inherited);
    weir__free(pool->crew.size);
    weir__crew_free(&pool->crew);
    weir__queue_destroy(&pool->queue, inherited);
    weir__free(pool->host.times);
    weir__free(pool->host.lane_times);
    weir__free(pool);
}

void weir_pool_free(weir_pool *pool)
{
    if (pool == NULL)
        return;
    if (!pool_stale(pool)) {
        if (weir__inside(&pool->host))
            weir__misuse("weir_pool_free", "a task cannot free the pool that it runs on.");
        if (pool->host.watchdog != NULL && weir__watchdog_telling(pool->host.watchdog))
            weir__misuse("weir_pool_free", "on_stuck cannot free the pool that it is told of.");
        if (weir__crew_manages(&pool->crew))
            weir__misuse("weir_pool_free", "growth_rule cannot free the pool that it is of.");
        if (load_rlx(&pool->in_metrics) != 0) /* the caller orders the remove before the free */
            weir__misuse("weir_pool_free", "metrics still read the pool.");
        int err = weir_pool_shutdown(pool, 0, WEIR_FOREVER, NULL);
        weir_assert(err == 0);
        (void)err;
    }
    release(pool);
}

/* Making. */

/* On lines of its own: all workers read it for every job. */
static int make_context(weir_pool *pool, weir_context *parent)
{
    weir_context *ctx = weir__alloc(1, sizeof *ctx);
    int err = weir__context_new_at(ctx, parent, WEIR_FOREVER);
    if (err == 0)
        pool->host.context = ctx;
    return err;
}

static void set_host(weir_pool *pool, const weir_pool_options *options)
{
    struct host *host = &pool->host;
    host->queue = &pool->queue;
    host->fork = fork_count();
    host->outside_waiters_help = options->outside_waiters_help != 0;
    host->cpus_to_spare = weir__size_options_seats(options) <= weir__usable_cpus();
    host->on_drop = options->on_drop;
    host->name_of = options->name_of;
    host->on_task_start = options->on_task_start;
    host->on_task_end = options->on_task_end;
    host->attended =
        options->on_stuck != NULL || options->on_task_start != NULL || options->on_task_end != NULL;
    host->notes_starts = host->attended || options->lanes > 1 || options->workers_max != 0;
    host->user = options->user;
    weir__trace_pool_init(&host->trace, options->name,
                          options->lane_capacity[options->default_lane - WEIR_LANE(0)]);
}

static void set_crew(weir_pool *pool, const weir_pool_options *options)
{
    struct crew *crew = &pool->crew;
    crew->host = &pool->host;
    crew->on_start = options->on_worker_start;
    crew->on_stop = options->on_worker_stop;
    crew->stack_size = options->stack_size;
    memcpy(crew->name, options->name, strnlen(options->name, sizeof crew->name - 1));
}

/* And one for each lane where there are several. */
static int make_lane_times(struct host *host, unsigned lanes)
{
    host->lane_times = weir__alloc(((size_t)host->workers + 1) * lanes, sizeof *host->lane_times);
    if (host->lane_times == NULL)
        return -ENOMEM;
    for (unsigned i = 0; i <= host->workers; i++)
        host->times[i].lanes = host->lane_times + (size_t)i * lanes;
    return 0;
}

static int make_times(struct host *host, unsigned workers, unsigned lanes)
{
    host->times = weir__alloc((size_t)workers + 1, sizeof *host->times);
    if (host->times == NULL)
        return -ENOMEM;
    host->workers = workers;
    host->times[workers].shared = true;
    host->times[workers].names.shared = true;
    return lanes > 1 ? make_lane_times(host, lanes) : 0;
}

static int make_size(weir_pool *pool, const weir_pool_options *options)
{
    if (options->workers_max == 0)
        return 0;
    struct size *size = weir__alloc(1, sizeof *size);
    if (size == NULL)
        return -ENOMEM;
    pool->crew.size = size;
    const struct size_options size_options = {
        .workers = options->workers,
        .most = options->workers_max,
        .idle_timeout = options->idle_timeout,
        .rule = options->growth_rule,
        .user = options->user,
    };
    return weir__size_init(size, &pool->queue, &size_options);
}

static int make_watchdog(weir_pool *pool, const weir_pool_options *options)
{
    if (options->on_stuck == NULL)
        return 0;
    pool->host.watchdog = weir__alloc(1, sizeof *pool->host.watchdog);
    if (pool->host.watchdog == NULL)
        return -ENOMEM;
    pool->host.watchdog->size = pool->crew.size;
    return weir__watchdog_init(pool->host.watchdog, pool, &pool->queue, options, pool->crew.name);
}

/* Everything but the threads. */
static int build(weir_pool *pool, const weir_pool_options *options)
{
    struct place_counts places = {(uint32_t)options->timers, options->descriptors};
    set_host(pool, options);
    set_crew(pool, options);
    lock_init(&pool->lock);
    pool->overflow = options->overflow;
    pool->has_parent_context = options->context != NULL;
    struct queue_shape shape = weir__lane_options_shape(options, place_slots(&places));
    shape.local = options->local;
    shape.workers = weir__size_options_seats(options);
    int err = weir__queue_init(&pool->queue, &shape);
    pool->queue.measure = options->measure;
    if (err == 0)
        err = make_times(&pool->host, weir__size_options_seats(options), pool->queue.lane_count);
    if (err == 0)
        err = make_size(pool, options);
    if (err == 0)
        err = make_watchdog(pool, options);
    if (err == 0)
        err = make_context(pool, options->context);
    pool->delay.ring = weir__due_ring;
    pool->delay.descriptor_ops = &weir__descriptor_ops;
    if (err == 0)
        err = weir__delay_init(&pool->delay, &pool->host, &places, pool->crew.name,
                               options->context != NULL ? pool->host.context : NULL);
    if (err == 0)
        err = weir__repeats_init(
            &pool->repeats,
            (uint32_t)(weir__lanes_capacity(&pool->queue) + deques_capacity(&pool->queue.deques)) +
                weir__size_options_seats(options) + places.times + SLOT_MARGIN);
    return err;
}

static int start(weir_pool *pool, const weir_pool_options *options)
{
    int err = weir__crew_start(&pool->crew, options->workers, weir__size_options_seats(options));
    if (err == 0 && pool->crew.size != NULL && (err = weir__manager_start(&pool->crew)) != 0)
        weir__crew_give_up(&pool->crew);
    if (err != 0 && pool->host.watchdog != NULL) { /* an on_worker_start may have submitted */
        weir__watchdog_stop(pool->host.watchdog);
        weir__watchdog_join(pool->host.watchdog);
    }
    return err;
}

int weir_pool_new(weir_pool **ret, const weir_pool_options *given)
{
    if (ret == NULL)
        return -EINVAL;
    weir_pool_options options;
    int err = read_pool_options(&options, given);
    if (err == 0 && wrong_field(&options) != NULL)
        err = -EINVAL;
    if (err != 0)
        return err;
    settle(&options);
    weir_pool *pool = weir__alloc(1, sizeof *pool);
    if (pool == NULL)
        return -ENOMEM;
    err = build(pool, &options);
    if (err == 0)
        err = start(pool, &options);
    if (err != 0) {
        release(pool);
        return err;
    }
    *ret = pool;
    return 0;
}

int weir_pool_resize(weir_pool *pool, unsigned workers)
{
    if (pool == NULL)
        return -EINVAL;
    if (pool_stale(pool))
        return -ESTALE;
    struct size *size = pool->crew.size;
    if (size == NULL || workers == 0 || workers > size->most)
        return -EINVAL;
    if (queue_phase(&pool->queue) >= POOL_STOPPING)
        return -EPIPE;
    weir__size_resize(size, workers);
    return 0;
}

/* Observers. */

unsigned weir_pool_workers(const weir_pool *pool)
{
    return pool != NULL ? weir__crew_workers(&pool->crew) : 0;
}

unsigned weir_pool_workers_max(const weir_pool *pool)
{
    return pool != NULL ? pool->crew.count : 0;
}

unsigned weir_pool_capacity(const weir_pool *pool)
{
    return pool != NULL ? (unsigned)weir__lanes_capacity(&pool->queue) : 0;
}

weir_pool *weir_pool_current(void)
{
    weir_pool *pool = own_pool();
    return pool != NULL && !pool_stale(pool) ? pool : NULL;
}

int weir_pool_worker_index(void)
{
    return weir_pool_current() != NULL ? (int)weir__own_worker()->index : -1;
}
