/* SPDX-License-Identifier: MIT */
/* stats.c - what the threads of a pool have noted, added up. Each number is read by itself. */
#include "weir/stats.h"

#include <errno.h>
#include <string.h>

#include "pool/pool.h"

static void read_times(const struct host *host, weir_pool_stats *ret)
{
    for (unsigned i = 0; i <= host->workers; i++) { /* the last is of all other threads */
        const struct times *times = &host->times[i];
        histogram_read(&times->wait, &ret->wait);
        histogram_read(&times->run, &ret->run);
        ret->measured += load_rlx(&times->measured);
        for (unsigned lane = 0; lane < WEIR_MAX_LANES; lane++)
            ret->in_place += load_rlx(&times->in_place[lane]);
        ret->helped += load_rlx(&times->helped);
    }
}

static void read_worker(const struct activity *activity, weir_pool_stats *ret)
{
    int64_t now = weir_now();
    uint64_t state = load_rlx(&activity->state);
    bool in_task = activity_levels(state) > 0, blocked = (state & ACTIVITY_BLOCKED) != 0;
    uint64_t not_running = stopwatch_read(&activity->idle, now);
    uint64_t in_waits = stopwatch_read(&activity->blocked, now);
    int64_t begun = load_rlx(&activity->begun), alive = begun != 0 ? now - begun : 0;
    not_running += in_waits;
    ret->blocked_ns += in_waits;
    if (alive > 0 && (uint64_t)alive > not_running)
        ret->busy_ns += (uint64_t)alive - not_running;
    ret->parks += load_rlx(&activity->parks);
    ret->wakes += load_rlx(&activity->wakes);
    ret->workers_busy += in_task && !blocked;
    ret->workers_blocked += in_task && blocked;
}

static void read_size(const struct crew *crew, weir_pool_stats *ret)
{
    const struct size *size = crew->size;
    ret->workers = weir__crew_workers(crew);
    if (size == NULL)
        return;
    ret->grown = load_rlx(&size->grown); /* counts by themselves */
    ret->shrunk = load_rlx(&size->shrunk);
    ret->not_grown = load_rlx(&size->not_grown);
}

/* A worker may be about to note a change of a moment ago, so that its times seem to go back a bit.
 * They count up for whoever reads them: what was told once is told again. */
static uint64_t never_back(atomic(uint64_t) *most, uint64_t time)
{
    uint64_t told = load_rlx(most); /* a number by itself */
    while (told < time && !cas_rlx(most, &told, time))
        continue;
    return told > time ? told : time;
}

int weir_pool_read_stats(const weir_pool *pool, weir_pool_stats *ret)
{
    enum { LARGEST = 1 << 16 }; /* a size above is no later version's: it was not filled in */
    size_t first = offsetof(weir_pool_stats, workers_blocked) + sizeof ret->workers_blocked;
    if (pool == NULL || ret == NULL || ret->size < first || ret->size > LARGEST)
        return -EINVAL;
    if (pool_stale(pool))
        return -ESTALE;
    size_t size = ret->size, known = size < sizeof *ret ? size : sizeof *ret;
    weir_pool_stats stats = {.size = size};
    read_times(&pool->host, &stats);
    for (unsigned i = 0; i < pool->crew.count; i++)
        read_worker(&pool->crew.workers[i].activity, &stats);
    read_size(&pool->crew, &stats);
    weir_pool *kept = (weir_pool *)(uintptr_t)pool;
    stats.busy_ns = never_back(&kept->busy_ns, stats.busy_ns);
    stats.blocked_ns = never_back(&kept->blocked_ns, stats.blocked_ns);
    weir_pool_read_counts(pool, &stats.counts);
    stats.gated = load_rlx(&pool->delay.gated); /* a count by itself */
    memset(ret, 0, size);
    memcpy(ret, &stats, known);
    return 0;
}
