/* SPDX-License-Identifier: MIT */
/* families.c - the metrics of each kind of object, and where their values come from. Those of one
 * kind stand together; the order is that of the text. */
#include "see/families.h"

#include "pool/pool.h"

/* Reads one of the counts that a kind of object keeps. */
#define READ_COUNT(kind, field)                                                                    \
    static void read_##kind##_##field(const void *object, int64_t ret[FAMILY_VALUES])              \
    {                                                                                              \
        weir_##kind##_counts counts;                                                               \
        weir_##kind##_read_counts(object, &counts);                                                \
        ret[0] = (int64_t)counts.field;                                                            \
    }

/* Pools. */

static void read_ends(const void *pool, int64_t ret[FAMILY_VALUES])
{
    weir_pool_counts counts;
    weir_pool_read_counts(pool, &counts);
    ret[0] = (int64_t)counts.done;
    ret[1] = (int64_t)counts.failed;
    ret[2] = (int64_t)counts.cancelled;
    ret[3] = (int64_t)counts.expired;
    ret[4] = (int64_t)counts.dropped;
}

static const char *const ends[] = {"done", "failed", "cancelled", "expired", "dropped", NULL};

static void read_rejected(const void *object, int64_t ret[FAMILY_VALUES])
{
    const weir_pool *pool = object;
    for (unsigned i = 0; i < REJECT_REASONS; i++)
        ret[i] = (int64_t)load_rlx(&pool->rejected[i]); /* counts by themselves */
}

static const char *const reasons[] = {
    [REJECT_FULL] = "full",           [REJECT_CLOSED] = "closed", [REJECT_TIMED_OUT] = "timed_out",
    [REJECT_CANCELLED] = "cancelled", [REJECT_NESTED] = "nested", [REJECT_BUSY] = "busy",
    [REJECT_UNREAPED] = "unreaped",   [REJECT_OTHER] = "other",   [REJECT_REASONS] = NULL,
};

_Static_assert((int)REJECT_REASONS <= (int)FAMILY_VALUES, "fits");

READ_COUNT(pool, submitted)
READ_COUNT(pool, running)
READ_COUNT(pool, delayed)
READ_COUNT(pool, peak_queued)

#define POOL_CALL(name)                                                                            \
    static void read_##name(const void *pool, int64_t ret[FAMILY_VALUES])                          \
    {                                                                                              \
        ret[0] = (int64_t)weir_pool_##name(pool);                                                  \
    }

POOL_CALL(queued)
POOL_CALL(capacity)
POOL_CALL(workers_max)

/* Of each lane that the pool has. */
static void read_lanes(const weir_pool *pool,
                       int64_t (*of)(const weir_pool *pool, const struct lane *lane),
                       int64_t ret[FAMILY_VALUES])
{
    for (unsigned k = 0; k < WEIR_MAX_LANES; k++)
        ret[k] = k < pool->queue.lane_count ? of(pool, queue_lane(&pool->queue, k)) : NO_VALUE;
}

#define READ_LANES(name, value)                                                                    \
    static int64_t name##_of(const weir_pool *pool, const struct lane *lane)                       \
    {                                                                                              \
        (void)pool;                                                                                \
        return (int64_t)(value);                                                                   \
    }                                                                                              \
    static void read_lane_##name(const void *pool, int64_t ret[FAMILY_VALUES])                     \
    {                                                                                              \
        read_lanes(pool, name##_of, ret);                                                          \
    }

READ_LANES(queued, lane_taken(lane))
READ_LANES(capacity, lane->ring.capacity)
READ_LANES(submitted, ring_end(&lane->ring, 0) - lane->first)
READ_LANES(rejected, lane_overflowed(lane, LANE_REJECTED))
READ_LANES(dropped, lane_overflowed(lane, LANE_DROPPED))
READ_LANES(in_place, ran_in_place(&pool->host, lane->number))
READ_LANES(blocked, lane_overflowed(lane, LANE_BLOCKED))

static const char *const lane_numbers[] = {"0", "1", "2", "3", "4", "5", "6", "7", NULL};

_Static_assert((int)WEIR_MAX_LANES <= (int)FAMILY_VALUES, "fits");

static weir_pool_stats stats_of(const void *pool)
{
    weir_pool_stats stats = {.size = sizeof stats};
    if (weir_pool_read_stats(pool, &stats) != 0)
        stats = (weir_pool_stats){0}; /* it is stale */
    return stats;
}

static void read_workers(const void *pool, int64_t ret[FAMILY_VALUES])
{
    weir_pool_stats stats = stats_of(pool);
    ret[0] = stats.workers_busy;
    ret[1] = stats.workers_blocked;
    int64_t idle = (int64_t)stats.workers - ret[0] - ret[1];
    ret[2] = idle > 0 ? idle : 0; /* one may have come in between */
}

static const char *const worker_states[] = {"busy", "blocked", "idle", NULL};

#define POOL_STAT(name, field)                                                                     \
    static void read_##name(const void *pool, int64_t ret[FAMILY_VALUES])                          \
    {                                                                                              \
        ret[0] = (int64_t)stats_of(pool).field;                                                    \
    }

POOL_STAT(busy, busy_ns)
POOL_STAT(blocked, blocked_ns)
POOL_STAT(in_place, in_place)
POOL_STAT(helped, helped)
POOL_STAT(grown, grown)
POOL_STAT(shrunk, shrunk)
POOL_STAT(not_grown, not_grown)

static void read_gated(const void *pool, int64_t ret[FAMILY_VALUES])
{
    const weir_pool *of = pool;
    ret[0] = (int64_t)load_rlx(&of->delay.gated); /* a count by itself */
}

static void read_wait(const void *pool, weir_histogram *ret)
{
    *ret = stats_of(pool).wait;
}

static void read_run(const void *pool, weir_histogram *ret)
{
    *ret = stats_of(pool).run;
}

/* What tasks wait for. */

static void read_permits(const void *semaphore, int64_t ret[FAMILY_VALUES])
{
    ret[0] = weir_semaphore_permits(semaphore);
}

static void read_available(const void *semaphore, int64_t ret[FAMILY_VALUES])
{
    ret[0] = weir_semaphore_available(semaphore);
}

static void read_waiting(const void *semaphore, int64_t ret[FAMILY_VALUES])
{
    ret[0] = (int64_t)weir_semaphore_waiting(semaphore);
}

static void read_elements(const void *channel, int64_t ret[FAMILY_VALUES])
{
    ret[0] = (int64_t)weir_channel_count(channel);
}

static void read_channel_capacity(const void *channel, int64_t ret[FAMILY_VALUES])
{
    ret[0] = (int64_t)weir_channel_capacity(channel);
}

static void read_closed(const void *channel, int64_t ret[FAMILY_VALUES])
{
    ret[0] = weir_channel_is_closed(channel);
}

static void read_tokens(const void *limiter, int64_t ret[FAMILY_VALUES])
{
    ret[0] = weir_limiter_tokens(limiter);
}

static void read_burst(const void *limiter, int64_t ret[FAMILY_VALUES])
{
    ret[0] = weir_limiter_burst(limiter);
}

static void read_used(const void *window, int64_t ret[FAMILY_VALUES])
{
    ret[0] = weir_window_used(window);
}

static void read_window_max(const void *window, int64_t ret[FAMILY_VALUES])
{
    ret[0] = weir_window_max(window);
}

/* Breakers. */

static void read_breaker_state(const void *breaker, int64_t ret[FAMILY_VALUES])
{
    weir_breaker_state state = weir_breaker_read_state(breaker);
    ret[0] = state == WEIR_BREAKER_CLOSED;
    ret[1] = state == WEIR_BREAKER_OPEN;
    ret[2] = state == WEIR_BREAKER_HALF_OPEN;
}

static const char *const breaker_states[] = {"closed", "open", "half_open", NULL};

static void read_calls(const void *breaker, int64_t ret[FAMILY_VALUES])
{
    weir_breaker_counts counts;
    weir_breaker_read_counts(breaker, &counts);
    ret[0] = (int64_t)counts.allowed;
    ret[1] = (int64_t)counts.refused;
}

static const char *const answers[] = {"allowed", "refused", NULL};

static void read_results(const void *breaker, int64_t ret[FAMILY_VALUES])
{
    weir_breaker_counts counts;
    weir_breaker_read_counts(breaker, &counts);
    ret[0] = (int64_t)counts.succeeded;
    ret[1] = (int64_t)counts.failed;
}

static const char *const results[] = {"succeeded", "failed", NULL};

READ_COUNT(breaker, opened)

/* Lease pools. */

static void read_resources(const void *pool, int64_t ret[FAMILY_VALUES])
{
    weir_lease_counts counts;
    weir_lease_read_counts(pool, &counts);
    ret[0] = (int64_t)counts.lent;
    ret[1] = (int64_t)counts.idle;
}

static const char *const resource_states[] = {"lent", "idle", NULL};

READ_COUNT(lease, waiting)
READ_COUNT(lease, made)
READ_COUNT(lease, destroyed)
READ_COUNT(lease, failed)

static void read_lease_max(const void *pool, int64_t ret[FAMILY_VALUES])
{
    ret[0] = weir_lease_max(pool);
}

/* Topics. */

READ_COUNT(topic, subscribers)
READ_COUNT(topic, published)
READ_COUNT(topic, received)
READ_COUNT(topic, missed)

/* Errgroups. */

static void read_members(const void *group, int64_t ret[FAMILY_VALUES])
{
    ret[0] = (int64_t)weir_errgroup_active(group);
}

static void read_limit(const void *group, int64_t ret[FAMILY_VALUES])
{
    ret[0] = weir_errgroup_limit(group);
}

static void read_errors(const void *group, int64_t ret[FAMILY_VALUES])
{
    ret[0] = (int64_t)weir_errgroup_errors(group, NULL, 0);
}

/* All of them. */

/* One value an object; one for each value of a label; a counter of ns, told in seconds. */
#define ONE(kind, type, name, help, read)                                                          \
    {                                                                                              \
        KIND_##kind, TYPE_##type, name, help, NULL, NULL, read, false, NULL                        \
    }
#define SOME(kind, type, name, help, label, values, read)                                          \
    {                                                                                              \
        KIND_##kind, TYPE_##type, name, help, label, values, read, false, NULL                     \
    }
#define SECONDS(kind, name, help, read)                                                            \
    {                                                                                              \
        KIND_##kind, TYPE_COUNTER, name, help, NULL, NULL, read, true, NULL                        \
    }
#define HISTOGRAM(kind, name, help, read)                                                          \
    {                                                                                              \
        KIND_##kind, TYPE_HISTOGRAM, name, help, NULL, NULL, NULL, true, read                      \
    }

const struct family weir__families[] = {
    ONE(POOL, COUNTER, "weir_pool_submitted_total", "Tasks that were accepted.",
        read_pool_submitted),
    SOME(POOL, COUNTER, "weir_pool_tasks_total", "Tasks that have ended, by how they ended.", "end",
         ends, read_ends),
    SOME(POOL, COUNTER, "weir_pool_rejected_total", "Submits that were refused, by reason.",
         "reason", reasons, read_rejected),
    ONE(POOL, GAUGE, "weir_pool_queued", "Tasks that wait to start.", read_queued),
    ONE(POOL, GAUGE, "weir_pool_peak_queued", "The most tasks that ever waited to start.",
        read_pool_peak_queued),
    ONE(POOL, GAUGE, "weir_pool_capacity", "How many tasks may wait to start.", read_capacity),
    SOME(POOL, GAUGE, "weir_pool_lane_queued", "Places of a lane that are taken.", "lane",
         lane_numbers, read_lane_queued),
    SOME(POOL, GAUGE, "weir_pool_lane_capacity", "How many tasks may wait in a lane.", "lane",
         lane_numbers, read_lane_capacity),
    SOME(POOL, COUNTER, "weir_pool_lane_submitted_total",
         "Places of a lane that were taken: tasks, and turns of serials.", "lane", lane_numbers,
         read_lane_submitted),
    SOME(POOL, COUNTER, "weir_pool_lane_rejected_total",
         "Submits that were refused for want of room in the lane, or at a limit.", "lane",
         lane_numbers, read_lane_rejected),
    SOME(POOL, COUNTER, "weir_pool_lane_dropped_total",
         "Tasks that were dropped for others because the lane was full.", "lane", lane_numbers,
         read_lane_dropped),
    SOME(POOL, COUNTER, "weir_pool_lane_in_place_total",
         "Tasks that the thread which submitted them ran, for want of room or at a group's limit.",
         "lane", lane_numbers, read_lane_in_place),
    SOME(POOL, COUNTER, "weir_pool_lane_blocked_total", "Waits of submits for room in the lane.",
         "lane", lane_numbers, read_lane_blocked),
    ONE(POOL, GAUGE, "weir_pool_running", "Tasks that run.", read_pool_running),
    ONE(POOL, GAUGE, "weir_pool_delayed",
        "Tasks that wait for their time, a retry, a gate or a descriptor.", read_pool_delayed),
    ONE(POOL, GAUGE, "weir_pool_gated", "Those of them that wait at a gate.", read_gated),
    SOME(POOL, GAUGE, "weir_pool_workers", "Workers, by what they are doing.", "state",
         worker_states, read_workers),
    ONE(POOL, GAUGE, "weir_pool_workers_max", "The most workers there may be.", read_workers_max),
    ONE(POOL, COUNTER, "weir_pool_workers_added_total", "Workers that were added.", read_grown),
    ONE(POOL, COUNTER, "weir_pool_workers_left_total", "Workers that left again.", read_shrunk),
    ONE(POOL, COUNTER, "weir_pool_workers_failed_total", "Workers not added.", read_not_grown),
    SECONDS(POOL, "weir_pool_busy_seconds_total",
            "Time that workers spent running tasks or looking for one.", read_busy),
    SECONDS(POOL, "weir_pool_blocked_seconds_total", "Time in tasks that blocked.", read_blocked),
    ONE(POOL, COUNTER, "weir_pool_in_place_total",
        "Tasks that the thread which submitted them ran, for want of room.", read_in_place),
    ONE(POOL, COUNTER, "weir_pool_helped_total", "Tasks that a thread which waited for them ran.",
        read_helped),
    HISTOGRAM(POOL, "weir_pool_wait_seconds",
              "From the submit of a task to its start, of tasks that were measured.", read_wait),
    HISTOGRAM(POOL, "weir_pool_run_seconds",
              "From the start of a task to its end, of tasks that were measured.", read_run),

    ONE(SEMAPHORE, GAUGE, "weir_semaphore_permits", "Permits in all.", read_permits),
    ONE(SEMAPHORE, GAUGE, "weir_semaphore_available", "Permits that are free.", read_available),
    ONE(SEMAPHORE, GAUGE, "weir_semaphore_waiting", "Requests that wait for permits.",
        read_waiting),

    ONE(CHANNEL, GAUGE, "weir_channel_elements", "Elements that wait to be received.",
        read_elements),
    ONE(CHANNEL, GAUGE, "weir_channel_capacity", "How many elements it can keep.",
        read_channel_capacity),
    ONE(CHANNEL, GAUGE, "weir_channel_closed", "1: the channel is closed.", read_closed),

    ONE(LIMITER, GAUGE, "weir_limiter_tokens",
        "Tokens in the bucket; negative: tokens that are owed.", read_tokens),
    ONE(LIMITER, GAUGE, "weir_limiter_burst", "The most tokens in the bucket.", read_burst),

    ONE(WINDOW, GAUGE, "weir_window_used", "Grants in the window.", read_used),
    ONE(WINDOW, GAUGE, "weir_window_max", "The most grants in the window.", read_window_max),

    SOME(BREAKER, GAUGE, "weir_breaker_state", "1 for the state that it is in.", "state",
         breaker_states, read_breaker_state),
    SOME(BREAKER, COUNTER, "weir_breaker_calls_total", "Calls that asked, by the answer.", "answer",
         answers, read_calls),
    SOME(BREAKER, COUNTER, "weir_breaker_results_total", "Results of calls that counted.", "result",
         results, read_results),
    ONE(BREAKER, COUNTER, "weir_breaker_opened_total", "How often it opened.", read_breaker_opened),

    SOME(LEASE_POOL, GAUGE, "weir_lease_pool_resources", "Resources, by what they are doing.",
         "state", resource_states, read_resources),
    ONE(LEASE_POOL, GAUGE, "weir_lease_pool_max", "The most resources there may be.",
        read_lease_max),
    ONE(LEASE_POOL, GAUGE, "weir_lease_pool_waiting", "Acquires that wait for a resource.",
        read_lease_waiting),
    ONE(LEASE_POOL, COUNTER, "weir_lease_pool_made_total", "Resources that were made.",
        read_lease_made),
    ONE(LEASE_POOL, COUNTER, "weir_lease_pool_destroyed_total", "Resources that were destroyed.",
        read_lease_destroyed),
    ONE(LEASE_POOL, COUNTER, "weir_lease_pool_failed_total", "Resources that could not be made.",
        read_lease_failed),

    ONE(TOPIC, GAUGE, "weir_topic_subscribers", "Channels that are subscribed.",
        read_topic_subscribers),
    ONE(TOPIC, COUNTER, "weir_topic_published_total", "Elements that were published.",
        read_topic_published),
    ONE(TOPIC, COUNTER, "weir_topic_received_total",
        "Copies of elements that subscribers received.", read_topic_received),
    ONE(TOPIC, COUNTER, "weir_topic_missed_total", "Copies of elements that subscribers missed.",
        read_topic_missed),

    ONE(ERRGROUP, GAUGE, "weir_errgroup_members", "Members that are queued or run.", read_members),
    ONE(ERRGROUP, GAUGE, "weir_errgroup_limit", "The most members at once; 0: no limit.",
        read_limit),
    ONE(ERRGROUP, COUNTER, "weir_errgroup_errors_total", "Members that have failed.", read_errors),
};

const size_t weir__family_count = sizeof weir__families / sizeof weir__families[0];
