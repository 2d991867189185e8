/* SPDX-License-Identifier: MIT */
/* lane_stats.c - stats.c for one lane. */
#include <errno.h>
#include <string.h>

#include "pool/lane_options.h"
#include "pool/pool.h"
#include "weir/lane.h"

static void read_times(const struct host *host, uint32_t number, weir_lane_stats *ret)
{
    for (unsigned i = 0; i <= host->workers; i++) { /* the last is of all other threads */
        const struct times *times = &host->times[i];
        const struct lane_times *of_lane = times->lanes != NULL ? &times->lanes[number] : NULL;
        histogram_read(of_lane != NULL ? &of_lane->wait : &times->wait, &ret->wait);
        histogram_read(of_lane != NULL ? &of_lane->run : &times->run, &ret->run);
    }
}

int weir_pool_read_lane_stats(const weir_pool *pool, unsigned lane, weir_lane_stats *ret)
{
    enum { LARGEST = 1 << 16 }; /* a size above is no later version's: it was not filled in */
    size_t first = offsetof(weir_lane_stats, run) + sizeof ret->run;
    uint32_t number;
    if (pool == NULL || ret == NULL || ret->size < first || ret->size > LARGEST ||
        weir__lane_numbered(&pool->queue, lane, &number) != 0)
        return -EINVAL;
    if (pool_stale(pool))
        return -ESTALE;
    const struct lane *of = queue_lane(&pool->queue, lane);
    size_t size = ret->size, known = size < sizeof *ret ? size : sizeof *ret;
    weir_lane_stats stats = {
        .size = size,
        .capacity = of->ring.capacity,
        .queued = lane_taken(of),
        .peak_queued = load_rlx(&of->peak), /* a number by itself */
        .submitted = ring_end(&of->ring, 0) - of->first,
        .rejected = lane_overflowed(of, LANE_REJECTED),
        .dropped = lane_overflowed(of, LANE_DROPPED),
        .in_place = ran_in_place(&pool->host, number),
        .blocked = lane_overflowed(of, LANE_BLOCKED),
    };
    read_times(&pool->host, number, &stats);
    memset(ret, 0, size);
    memcpy(ret, &stats, known);
    return 0;
}
