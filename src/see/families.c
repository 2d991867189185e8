/* SPDX-License-Identifier: MIT */
/* families.c - the metrics of each kind of object, and where their values come from. Those of one
 * kind stand together; the order is that of the text. */
#include "see/families.h"

#include "pool/pool.h"

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
    [REJECT_OTHER] = "other",         [REJECT_REASONS] = NULL,
};

_Static_assert((int)REJECT_REASONS <= (int)FAMILY_VALUES, "fits");

#define POOL_COUNT(field)                                                                          \
    static void read_##field(const void *pool, int64_t ret[FAMILY_VALUES])                         \
    {                                                                                              \
        weir_pool_counts counts;                                                                   \
        weir_pool_read_counts(pool, &counts);                                                      \
        ret[0] = (int64_t)counts.field;                                                            \
    }

POOL_COUNT(submitted)
POOL_COUNT(running)
POOL_COUNT(delayed)
POOL_COUNT(peak_queued)

static void read_queued(const void *pool, int64_t ret[FAMILY_VALUES])
{
    ret[0] = (int64_t)weir_pool_queued(pool);
}

static void read_capacity(const void *pool, int64_t ret[FAMILY_VALUES])
{
    ret[0] = weir_pool_capacity(pool);
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

static void read_opened(const void *breaker, int64_t ret[FAMILY_VALUES])
{
    weir_breaker_counts counts;
    weir_breaker_read_counts(breaker, &counts);
    ret[0] = (int64_t)counts.opened;
}

/* Lease pools. */

static void read_resources(const void *pool, int64_t ret[FAMILY_VALUES])
{
    weir_lease_counts counts;
    weir_lease_read_counts(pool, &counts);
    ret[0] = (int64_t)counts.lent;
    ret[1] = (int64_t)counts.idle;
}

static const char *const resource_states[] = {"lent", "idle", NULL};

#define LEASE_COUNT(field)                                                                         \
    static void read_lease_##field(const void *pool, int64_t ret[FAMILY_VALUES])                   \
    {                                                                                              \
        weir_lease_counts counts;                                                                  \
        weir_lease_read_counts(pool, &counts);                                                     \
        ret[0] = (int64_t)counts.field;                                                            \
    }

LEASE_COUNT(waiting)
LEASE_COUNT(made)
LEASE_COUNT(destroyed)
LEASE_COUNT(failed)

static void read_lease_max(const void *pool, int64_t ret[FAMILY_VALUES])
{
    ret[0] = weir_lease_max(pool);
}

/* Topics. */

#define TOPIC_COUNT(field)                                                                         \
    static void read_topic_##field(const void *topic, int64_t ret[FAMILY_VALUES])                  \
    {                                                                                              \
        weir_topic_counts counts;                                                                  \
        weir_topic_read_counts(topic, &counts);                                                    \
        ret[0] = (int64_t)counts.field;                                                            \
    }

TOPIC_COUNT(subscribers)
TOPIC_COUNT(published)
TOPIC_COUNT(received)
TOPIC_COUNT(missed)

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

const struct family weir__families[] = {
    {KIND_POOL, TYPE_COUNTER, "weir_pool_submitted_total", "Tasks that were accepted.", NULL, NULL,
     read_submitted},
    {KIND_POOL, TYPE_COUNTER, "weir_pool_tasks_total", "Tasks that have ended, by how they ended.",
     "end", ends, read_ends},
    {KIND_POOL, TYPE_COUNTER, "weir_pool_rejected_total", "Submits that were refused, by reason.",
     "reason", reasons, read_rejected},
    {KIND_POOL, TYPE_GAUGE, "weir_pool_queued", "Tasks that wait to start.", NULL, NULL,
     read_queued},
    {KIND_POOL, TYPE_GAUGE, "weir_pool_peak_queued", "The most tasks that ever waited to start.",
     NULL, NULL, read_peak_queued},
    {KIND_POOL, TYPE_GAUGE, "weir_pool_capacity", "How many tasks may wait to start.", NULL, NULL,
     read_capacity},
    {KIND_POOL, TYPE_GAUGE, "weir_pool_running", "Tasks that run.", NULL, NULL, read_running},
    {KIND_POOL, TYPE_GAUGE, "weir_pool_delayed", "Tasks that wait for their time or a retry.", NULL,
     NULL, read_delayed},

    {KIND_SEMAPHORE, TYPE_GAUGE, "weir_semaphore_permits", "Permits in all.", NULL, NULL,
     read_permits},
    {KIND_SEMAPHORE, TYPE_GAUGE, "weir_semaphore_available", "Permits that are free.", NULL, NULL,
     read_available},
    {KIND_SEMAPHORE, TYPE_GAUGE, "weir_semaphore_waiting", "Requests that wait for permits.", NULL,
     NULL, read_waiting},

    {KIND_CHANNEL, TYPE_GAUGE, "weir_channel_elements", "Elements that wait to be received.", NULL,
     NULL, read_elements},
    {KIND_CHANNEL, TYPE_GAUGE, "weir_channel_capacity", "How many elements it can keep.", NULL,
     NULL, read_channel_capacity},
    {KIND_CHANNEL, TYPE_GAUGE, "weir_channel_closed", "1: the channel is closed.", NULL, NULL,
     read_closed},

    {KIND_LIMITER, TYPE_GAUGE, "weir_limiter_tokens",
     "Tokens in the bucket; negative: tokens that are owed.", NULL, NULL, read_tokens},
    {KIND_LIMITER, TYPE_GAUGE, "weir_limiter_burst", "The most tokens in the bucket.", NULL, NULL,
     read_burst},

    {KIND_WINDOW, TYPE_GAUGE, "weir_window_used", "Grants in the window.", NULL, NULL, read_used},
    {KIND_WINDOW, TYPE_GAUGE, "weir_window_max", "The most grants in the window.", NULL, NULL,
     read_window_max},

    {KIND_BREAKER, TYPE_GAUGE, "weir_breaker_state", "1 for the state that it is in.", "state",
     breaker_states, read_breaker_state},
    {KIND_BREAKER, TYPE_COUNTER, "weir_breaker_calls_total", "Calls that asked, by the answer.",
     "answer", answers, read_calls},
    {KIND_BREAKER, TYPE_COUNTER, "weir_breaker_results_total", "Results of calls that counted.",
     "result", results, read_results},
    {KIND_BREAKER, TYPE_COUNTER, "weir_breaker_opened_total", "How often it opened.", NULL, NULL,
     read_opened},

    {KIND_LEASE_POOL, TYPE_GAUGE, "weir_lease_pool_resources", "Resources, by what they are doing.",
     "state", resource_states, read_resources},
    {KIND_LEASE_POOL, TYPE_GAUGE, "weir_lease_pool_max", "The most resources there may be.", NULL,
     NULL, read_lease_max},
    {KIND_LEASE_POOL, TYPE_GAUGE, "weir_lease_pool_waiting", "Acquires that wait for a resource.",
     NULL, NULL, read_lease_waiting},
    {KIND_LEASE_POOL, TYPE_COUNTER, "weir_lease_pool_made_total", "Resources that were made.", NULL,
     NULL, read_lease_made},
    {KIND_LEASE_POOL, TYPE_COUNTER, "weir_lease_pool_destroyed_total",
     "Resources that were destroyed.", NULL, NULL, read_lease_destroyed},
    {KIND_LEASE_POOL, TYPE_COUNTER, "weir_lease_pool_failed_total",
     "Resources that could not be made.", NULL, NULL, read_lease_failed},

    {KIND_TOPIC, TYPE_GAUGE, "weir_topic_subscribers", "Channels that are subscribed.", NULL, NULL,
     read_topic_subscribers},
    {KIND_TOPIC, TYPE_COUNTER, "weir_topic_published_total", "Elements that were published.", NULL,
     NULL, read_topic_published},
    {KIND_TOPIC, TYPE_COUNTER, "weir_topic_received_total",
     "Copies of elements that subscribers received.", NULL, NULL, read_topic_received},
    {KIND_TOPIC, TYPE_COUNTER, "weir_topic_missed_total",
     "Copies of elements that subscribers missed.", NULL, NULL, read_topic_missed},

    {KIND_ERRGROUP, TYPE_GAUGE, "weir_errgroup_members", "Members that are queued or run.", NULL,
     NULL, read_members},
    {KIND_ERRGROUP, TYPE_GAUGE, "weir_errgroup_limit", "The most members at once; 0: no limit.",
     NULL, NULL, read_limit},
    {KIND_ERRGROUP, TYPE_COUNTER, "weir_errgroup_errors_total", "Members that have failed.", NULL,
     NULL, read_errors},
};

const size_t weir__family_count = sizeof weir__families / sizeof weir__families[0];
