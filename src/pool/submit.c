/* SPDX-License-Identifier: MIT */
/* submit.c - admission, and what happens when the pool is full.
 *
 * A full pool. First the head of the queue is cleared of jobs that have expired or were claimed, or
 * both ends of this worker's own deque.
 * Then: try_ fails; a thread that runs a job of this pool runs the new one inline, because waiting
 * for room could be waiting for itself; else the policy decides.
 *
 * A closed pool takes jobs from its own tasks only, a cancelled one from nobody. A submit that
 * meets the change may have pushed already; then it takes its job back (queue.c).
 */
#include "pool/submit.h"

#include <errno.h>

#include "base/deadline.h"
#include "base/pace.h"
#include "base/unwind.h"
#include "pool/local.h"

COLD bool weir__closed_to_us(const weir_pool *pool)
{
    int phase = queue_phase(&pool->queue);
    return phase > POOL_CLOSED || (phase == POOL_CLOSED && !weir__inside(&pool->host));
}

int weir__refusal(weir_pool *pool)
{
    if (unlikely(queue_phase(&pool->queue) != POOL_OPEN) && weir__closed_to_us(pool))
        return -EPIPE;
    if (unlikely(pool->has_parent_context) && weir_context_err(pool->host.context) != 0)
        return -EPIPE;
    return 0;
}

/* One try to queue a job: 0, -EAGAIN (full) or -EPIPE. `seat`: own_seat, as below. */
static ALWAYS_INLINE int enqueue(weir_pool *pool, struct seat *seat, const struct job *job,
                                 enum submit_mode mode)
{
    struct queue *queue = &pool->queue;
    struct lane *lane = queue->lanes[job->lane];
    struct ticket ticket;
    if (seat != NULL) {
        seat->submits = true;
        int err = seat->local != NULL ? weir__local_put(seat, job) : -EAGAIN;
        if (err != -EAGAIN)
            return err;
        /* Before a slot is taken: with jobs that make jobs the queue is full most of the time. */
        if (lane_full(lane)) {
            weir__queue_found_full(queue);
            return -EAGAIN;
        }
    }
    /* The winner of a lost push is likely to push more, and goes undisturbed if this thread yields,
     * perhaps to a worker. try_ stays no longer than it must. */
    int err = queue_put(queue, lane, seat, job,
                        mode == SUBMIT_TRY ? ring_back_off : thread_yield_hint, &ticket);
    if (err == 0 && unlikely(queue_phase(queue) != POOL_OPEN) && weir__closed_to_us(pool) &&
        weir__queue_retract(queue, &ticket, job)) {
        int64_t
            ignored; /* the workers may have left: the dead ticket is for this thread to clear */
        (void)weir__clear_head(&pool->host, job->lane, INT64_MIN, &ignored);
        return -EPIPE;
    }
    return err;
}

/* Drops the oldest job of the lane. Turns are no jobs to drop: those before it go to the end of the
 * lane. False: serials have all places. */
static COLD bool evict_oldest(weir_pool *pool, uint32_t number)
{
    struct lane *lane = pool->queue.lanes[number];
    struct job job;
    for (uint64_t i = 0; i < lane->ring.capacity; i++) {
        enum taken taken = weir__queue_take(&pool->queue, lane, &job);
        if (taken == TAKEN_DEAD)
            return true;
        if (taken == TAKEN_NONE) /* perhaps all places are kept, for serials that run */
            break;
        if (!job_is_turn(&job)) {
            lane_overflows(lane, LANE_DROPPED);
            weir__end_unstarted(&pool->host, &job, WEIR_TASK_DROPPED);
            return true;
        }
        sink_ops(job.sink)->turn(job.sink, &pool->host, true);
    }
    uint32_t turns = load_rlx(&lane->turns); /* as shown by the ring */
    if (turns >= lane->ring.capacity)
        return false;
    if (turns != 0)
        weir__thread_yield(); /* one that is just being taken or put counts twice: turn.h */
    return true;
}

int weir__run_inline(weir_pool *pool, const struct job *job)
{
    struct queue *queue = &pool->queue;
    if (inline_begin() != 0)
        return -EDEADLK;
    struct tally *own = own_tally(queue);
    quiet_in(&queue->quiet, own); /* then look: quiet.c says why */
    int err = weir__refusal(pool);
    if (likely(err == 0))
        return weir__run_in_place(&pool->host, own_times(&pool->host), job);
    /* Closed meanwhile: a shutdown need not have counted with this job. */
    struct self *self = this_thread();
    TALLY(&queue->quiet.tallies, own, besides, -1);
    quiet_out(&queue->quiet, own);
    inline_end(&self);
    return err;
}

/* Waiting for room. */

struct entry {
    const struct way_in *way; /* or NULL */
    weir_pool *pool;
    const struct job *job;
    weir_context *ctx;
    const weir_context *of_sink, *of_pool; /* besides the caller's, these may end the wait */
    int64_t deadline;                      /* the earliest of all */
};

/* The same, from places that are not on the short way. */
static COLD int enqueue_aside(weir_pool *pool, const struct job *job, enum submit_mode mode)
{
    return enqueue(pool, own_seat(&pool->queue), job, mode);
}

static int put_by(const struct way_in *way, weir_pool *pool, const struct job *job,
                  enum submit_mode mode)
{
    return way != NULL ? way->put(pool, job) : enqueue_aside(pool, job, mode);
}

static int look(void *arg, int64_t passed, int64_t *ret_until)
{
    const struct entry *entry = arg;
    int64_t deadline = entry->deadline;
    int err;
    do {
        if ((err = weir__refusal(entry->pool)) != 0 || (err = weir_context_err(entry->ctx)) != 0 ||
            (err = weir_context_err(entry->of_sink)) != 0 ||
            (err = put_by(entry->way, entry->pool, entry->job, SUBMIT_POLICY)) != -EAGAIN)
            return err;
    } while (weir__clear_head(&entry->pool->host, entry->job->lane, passed, ret_until));
    if (deadline != WEIR_FOREVER && (deadline <= passed || deadline <= weir_now()))
        return deadline == weir_context_deadline(entry->of_pool) ? -EPIPE : -ETIMEDOUT;
    *ret_until = earlier(*ret_until, deadline);
    return -EAGAIN;
}

static COLD int wait_for_room(const struct way_in *way, weir_pool *pool, const struct job *job,
                              weir_context *ctx, int64_t deadline)
{
    struct lane *lane = pool->queue.lanes[job->lane];
    if (deadline != WEIR_FOREVER && deadline <= weir_now())
        return -ETIMEDOUT;
    lane_overflows(lane, LANE_BLOCKED);
    for (unsigned i = 0; i < ROOM_YIELDS; i++) {
        weir__thread_yield();
        int err = put_by(way, pool, job, SUBMIT_POLICY);
        if (err != -EAGAIN)
            return err;
    }
    struct entry entry = {.way = way,
                          .pool = pool,
                          .job = job,
                          .ctx = ctx,
                          .of_sink = lent_context(job->sink),
                          .of_pool = pool->has_parent_context ? pool->host.context : NULL};
    entry.deadline = earlier(deadline, weir_context_deadline(ctx));
    entry.deadline = earlier(entry.deadline, weir_context_deadline(entry.of_sink));
    entry.deadline = earlier(entry.deadline, weir_context_deadline(entry.of_pool));
    struct room_wait wait = {.look = look,
                             .arg = &entry,
                             .contexts = {ctx, entry.of_sink, entry.of_pool},
                             .timed = lane->ring.capacity >= TIMED_FROM,
                             .told = TELL("weir_pool_submit", pool)};
    return weir__room_wait(&lane->room, &wait);
}

/* As weir__clear_head, at both ends of this worker's own deque, if it has one. */
static COLD bool clear_own_deque(weir_pool *pool)
{
    bool cleared = false;
    enum taken taken;
    struct job job;
    while ((taken = weir__local_take_done(&pool->queue, &job)) != TAKEN_NONE) {
        if (taken == TAKEN_JOB)
            weir__end_unstarted(&pool->host, &job, WEIR_TASK_EXPIRED);
        cleared = true;
    }
    return cleared;
}

/* The queue is full. `*ret_again`: it may have room now, and the submit is to be tried again. */
static ALWAYS_INLINE int submit_to_full(const struct way_in *way, weir_pool *pool,
                                        const struct job *job, enum submit_mode mode,
                                        weir_context *ctx, int64_t deadline, bool *ret_again)
{
    int64_t until;
    bool local = deques_used(&pool->queue.deques);
    *ret_again = !ends_deep() && ((local && clear_own_deque(pool)) ||
                                  weir__clear_head(&pool->host, job->lane, INT64_MIN, &until));
    if (*ret_again || mode == SUBMIT_TRY || pool->overflow == WEIR_OVERFLOW_REJECT)
        return -EAGAIN;
    if (pool->overflow == WEIR_OVERFLOW_DROP_OLDEST) {
        if (ends_deep())
            return -EDEADLK;
        *ret_again = evict_oldest(pool, job->lane);
        return -EAGAIN;
    }
    if (pool->overflow == WEIR_OVERFLOW_CALLER_RUNS || weir__inside(&pool->host))
        return way != NULL ? way->run_inline(pool, job) : weir__run_inline(pool, job);
    return wait_for_room(way, pool, job, ctx, deadline);
}

static __attribute__((noinline)) int submit_job(weir_pool *pool, const struct job *job,
                                                enum submit_mode mode, weir_context *ctx,
                                                int64_t deadline, struct seat *seat)
{
    int err = 0;
    bool again = true;
    while (again && (err = weir__refusal(pool)) == 0) {
        again = false;
        err = enqueue(pool, seat, job, mode);
        if (unlikely(err == -EAGAIN))
            err = submit_to_full(NULL, pool, job, mode, ctx, deadline, &again);
    }
    return err;
}

int weir__submit_by(const struct way_in *way, weir_pool *pool, const struct job *job,
                    enum submit_mode mode, weir_context *ctx, int64_t deadline)
{
    int err = 0;
    bool again = true;
    TRACE(note, EVENT_SUBMIT, &pool->host.trace, (uintptr_t)job->fn, 0);
    while (again && (err = weir__refusal(pool)) == 0) {
        again = false;
        err = put_by(way, pool, job, mode);
        if (err == -EAGAIN)
            err = submit_to_full(way, pool, job, mode, ctx, deadline, &again);
    }
    TRACE(note_submit_end, &pool->host.trace, err);
    return err;
}

COLD int weir__count_rejected(weir_pool *pool, uint32_t lane, int err)
{
    enum reject why = REJECT_OTHER;
    switch (err) {
    case -EAGAIN:
        why = REJECT_FULL;
        lane_overflows(pool->queue.lanes[lane], LANE_REJECTED);
        break;
    case -EPIPE:
        why = REJECT_CLOSED;
        break;
    case -ETIMEDOUT:
        why = REJECT_TIMED_OUT;
        break;
    case -ECANCELED:
        why = REJECT_CANCELLED;
        break;
    case -EDEADLK:
        why = REJECT_NESTED;
        break;
    case -EBUSY:
        why = REJECT_BUSY;
        break;
    case -ENOBUFS:
        why = REJECT_UNREAPED;
        break;
    default:
        break;
    }
    add_rlx(&pool->rejected[why], 1); /* a count, read at rest */
    PROBE2(task_reject, pool, err);
    TRACE(note, EVENT_REJECTED, &pool->host.trace, 0, err);
    return err;
}

/* A task of the pool submits `job`. Is it known, by a few looks, that the long way would run it in
 * place? The phase is not looked at again once the job is counted in, as the long way does: the
 * pool is open, so a close is still to come, and what comes after that waits until the pool is
 * quiet, which it is not before the task that asks is through. Sleepers are looked at last: if a
 * worker went to sleep before the queue became full, the long way wakes it. A queue with a gate
 * seems to have one at all times, so there it is false. */
static ALWAYS_INLINE bool runs_in_place(weir_pool *pool, const struct job *job,
                                        enum submit_mode mode)
{
    const struct self *self = this_thread();
    struct queue *queue = &pool->queue;
    return mode == SUBMIT_POLICY &&
           (pool->overflow == WEIR_OVERFLOW_BLOCK || pool->overflow == WEIR_OVERFLOW_CALLER_RUNS) &&
           queue_phase(queue) == POOL_OPEN && !pool->has_parent_context && self->frame != NULL &&
           self->frame->host == &pool->host && self->inline_runs < MAX_INLINE &&
           queue_stays_full(queue, queue->lanes[job->lane]) &&
           !eventcount_has_sleepers(&queue->idle);
}

static ALWAYS_INLINE int run_in_place(weir_pool *pool, const struct job *job,
                                      const struct seat *seat)
{
    (void)inline_begin(); /* runs_in_place has looked */
    quiet_in(&pool->queue.quiet, seat->tally);
    return weir__run_in_place(&pool->host, seat->times, job);
}

/* From a worker that has a deque. */
static __attribute__((noinline)) int submit_local(weir_pool *pool, const struct job *job,
                                                  enum submit_mode mode, weir_context *ctx,
                                                  int64_t deadline, struct seat *seat)
{
    if (deque_full(&seat->local->deque) && runs_in_place(pool, job, mode) &&
        weir__local_stays_full(seat))
        return run_in_place(pool, job, seat);
    int err = weir__refusal(pool);
    if (likely(err == 0))
        err = weir__local_put(seat, job);
    return unlikely(err == -EAGAIN) ? submit_job(pool, job, mode, ctx, deadline, seat) : err;
}

int weir__submit(weir_pool *pool, const struct job *job, enum submit_mode mode, weir_context *ctx,
                 int64_t deadline)
{
    if (trace_on())
        return weir__submit_by(NULL, pool, job, mode, ctx, deadline);
    struct seat *seat = own_seat(&pool->queue);
    if (seat != NULL) {
        seat->submits = true;
        if (seat->local != NULL)
            return submit_local(pool, job, mode, ctx, deadline, seat);
        if (runs_in_place(pool, job, mode))
            return run_in_place(pool, job, seat);
    }
    return submit_job(pool, job, mode, ctx, deadline, seat);
}
