/* SPDX-License-Identifier: MIT */
/* parallel.c - a for loop on the caller and on those workers that come free.
 *
 * The loop lives on its caller's stack. Chunks are numbered; each participant takes the next number
 * until there is none, or the loop's context is over. Helpers are jobs of the pool with the loop as
 * their sink; `active` counts them from before they are submitted until they have ended, and the
 * loop ends when it is zero: that is a helper's last access to it (leave -> no_helpers). All other
 * words are relaxed: what the participants did is published by leave, and a thread that raises
 * `active` is counted in it, so that its own leave comes later.
 *
 * At most one helper is in the queue, unstarted (`invited`). When it starts, and before each chunk,
 * each participant invites the next one while there are chunks left; so the workers join one after
 * the other, and a full queue or a busy pool is tried again with each chunk. When the chunks are
 * gone the caller claims the helper that has not started, and runs it (it finds nothing to do): it
 * never waits for one that nobody has begun. Those that run are at a chunk of this loop, so all
 * there is to wait for is `fn`.
 *
 * If fn ends the caller's thread, the unwinding of its stack waits for the helpers likewise.
 */
#include "weir/parallel.h"

#include <errno.h>

#include "base/unwind.h"
#include "pool/help.h"
#include "pool/submit.h"

enum { CHUNKS_FOR_EACH = 8 }; /* of a grain that was not chosen by the caller */

struct loop {
    struct sink sink; /* of the helpers; first */
    weir_pool *pool;
    weir_context *parent; /* a reference, or NULL */
    weir_context context; /* what fn sees */
    weir_range_fn *fn;
    void *arg;
    size_t n, grain;
    uint64_t chunks;
    queue_mark first; /* no helper is before it */
    unsigned most;    /* helpers at once */
    bool returned;    /* the caller's part did; if not, its thread is dying */
    int over;         /* why the context was over at the end, or 0 */
    _Alignas(CACHE_LINE)
        atomic(uint64_t) next; /* the chunk to be taken next; above `chunks` once they are gone */
    atomic(uint32_t) active;
    atomic(uint32_t) invited;
    atomic(int) error; /* the first */
};

static void record_error(struct loop *loop, int status)
{
    int none = 0;
    if (cas_rlx(&loop->error, &none, status)) /* published by leave */
        weir_context_cancel(&loop->context, status);
}

static void leave(struct loop *loop)
{
    tsan_release(loop);
    if (sub_seqcst(&loop->active, 1) == 1) /* from here on only addresses; pairs with no_helpers */
        wake_waiters(loop);
}

static void helper_ended(struct sink *sink, const struct job *job, weir_state end, int status)
{
    struct loop *loop = (struct loop *)sink;
    (void)job;
    if (end == WEIR_TASK_FAILED) /* fn ended the thread */
        record_error(loop, status);
    else if (end != WEIR_TASK_DONE)   /* it never started */
        store_rlx(&loop->invited, 0); /* orders nothing, nor does it elsewhere */
    leave(loop);
}

static void helper_starts(struct sink *sink, struct start *ret)
{
    *ret = (struct start){.fn = (uintptr_t)((struct loop *)sink)->fn};
}

/* Nothing: it is a helper of this file's making. */
static void helper_submitted(struct sink *sink, weir_task_fn **ret_fn, void **ret_arg)
{
    (void)sink;
    *ret_fn = NULL;
    *ret_arg = NULL;
}

static const struct sink_ops helper_ops = {
    .starts = helper_starts, .submitted = helper_submitted, .ended = helper_ended};

static int parallel_helper(weir_context *ctx, void *arg);

/* Queues a helper if one can be of use. Never blocks; that there is no room is no error. */
static void invite(struct loop *loop)
{
    weir_pool *pool = loop->pool;
    if (load_rlx(&loop->next) + 1 >= loop->chunks || /* a hint; so are the next two: one */
        load_rlx(&loop->active) >= loop->most ||     /* helper more or less is no harm */
        load_rlx(&loop->invited) != 0 || queue_full(&pool->queue) || weir__refusal(pool) != 0)
        return;
    uint32_t none = 0;
    if (!cas_rlx(&loop->invited, &none, 1))
        return;
    add_rlx(&loop->active, 1); /* before this thread leaves, or the caller looks */
    struct job job = {
        .fn = parallel_helper, .arg = loop, .sink = &loop->sink, .start_by = WEIR_FOREVER};
    if (weir__submit(pool, &job, SUBMIT_TRY, NULL, WEIR_FOREVER) == 0) {
        weir__wake_all(helper_key(loop)); /* the caller, if it waits, may have to run it */
        return;
    }
    store_rlx(&loop->invited, 0);
    leave(loop); /* not the last: this thread is the caller, or active */
}

/* In a child process there are no helpers: waiting for them would have no end. */
static void check_fork(const struct loop *loop)
{
    if (pool_stale(loop->pool))
        weir__misuse("fork", "a loop that forked must not go on in the child.");
}

/* Does chunks until there is nothing more to do. */
static void take_part(struct loop *loop)
{
    int err = 0;
    while (err == 0 && weir_context_err(&loop->context) == 0) {
        invite(loop);
        uint64_t chunk = add_rlx(&loop->next, 1); /* what is done is published by leave */
        if (chunk >= loop->chunks)
            break;
        size_t begin = (size_t)chunk * loop->grain;
        size_t end = loop->n - begin > loop->grain ? begin + loop->grain : loop->n;
        err = loop->fn(&loop->context, begin, end, loop->arg);
        check_fork(loop);
    }
    if (err != 0)
        record_error(loop, err);
}

static int parallel_helper(weir_context *ctx, void *arg)
{
    struct loop *loop = arg;
    (void)ctx; /* over only if the loop's is: it has no parent but the pool's */
    store_rlx(&loop->invited, 0);
    take_part(loop);
    return 0;
}

static bool no_helpers(void *arg)
{
    uint32_t active = load_seqcst(&((struct loop *)arg)->active); /* pairs with leave */
    tsan_acquire(arg);
    return active == 0;
}

/* Waits for the helpers, and claims the one that has not started. */
static void end_loop(struct loop **guarded)
{
    struct loop *loop = *guarded;
    check_fork(loop);
    if (!loop->returned)
        record_error(loop, -ECANCELED);
    (void)weir__wait_helping(TELL("weir_parallel_for", loop), &loop->pool->host, &loop->sink, loop,
                             loop->first, no_helpers, loop, NULL, NULL, WEIR_FOREVER);
    loop->over = weir_context_err(&loop->context);
    weir__context_end(&loop->context);
    weir_context_unref(loop->parent);
}

static void run_loop(struct loop *loop)
{
    struct loop *guarded ON_LEAVE(end_loop) = loop;
    take_part(guarded);
    loop->returned = true;
}

/* All participants have left. */
static int outcome(const struct loop *loop)
{
    int err = load_rlx(&loop->error);
    if (err == 0 && load_rlx(&loop->next) < loop->chunks)
        err = loop->over;
    return err;
}

int weir_parallel_for_until(weir_pool *pool, size_t n, size_t grain, weir_range_fn *fn, void *arg,
                            weir_context *ctx, int64_t deadline)
{
    if (pool == NULL || fn == NULL)
        return -EINVAL;
    if (pool_stale(pool))
        return -ESTALE;
    int err;
    if ((err = weir_context_err(ctx)) != 0 || (err = weir__refusal(pool)) != 0 || n == 0)
        return err;
    weir_context *parent = weir_context_ref(ctx);
    if (ctx != NULL && parent == NULL)
        return -ENOMEM;
    struct loop loop = {
        .sink = {&helper_ops}, .pool = pool, .parent = parent, .fn = fn, .arg = arg, .n = n};
    loop.most = weir__crew_workers(&pool->crew) - (own_seat(&pool->queue) != NULL ? 1 : 0);
    loop.grain = grain != 0 ? grain : n / CHUNKS_FOR_EACH / ((size_t)loop.most + 1);
    if (loop.grain == 0)
        loop.grain = 1;
    loop.chunks = (uint64_t)(n / loop.grain) + (n % loop.grain != 0 ? 1 : 0);
    loop.first = queue_mark_end(&pool->queue); /* before any helper is pushed */
    weir__context_begin(&loop.context, parent, pool->host.context, deadline, NULL);
    run_loop(&loop);
    return outcome(&loop);
}

int weir_parallel_for(weir_pool *pool, size_t n, size_t grain, weir_range_fn *fn, void *arg)
{
    return weir_parallel_for_until(pool, n, grain, fn, arg, NULL, WEIR_FOREVER);
}
