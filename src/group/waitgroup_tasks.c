/* SPDX-License-Identifier: MIT */
/* waitgroup_tasks.c - tasks given to a waitgroup, and waiting for one.
 *
 * A waiter may search a pool for tasks of the waitgroup only if that pool is sure to exist: a
 * worker its own; a thread outside the one that all tasks of this waitgroup were ever given to, and
 * only while one of them has not ended. A mark from a pool that is no more is never too high in a
 * later one (queue.c), even if that has the same address.
 *
 * What a go notes for the waiters (pool, members, first) is published by the count
 * (sync/waitgroup.h), and the pools that were noted by the raised `members` too.
 */
#include "weir/waitgroup.h"

#include <errno.h>

#include "pool/help.h"
#include "pool/submit.h"
#include "sync/waitgroup.h"

#define MANY_POOLS ((uintptr_t)1)

/* What is in a weir_waitgroup. */
struct __attribute__((may_alias)) team {
    struct waitgroup count;
    atomic(uint32_t) members; /* tasks that have not ended, of pools whose outside waiters help */
    struct sink sink;
    atomic(uintptr_t) pool;   /* the one pool that its tasks were ever given to; 0; MANY_POOLS */
    atomic(queue_mark) first; /* no task of this round is before it */
};

_Static_assert(sizeof(struct team) <= sizeof(weir_waitgroup), "fits");

/* Remembers where the tasks of the waitgroup are, before one is counted. */
static void note_pool(struct team *team, weir_pool *pool)
{
    uintptr_t known = load_rlx(&team->pool); /* published as said above */
    if (known == 0 && cas_rlx(&team->pool, &known, (uintptr_t)pool))
        return;
    if (known != (uintptr_t)pool && known != MANY_POOLS)
        store_rlx(&team->pool, MANY_POOLS);
}

/* One has ended, or was refused. */
static void ended(struct team *team)
{
    /* If there was only one pool, it is the task's. If not, `members` is not read any more. */
    uintptr_t known = load_rlx(&team->pool);
    if (known != MANY_POOLS && ((weir_pool *)known)->host.outside_waiters_help)
        sub_rlx(&team->members, 1); /* before the waitgroup may be gone; orders nothing */
    if (weir__waitgroup_take(&team->count))
        wake_waiters(team);
}

static void task_ended(struct sink *sink, const struct job *job, weir_state end, int status)
{
    (void)job;
    (void)end;
    (void)status;
    ended(container_of(sink, struct team, sink));
}

static const struct sink_ops task_ops = {.tells_on_drop = true, .ended = task_ended};

/* Does it count tasks that the parent process submitted? */
static bool stale(const struct team *team)
{
    /* The count first: a thread that counted a task of this process has written `fork` before. */
    if (waitgroup_count(load_acq(&team->count.state)) == 0) /* pairs with weir__waitgroup_add */
        return false;
    uint32_t fork = load_rlx(&team->count.fork);
    return fork != 0 && fork != fork_count();
}

/* Counts a task, and notes what its waiters need to know. False: too many are counted. */
static bool count_in(struct team *team, weir_pool *pool)
{
    note_pool(team, pool);
    store_rlx(&team->sink.ops, &task_ops); /* the same for all threads, as is the next */
    store_rlx(&team->count.fork, fork_count());
    if (pool->host.outside_waiters_help)
        add_rel(&team->members, 1); /* the pool: pairs with searched_pool */
    /* A mark before the first task of the round: read before it is counted, so that a thread which
     * counts second pushes behind it. If a task of the round is before the mark, it was counted,
     * and the next look sees that. So what is stored holds for all tasks that were counted later,
     * whichever thread sees it, and when. */
    queue_mark end = queue_mark_end(&pool->queue);
    if (waitgroup_count(load_rlx(&team->count.state)) == 0)
        store_rlx(&team->first, end);
    if (weir__waitgroup_add(&team->count, 1))
        return true;
    if (pool->host.outside_waiters_help)
        sub_rlx(&team->members, 1);
    return false;
}

static int go(weir_waitgroup *handle, weir_pool *pool, weir_task_fn *fn, void *arg,
              enum submit_mode mode, weir_context *ctx, int64_t deadline)
{
    struct team *team = (struct team *)handle;
    if (team == NULL || pool == NULL || fn == NULL)
        return -EINVAL;
    if (pool_stale(pool))
        return -ESTALE;
    int err = weir_context_err(ctx);
    if (err != 0)
        return count_rejected(pool, 0, err);
    if (stale(team))
        return -ESTALE;
    struct job job = {.fn = fn, .arg = arg, .sink = &team->sink};
    job.start_by = weir_context_deadline(ctx);
    if (ctx != NULL && (job.context = weir_context_ref(ctx)) == NULL)
        return -ENOMEM;
    bool counted = count_in(team, pool);
    err = counted ? count_rejected(pool, 0, weir__submit(pool, &job, mode, ctx, deadline))
                  : -EOVERFLOW;
    if (err == 0) {
        weir__wake_all(helper_key(team)); /* only the address: it may be done */
        return 0;
    }
    weir_context_unref(job.context);
    if (counted)
        ended(team);
    return err;
}

int weir_waitgroup_go(weir_waitgroup *wg, weir_pool *pool, weir_task_fn *fn, void *arg)
{
    return go(wg, pool, fn, arg, SUBMIT_POLICY, NULL, WEIR_FOREVER);
}

int weir_waitgroup_try_go(weir_waitgroup *wg, weir_pool *pool, weir_task_fn *fn, void *arg)
{
    return go(wg, pool, fn, arg, SUBMIT_TRY, NULL, WEIR_FOREVER);
}

int weir_waitgroup_go_until(weir_waitgroup *wg, weir_pool *pool, weir_task_fn *fn, void *arg,
                            weir_context *ctx, int64_t deadline)
{
    return go(wg, pool, fn, arg, SUBMIT_POLICY, ctx, deadline);
}

struct round {
    struct team *team;
    uint32_t number;
};

static bool round_over(void *arg)
{
    const struct round *round = arg;
    uint64_t state = load_seqcst(&round->team->count.state); /* pairs with weir__waitgroup_take */
    tsan_acquire(round->team);
    return waitgroup_count(state) == 0 || state >> 32 != round->number;
}

/* The pool whose queue this thread may search for tasks of the waitgroup, or NULL; and from where.
 * A thread of a pool searches that even if no task was given to the waitgroup yet: one may be, and
 * then there may be nobody else to run it. */
static struct host *searched_pool(struct team *team, queue_mark *ret_first)
{
    /* First: a thread that counts a task has noted its pool. So if one has not ended, and only one
     * pool is known, it is that pool's; else the one that is known may be gone. */
    bool members = load_acq(&team->members) != 0; /* pairs with count_in */
    uintptr_t known = load_rlx(&team->pool);
    weir_pool *pool = (weir_pool *)known; /* only compared, until it is known to exist */
    const struct frame *frame = this_thread()->frame;
    *ret_first = 0;
    if (known > MANY_POOLS && weir__inside(&pool->host)) {
        *ret_first = load_rlx(&team->first);
        return &pool->host;
    }
    struct host *host = own_pool() != NULL ? &own_pool()->host : NULL;
    if (host == NULL && frame != NULL)
        host = frame->host;
    if (host != NULL) /* a child process has nobody to wait for there */
        return host_stale(host) ? NULL : host;
    return known > MANY_POOLS && members ? &pool->host : NULL;
}

int weir_waitgroup_wait_until(weir_waitgroup *handle, weir_context *ctx, int64_t deadline)
{
    struct team *team = (struct team *)handle;
    if (team == NULL)
        return -EINVAL;
    int err = weir_context_err(ctx);
    /* A first look, and what the count publishes: pairs with weir__waitgroup_add,
     * weir__waitgroup_take. */
    uint64_t state = load_acq(&team->count.state);
    tsan_acquire(team);
    if (err != 0 || waitgroup_count(state) == 0)
        return err;
    if (stale(team))
        return -ESTALE;
    if (weir__inside_sink(&team->sink))
        return -EDEADLK;
    struct round round = {team, (uint32_t)(state >> 32)};
    queue_mark first;
    struct host *helped = searched_pool(team, &first);
    return weir__wait_helping(TELL("weir_waitgroup_wait", team), helped, &team->sink, team, first,
                              round_over, &round, ctx, NULL, deadline);
}

int weir_waitgroup_wait(weir_waitgroup *wg)
{
    return weir_waitgroup_wait_until(wg, NULL, WEIR_FOREVER);
}

int weir_waitgroup_try_wait(weir_waitgroup *handle)
{
    const struct team *team = (const struct team *)handle;
    if (team == NULL)
        return -EINVAL;
    uint32_t count = waitgroup_count(load_acq(&team->count.state)); /* pairs with
                                                                       weir__waitgroup_take */
    tsan_acquire(team);
    if (count == 0)
        return 0;
    return stale(team) ? -ESTALE : -EAGAIN;
}
