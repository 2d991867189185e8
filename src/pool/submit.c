/* SPDX-License-Identifier: MIT */
/* submit.c - the way into the pool.
 *
 * The fast path takes a free slot, fills it, pushes its number and wakes an idle worker if there is
 * one: two CASes, no lock, nothing shared that is written but the ring. The push is the instant at
 * which the task is accepted.
 *
 * Closing. A thread outside may find the pool open, and push after it was closed. So it looks at
 * the state again after the push. If it is closed now and the ticket is still in the ring, the
 * submitter claims its own task and the submit is refused after all. Poppers claim every task once
 * they see the pool closed, plain ones too. The push, the pop, the change of state and the looks at
 * state and ring are sequentially consistent: a popper that took the task without a claim popped
 * before the pool was closed, and then the submitter finds the ticket gone, and the task accepted.
 *
 * A full pool. First the head is cleared of tasks that are over. Then: try_ fails; a thread that
 * runs a task of this pool runs the new one in place, because waiting for room could be waiting for
 * itself; else the policy decides. A worker that submits looks for room before it takes a slot,
 * since it often ends up here: with tasks that make tasks the queue is full most of the time.
 *
 * Blocking. A submitter first gives its core away, then naps on pool->room, once, unless the queue
 * is short: a wake for each place would cost the workers more than they gain, and a nap ends with
 * room for many. Then it sleeps. A pop wakes one of those who sleep, with one wake in flight
 * (wait/eventcount.c); a worker that runs out of tasks wakes one who naps; and who was woken wakes
 * the next of either kind, whatever becomes of itself. A worker that is about to park wakes one
 * more, in case the woken one is held up.
 */
#include "pool/pool.h"

#include <errno.h>

#include "base/deadline.h"

/* The most runs in place within each other. */
enum { MAX_IN_PLACE = 64 };

/* How often a submitter gives its core away, and for how long it naps (ns), before it sleeps. */
enum { YIELDS = 3, NAP = 100000 };

int weir__refusal(weir_pool *pool)
{
    int state = load_seqcst(&pool->state);
    if (unlikely(state != POOL_OPEN) && (state != POOL_CLOSED || !weir__inside(pool)))
        return -EPIPE;
    if (unlikely(pool->has_parent_context) && weir_context_err(pool->context) != 0)
        return -EPIPE;
    return 0;
}

/* How many are queued now that position `t` was filled, if that is a record. */
static COLD void note_peak(weir_pool *pool, uint64_t t)
{
    uint64_t head = ring_end(&pool->ring, 1);
    store_rlx(&pool->head_seen, head); /* a hint: any past head will do */
    int64_t queued = (int64_t)(t + 1 - head);
    uint64_t record = queued < 1 ? 1 : (uint64_t)queued;
    if (record > pool->ring.capacity)
        record = pool->ring.capacity;
    uint64_t peak = load_rlx(&pool->peak);
    while (record > peak && !cas_acqrel(&pool->peak, &peak, record))
        continue;
}

/* Claims back what was just pushed at `position`. False: it was popped, so it is accepted. */
static bool retract(weir_pool *pool, uint64_t position, struct slot *slot, uint64_t claim)
{
    if (!ring_holds(&pool->ring, position) || !weir__take_out_of_turn(pool, slot, claim))
        return false;
    add_seqcst(&pool->retracted, 1);
    weir__wake_all(&pool->outside); /* a look between the counts saw no quiet */
    return true;
}

/* The queue is full. If a worker is idle beside it, whoever was to wake it is held up. */
static void found_full(weir_pool *pool)
{
    if (unlikely(eventcount_has_sleepers(&pool->work)))
        weir__eventcount_wake_another(&pool->work, load_rlx(&pool->ring.tail));
}

static inline bool push(weir_pool *pool, uint32_t index, uint64_t *ret_position, void (*lost)(void))
{
    uint64_t position;
    if (unlikely(!ring_push_or(&pool->ring, index, &position, lost))) {
        found_full(pool);
        return false;
    }
    eventcount_notify(&pool->work, position);
    int64_t queued = (int64_t)(position + 1 - load_rlx(&pool->head_seen));
    if (unlikely(queued > (int64_t)load_rlx(&pool->peak)))
        note_peak(pool, position);
    *ret_position = position;
    return true;
}

bool weir__push(weir_pool *pool, uint32_t index)
{
    uint64_t position;
    return push(pool, index, &position, ring_back_off);
}

/* One try to queue a task: 0, -EAGAIN (full) or -EPIPE. */
static int enqueue(weir_pool *pool, const struct job *job, enum submit_mode mode)
{
    struct loaded *own = own_slots(pool);
    if (own != NULL) {
        container_of(own, struct weir__worker, free_slots)->submits = true;
        if (ring_full(&pool->ring)) {
            found_full(pool);
            return -EAGAIN;
        }
    }
    uint32_t link;
    while (unlikely((link = slab_take(&pool->slab, own)) == LINK_NONE)) {
        if (ring_full(&pool->ring))
            return -EAGAIN;
        weir__thread_yield(); /* MARGIN slots are in the hands of threads inside a call */
    }
    struct slot *slot = &pool->slab.slots[link - 1];
    void *task = (job->owner & OWNER_KIND) == OWNER_TASK ? owner_object(job->owner) : NULL;
    uint64_t claim = slot_fill(slot, job);
    if (task != NULL)
        weir__task_queued(task, claim);
    /* The winner of a lost push is likely to push more, and goes undisturbed if this thread makes
     * room for another one, a worker perhaps. try_ stays no longer than it must. */
    void (*lost)(void) = mode == SUBMIT_TRY ? ring_back_off : thread_yield_hint;
    uint64_t position;
    if (unlikely(!push(pool, link - 1, &position, lost))) {
        bool ours = slot_claim(slot, claim);
        slab_give(&pool->slab, own, link);
        if (ours) {
            if (task != NULL)
                weir__task_refused(task);
            return -EAGAIN;
        }
        /* Somebody cancelled it or runs it already: it was accepted, and never in the ring. */
        COUNT(pool, off_ring);
        weir__dropped(pool);
        return 0;
    }
    if (unlikely(load_seqcst(&pool->state) != POOL_OPEN) && !weir__inside(pool) &&
        retract(pool, position, slot, claim)) {
        if (task != NULL)
            weir__task_refused(task);
        return -EPIPE;
    }
    return 0;
}

/* Has the task of the ticket at `position` a context that is over? 0 if that cannot be told. */
static int peek_context(weir_pool *pool, uint64_t position, struct slot *slot, uint64_t claim)
{
    weir_context *context = load_acq(&slot->context);
    uintptr_t nobody = 0;
    if (context == NULL || !cas_seqcst(&pool->peeked, &nobody, (uintptr_t)context))
        return 0;
    int err = 0;
    if (ring_holds(&pool->ring, position) && load_seqcst(&slot->claim) == claim)
        err = weir_context_err(context);
    if (xchg_seqcst(&pool->peeked, 0) != (uintptr_t)context)
        weir_context_unref(context); /* whoever took the task left its reference here */
    return err;
}

bool weir__clear_head(weir_pool *pool, int64_t passed, int64_t *ret_until)
{
    bool cleared = false;
    uint64_t position;
    uint32_t index;
    *ret_until = WEIR_FOREVER;
    while (ring_peek(&pool->ring, &position, &index)) {
        struct slot *slot = &pool->slab.slots[index];
        /* A11, confirmed by ring_take. seq_cst: it is part of a blocked submitter's look at the
         * queue, and a canceller that misses the sleeper must be seen here (taken_out_of_turn). */
        uint64_t claim = load_seqcst(&slot->claim);
        weir_state why = WEIR_TASK_EXPIRED;
        if (!claim_taken(claim)) {
            int64_t start_by = load_rlx(&slot->start_by);
            if (start_by == WEIR_FOREVER || (start_by > passed && start_by > weir_now())) {
                int err = peek_context(pool, position, slot, claim);
                if (err == 0) {
                    *ret_until = start_by;
                    break;
                }
                why = err == -ETIMEDOUT ? WEIR_TASK_EXPIRED : WEIR_TASK_CANCELLED;
            }
        }
        if (!ring_take(&pool->ring, position, index))
            continue;
        cleared = true;
        eventcount_notify(&pool->room, position);
        struct job job;
        if (weir__redeem(pool, index, &job))
            weir__end_unstarted(pool, &job, why);
    }
    return cleared;
}

static void evict_oldest(weir_pool *pool)
{
    uint64_t position;
    uint32_t index;
    struct job job;
    if (!ring_pop(&pool->ring, &position, &index))
        return;
    eventcount_notify(&pool->room, position);
    if (weir__redeem(pool, index, &job))
        weir__end_unstarted(pool, &job, WEIR_TASK_DROPPED);
}

int weir__run_in_place(weir_pool *pool, const struct job *job)
{
    const struct weir__frame *frame = this_thread()->frame;
    unsigned in_place = (frame != NULL ? frame->in_place : 0) + 1;
    if (in_place > MAX_IN_PLACE)
        return -EDEADLK;
    COUNT(pool, off_ring);
    int err = weir__refusal(pool);
    if (unlikely(err !=
                 0)) { /* closed meanwhile: a shutdown need not have counted with this task */
        add_seqcst(&pool->retracted, 1);
        weir__wake_all(&pool->outside);
        return err;
    }
    weir__run(pool, job, in_place);
    return 0;
}

void weir__wake_submitters(struct waiter *waiter)
{
    weir__eventcount_wake_all(container_of(waiter->park, struct eventcount, park));
}

static void cancel_wait(weir_pool *pool, bool napping)
{
    if (napping)
        eventcount_cancel_nap(&pool->room);
    else
        eventcount_cancel(&pool->room);
}

static int wait_for_room(weir_pool *pool, const struct job *job, weir_context *ctx,
                         int64_t deadline)
{
    if (deadline != WEIR_FOREVER && deadline <= weir_now())
        return -ETIMEDOUT;
    int err;
    for (unsigned i = 0; i < YIELDS; i++) {
        weir__thread_yield();
        if ((err = enqueue(pool, job, SUBMIT_POLICY)) != -EAGAIN)
            return err;
    }
    /* Besides the caller's context, that of the group or the pool may end the wait. */
    const weir_context *of_group = (job->owner & OWNER_KIND) == OWNER_GROUP ? job->context : NULL;
    const weir_context *of_pool = pool->has_parent_context ? pool->context : NULL;
    struct waiter watch = {.wake = weir__wake_submitters,
                           .park = &pool->room.park,
                           .contexts = {ctx, of_group, of_pool}};
    bool watching = ctx != NULL || of_group != NULL || of_pool != NULL;
    bool woken = false, napping = pool->ring.capacity >= NAP_FROM;
    int64_t passed = INT64_MIN; /* says the timer: the clock may stand still, or lag behind it */
    deadline = earlier(deadline, weir_context_deadline(ctx));
    deadline = earlier(deadline, weir_context_deadline(of_group));
    deadline = earlier(deadline, weir_context_deadline(of_pool));
    if (watching)
        weir__context_watch(&watch);
    for (;; napping = false) {
        uint32_t key =
            napping ? eventcount_prepare_nap(&pool->room) : eventcount_prepare(&pool->room);
        int64_t until;
        if ((err = weir__refusal(pool)) != 0 || (err = weir_context_err(ctx)) != 0 ||
            (err = weir_context_err(of_group)) != 0 ||
            (err = enqueue(pool, job, SUBMIT_POLICY)) != -EAGAIN)
            break;
        bool again = weir__clear_head(pool, passed, &until);
        if (watching && waiter_woken(&watch)) {
            weir__waiter_add(&watch);
            again = true;
        }
        if (again) {
            cancel_wait(pool, napping);
            continue;
        }
        if (deadline != WEIR_FOREVER && (deadline <= passed || deadline <= weir_now())) {
            err = deadline == weir_context_deadline(of_pool) ? -EPIPE : -ETIMEDOUT;
            break;
        }
        until = earlier(until, deadline);
        if (napping)
            until = earlier(until, weir_after(NAP));
        int slept = napping ? weir__eventcount_nap(&pool->room, key, until)
                            : weir__eventcount_sleep(&pool->room, key, until);
        if (slept == 0)
            woken = true;
        else if (slept == -ETIMEDOUT)
            passed = until;
    }
    cancel_wait(pool, napping);
    if (watching)
        weir__waiter_remove(&watch);
    if (woken && weir__submitters_blocked(pool)) /* whatever became of this one */
        weir__eventcount_wake(&pool->room, load_rlx(&pool->ring.head));
    return err;
}

int weir__submit(weir_pool *pool, const struct job *job, enum submit_mode mode, weir_context *ctx,
                 int64_t deadline)
{
    int err = weir__refusal(pool);
    while (err == 0) {
        int64_t until;
        err = enqueue(pool, job, mode);
        if (likely(err != -EAGAIN))
            break;
        if (weir__clear_head(pool, INT64_MIN, &until)) {
            err = 0;
            continue;
        }
        if (mode == SUBMIT_TRY || pool->overflow == WEIR_OVERFLOW_REJECT)
            break;
        if (pool->overflow == WEIR_OVERFLOW_DROP_OLDEST) {
            evict_oldest(pool);
            err = 0;
            continue;
        }
        if (pool->overflow == WEIR_OVERFLOW_CALLER_RUNS || weir__inside(pool))
            err = weir__run_in_place(pool, job);
        else
            err = wait_for_room(pool, job, ctx, deadline);
        break;
    }
    if (unlikely(err != 0))
        add_rlx(&pool->rejected, 1); /* a count, read at rest */
    return err;
}

/* Plain tasks. */

static int submit(weir_pool *pool, weir_task_fn *fn, void *arg, enum submit_mode mode,
                  weir_context *ctx, int64_t deadline)
{
    if (unlikely(pool == NULL || fn == NULL))
        return -EINVAL;
    if (pool_stale(pool))
        return -ESTALE;
    struct job job = {.fn = fn, .arg = arg, .start_by = WEIR_FOREVER};
    if (likely(ctx == NULL))
        return weir__submit(pool, &job, mode, NULL, deadline);
    int err = weir_context_err(ctx);
    if (err != 0) {
        add_rlx(&pool->rejected, 1);
        return err;
    }
    job.context = weir_context_ref(ctx);
    if (job.context == NULL)
        return -ENOMEM;
    job.start_by = weir_context_deadline(ctx);
    err = weir__submit(pool, &job, mode, ctx, deadline);
    if (err != 0)
        weir__drop_context(pool, &job); /* the task may have been in the queue */
    return err;
}

int weir_pool_submit(weir_pool *pool, weir_task_fn *fn, void *arg)
{
    return submit(pool, fn, arg, SUBMIT_POLICY, NULL, WEIR_FOREVER);
}

int weir_pool_try_submit(weir_pool *pool, weir_task_fn *fn, void *arg)
{
    return submit(pool, fn, arg, SUBMIT_TRY, NULL, WEIR_FOREVER);
}

int weir_pool_submit_until(weir_pool *pool, weir_task_fn *fn, void *arg, weir_context *ctx,
                           int64_t deadline)
{
    return submit(pool, fn, arg, SUBMIT_POLICY, ctx, deadline);
}

static int64_t submit_many(weir_pool *pool, const weir_job jobs[], size_t n, enum submit_mode mode,
                           weir_context *ctx, int64_t deadline)
{
    if (pool == NULL || jobs == NULL)
        return -EINVAL;
    if (pool_stale(pool))
        return -ESTALE;
    int err = 0;
    size_t done = 0;
    while (done < n &&
           (err = submit(pool, jobs[done].fn, jobs[done].arg, mode, ctx, deadline)) == 0)
        done++;
    return done > 0 ? (int64_t)done : err;
}

int64_t weir_pool_submit_many(weir_pool *pool, const weir_job jobs[], size_t n)
{
    return submit_many(pool, jobs, n, SUBMIT_POLICY, NULL, WEIR_FOREVER);
}

int64_t weir_pool_try_submit_many(weir_pool *pool, const weir_job jobs[], size_t n)
{
    return submit_many(pool, jobs, n, SUBMIT_TRY, NULL, WEIR_FOREVER);
}

int64_t weir_pool_submit_many_until(weir_pool *pool, const weir_job jobs[], size_t n,
                                    weir_context *ctx, int64_t deadline)
{
    return submit_many(pool, jobs, n, SUBMIT_POLICY, ctx, deadline);
}
