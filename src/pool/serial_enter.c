/* SPDX-License-Identifier: MIT */
/* serial_enter.c - how a task enters a serial.
 *
 * The task is listed in one step with what makes it accepted: that the serial is somewhere already,
 * or that its ticket gets a place, which is asked for under the mutex. If the queue is full, the
 * pool's policy decides as for any job (submit.c), and the step is tried again: by then another
 * thread may have brought the serial in.
 *
 * A pool that was closed meanwhile. A ticket that was just put is made dead again, as a job would
 * be taken back (queue.c). If the serial was somewhere, its turn is still to come, or not yet over.
 */
#include "pool/serial_enter.h"

#include <errno.h>

#include "base/deadline.h"
#include "base/unwind.h"
#include "pool/turn.h"

/* -ENOSPC inside this file: the serial is at its limit. */

static int refusal_locked(const struct serial *serial)
{
    if (serial->closed)
        return -EPIPE;
    return serial_queued(serial) >= serial->limit ? -ENOSPC : 0;
}

/* Gets a place for the serial: 0, -EAGAIN or -EPIPE. */
static int come_in_locked(struct serial *serial)
{
    struct queue *queue = &serial->pool->queue;
    if (!weir__queue_enter_turn(queue, serial->lane, &serial->sink, &serial->claim))
        return -EAGAIN;
    if (unlikely(queue_phase(queue) != POOL_OPEN) && weir__closed_to_us(serial->pool) &&
        weir__queue_take_turn_back(queue, serial->claim)) {
        weir__queue_leave_turn(queue, serial->lane, false);
        return -EPIPE;
    }
    serial->place = TICKET;
    return 0;
}

static int put(weir_pool *pool, const struct job *job)
{
    struct serial *serial = task_serial((const struct task *)job->sink);
    int64_t ignored;
    mutex_lock(&serial->mutex);
    int err = refusal_locked(serial);
    if (err == 0 && serial->place == NOWHERE)
        err = come_in_locked(serial);
    if (err == 0) {
        weir__serial_append_locked(serial, job);
        weir__serial_settle_locked(serial);
    }
    mutex_unlock(&serial->mutex);
    if (unlikely(err == -EPIPE)) /* a dead ticket, perhaps, and the workers may have left */
        (void)weir__clear_head(&pool->host, serial->lane, INT64_MIN, &ignored);
    return err;
}

/* The queue is full, and this thread is to run the task: the serial is lent its thread, unless it
 * has come in meanwhile. */
static int lend_locked(struct serial *serial, const struct job *job, struct turn *ret,
                       bool *ret_lent)
{
    int err = refusal_locked(serial);
    if (err != 0)
        return err;
    *ret_lent = serial->place == NOWHERE;
    if (*ret_lent) {
        serial->place = LENT;
        weir__serial_begin_locked(serial, ret);
    }
    weir__serial_append_locked(serial, job);
    weir__serial_settle_locked(serial);
    return 0;
}

static int run_lent(weir_pool *pool, const struct job *job)
{
    struct serial *serial = task_serial((const struct task *)job->sink);
    struct queue *queue = &pool->queue;
    struct turn turn;
    bool lent = false;
    if (inline_begin() != 0)
        return -EDEADLK;
    struct self *self ON_LEAVE(inline_end) = this_thread();
    (void)self;
    struct tally *own = own_tally(queue);
    quiet_in(&queue->quiet, own); /* the turn, which is no task; then look: quiet.c says why */
    TALLY(&queue->quiet.tallies, own, besides, -1);
    int err = weir__refusal(pool);
    if (err == 0) {
        mutex_lock(&serial->mutex);
        err = lend_locked(serial, job, &turn, &lent);
        mutex_unlock(&serial->mutex);
    }
    if (!lent) {
        quiet_out(&queue->quiet, own);
        return err;
    }
    note_in_place(own_times(&pool->host), serial->lane);
    weir__serial_run(&turn, NULL, serial->batch);
    return 0;
}

static const struct way_in into_serial = {put, run_lent};

/* The limit. */

static bool room_or_over_locked(const struct serial *serial)
{
    return refusal_locked(serial) != -ENOSPC || weir__refusal(serial->pool) != 0;
}

static int wait_for_place(struct serial *serial, weir_context *ctx, int64_t deadline)
{
    const weir_context *of_pool = serial->pool->host.context;
    int64_t until = earlier(deadline, weir_context_deadline(of_pool));
    if (weir__inside_serial(serial) || inline_begin() != 0)
        return -EDEADLK;
    /* What it runs meanwhile may wait in the same way for another serial, and so on. */
    struct self *self ON_LEAVE(inline_end) = this_thread();
    (void)self;
    int err = weir__serial_wait(TELL("weir_serial_submit", serial), serial, &serial->limit,
                                room_or_over_locked, ctx, until);
    return err != 0 && weir__refusal(serial->pool) != 0 ? -EPIPE : err;
}

/* Makes a place below the limit if the first task has expired. */
static bool clear_first(struct serial *serial)
{
    struct job job;
    if (ends_deep() || !weir__serial_take_out(serial, NULL, weir_now(), &job))
        return false;
    weir__serial_end(serial, &job, WEIR_TASK_EXPIRED);
    return true;
}

int weir__serial_enter(struct serial *serial, const struct job *given, enum submit_mode mode,
                       weir_context *ctx, int64_t deadline)
{
    struct job job = *given;
    bool waited = false;
    int err;
    job.stamp = queue_stamp(&serial->pool->queue);
    job.lane = serial->lane;
    while ((err = weir__submit_by(&into_serial, serial->pool, &job, mode, ctx, deadline)) ==
           -ENOSPC) {
        if (clear_first(serial))
            continue;
        waited = mode != SUBMIT_TRY;
        err = waited ? wait_for_place(serial, ctx, deadline) : -EAGAIN;
        if (err != 0)
            break;
    }
    if (err != 0 && waited) /* it may have had the wake of another, and leaves the place to that */
        weir__wake_one(&serial->limit);
    return err;
}
