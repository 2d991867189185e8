/* SPDX-License-Identifier: MIT */
/* run.c - running a task, and its one end.
 *
 * Who owns a job (by the ticket or by a claim) ends it here, once. The order at the end of a task:
 * the counts; on_done or on_drop; the context's reference; then the change of state that lets the
 * waiter go, after which the task, waitgroup or group is not touched; then `finished`, by which
 * drain and shutdown know that.
 *
 * A task that ends its thread unwinds the stack through weir__run: the frame's cleanup gives each
 * task that was running its end, FAILED with -ECANCELED.
 *
 * Contexts of queued tasks and who peeks at them. A submitter that finds the pool full wants to
 * know whether the task at the head is over, but has no reference on its context: the task may be
 * taken and ended under its eyes. It announces the context in pool->peeked and then makes sure that
 * the task is still queued. Who took a task and drops its reference looks at `peeked` afterwards;
 * if it finds the context there, it leaves its reference behind (peeked + 1), and the peeker drops
 * it. The take (ring or claim CAS), the announcement and both looks are sequentially consistent. So
 * nobody waits for anybody. The members of a group borrow its context, which lives until the last
 * of them has ended; who ends one and finds the context in `peeked` leaves a new reference there.
 */
#include "pool/pool.h"

#include <errno.h>

#include "base/unwind.h"

bool weir__inside(const weir_pool *pool)
{
    if (own_worker(pool) != NULL)
        return true;
    for (const struct weir__frame *frame = this_thread()->frame; frame != NULL;
         frame = frame->below)
        if (frame->pool == pool)
            return true;
    return false;
}

bool weir__inside_owner(owner o)
{
    for (const struct weir__frame *frame = this_thread()->frame; frame != NULL;
         frame = frame->below)
        if (frame->job->owner == o)
            return true;
    return false;
}

void weir__drop_context(weir_pool *pool, const struct job *job)
{
    if (likely(job->context == NULL))
        return;
    bool borrowed = (job->owner & OWNER_KIND) == OWNER_GROUP;
    uintptr_t peeked = (uintptr_t)job->context;
    if (unlikely(load_seqcst(&pool->peeked) == peeked)) {
        weir_context *left = borrowed ? weir_context_ref(job->context) : job->context;
        if (!cas_seqcst(&pool->peeked, &peeked, peeked + 1))
            weir_context_unref(left);
    } else if (!borrowed) {
        weir_context_unref(job->context);
    }
}

/* Told to on_drop: a task of the user's without a handle that never starts. */
static bool dropped(const weir_pool *pool, const struct job *job, weir_state end)
{
    if (end <= WEIR_TASK_FAILED || pool->on_drop == NULL)
        return false;
    return (job->owner & OWNER_KIND) != OWNER_GROUP ||
           !((const struct membership *)owner_object(job->owner))->internal;
}

static void count_finished(weir_pool *pool)
{
    struct weir__worker *worker = own_worker(pool);
    if (likely(worker != NULL)) /* who waits for quiet is woken when the worker goes idle */
        COUNT_OWN(worker, finished);
    else
        weir__task_finished_outside(pool);
}

static void end(weir_pool *pool, const struct job *job, weir_state end, int status)
{
    COUNT(pool, ends[end - WEIR_TASK_DONE]);
    void *object = owner_object(job->owner);
    unsigned kind = job->owner & OWNER_KIND;
    if (kind == OWNER_TASK && unlikely(weir__task_repetition(object) != 0))
        weir__repetition_end(pool, weir__task_repetition(object));
    if (kind == OWNER_TASK)
        weir__task_tell(object, end, status);
    else if (dropped(pool, job, end))
        pool->on_drop(job->fn, job->arg, end, pool->user);
    weir__drop_context(pool, job);
    switch (kind) {
    case OWNER_TASK:
        weir__task_over(object, end);
        break;
    case OWNER_WAITGROUP:
        weir__waitgroup_ended(object, pool);
        break;
    case OWNER_GROUP:
        ((struct membership *)object)->ended(object, end, status);
        break;
    default:
        break;
    }
    count_finished(pool);
}

void weir__end_unstarted(weir_pool *pool, const struct job *job, weir_state why)
{
    end(pool, job, why,
        why == WEIR_TASK_CANCELLED ? -ECANCELED : (why == WEIR_TASK_EXPIRED ? -ETIMEDOUT : -EPIPE));
}

bool weir__take_out_of_turn(weir_pool *pool, struct slot *slot, uint64_t claim)
{
    COUNT(pool, taken); /* first: the ticket may be dropped and counted at once */
    if (!slot_claim(slot, claim)) {
        weir__dropped(pool);
        return false;
    }
    /* A11, by the claim. If its ticket was in the queue, the slot may be another task's by now. */
    if (load_rlx(&slot->timer) != 0 && weir__timer_left(pool, slot, claim)) {
        weir__dropped(pool); /* there is no ticket */
        return true;
    }
    /* Its ticket may be at the head: then a blocked submitter can clear it. */
    eventcount_notify(&pool->room, load_rlx(&pool->ring.head));
    return true;
}

void weir__dropped(weir_pool *pool)
{
    COUNT(pool, dropped);
    if (own_worker(pool) == NULL)
        weir__wake_all(&pool->outside); /* a worker does that when it goes idle */
}

/* After a run: back into the timer. Then somebody else may have the task, and end it. */
static COLD void repeat(weir_pool *pool, const struct job *job, int status)
{
    weir_state why;
    if (weir__timer_repeat(pool, job, status, &why))
        count_finished(pool);
    else
        end(pool, job, why, why == WEIR_TASK_CANCELLED ? -ECANCELED : status);
}

/* Pops the frame and ends its task, or this run of it. */
static void leave(struct weir__frame *frame, int status)
{
    this_thread()->frame = frame->below;
    weir__context_end(&frame->context);
    const struct job *job = frame->job;
    if ((job->owner & OWNER_KIND) == OWNER_TASK &&
        unlikely(weir__task_repeats(owner_object(job->owner), status))) {
        repeat(frame->pool, job, status);
        return;
    }
    end(frame->pool, job, status == 0 ? WEIR_TASK_DONE : WEIR_TASK_FAILED, status);
}

static void check_fork(const weir_pool *pool)
{
    if (pool_stale(pool))
        weir__misuse("fork",
                     "a task that forked must not return, nor end its thread, in the child.");
}

static void leave_if_dying(struct weir__frame *frame)
{
    if (likely(frame->returned))
        return;
    check_fork(frame->pool);
    leave(frame, -ECANCELED);
}

static void begin_context(struct weir__frame *frame)
{
    const struct job *job = frame->job;
    atomic(uint32_t) *flag = NULL;
    int64_t deadline = WEIR_FOREVER;
    if ((job->owner & OWNER_KIND) == OWNER_TASK) {
        void *task = owner_object(job->owner);
        flag = weir__task_flag(task);
        int64_t timeout = weir__task_timeout(task);
        if (timeout != 0)
            deadline = weir_after(timeout);
    }
    weir__context_begin(&frame->context, job->context, frame->pool->context, deadline, flag);
}

void weir__run(weir_pool *pool, const struct job *job, unsigned in_place)
{
    if (unlikely(job->start_by != WEIR_FOREVER && job->start_by <= weir_now())) {
        weir__end_unstarted(pool, job, WEIR_TASK_EXPIRED);
        return;
    }
    struct self *self = this_thread();
    struct weir__frame frame ON_LEAVE(leave_if_dying);
    frame.below = self->frame;
    frame.pool = pool;
    frame.job = job;
    frame.in_place = in_place;
    frame.returned = true;
    /* Its own flag does not count here: who raised it was told that the task has started. */
    int err = context_err(job->context);
    if (err == 0)
        err = context_err(pool->context);
    if (unlikely(err != 0)) {
        weir__end_unstarted(pool, job, err == -ETIMEDOUT ? WEIR_TASK_EXPIRED : WEIR_TASK_CANCELLED);
        return;
    }
    if ((job->owner & OWNER_KIND) == OWNER_TASK)
        weir__task_running(owner_object(job->owner));
    begin_context(&frame);
    frame.returned = false;
    self->frame = &frame;
    int status = job->fn(&frame.context, job->arg);
    frame.returned = true;
    check_fork(pool);
    leave(&frame, status);
}
