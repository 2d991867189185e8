/* SPDX-License-Identifier: MIT */
/* task_repeat.c - after a run: does the task run again, and when?
 *
 * A periodic task runs again after a run that returned 0, in the place that it keeps until its end.
 * One that is retried runs again after a run that failed, if its struct repeat says so; it takes a
 * place for the pause only, unless it has a gate, which each of its runs has to pass. Either goes
 * from RUNNING back to QUEUED, by the thread that ran it, under the lock of the places, and only if
 * it was not cancelled. A canceller raises the flag, then takes that lock: either its flag was
 * seen, or it sees the task queued and can claim it.
 */
#include "pool/task_repeat.h"

#include <errno.h>

#include "base/deadline.h"

static bool wait_again(struct task *task, const struct wait_for_time *wait, uint32_t *place,
                       weir_state *ret_end)
{
    weir_pool *pool = task_pool(task); /* constant until the task is submitted again */
    TRACE(note, EVENT_SUBMIT, &pool->host.trace, (uintptr_t)wait->job->fn, 0);
    int err = weir__delay_wait(&pool->delay, wait, place);
    TRACE(note_submit_end, &pool->host.trace, err);
    if (err == -ECANCELED)
        *ret_end = WEIR_TASK_CANCELLED;
    if (err == 0)
        weir__task_wake(task); /* a thread that waits for it may run it; only the address */
    return err == 0;
}

/* Periodic. */

/* The first multiple of the period that is still to come, from when the last run was due. */
static int64_t next_time(struct task *task)
{
    int64_t due = load_rlx(&task->not_before); /* ours */
    int64_t now = weir_now();
    if (now < due) /* the timer said that its time had come; the clock may lag behind it */
        now = due;
    uint64_t late = (uint64_t)now - (uint64_t)due;
    int64_t last = now - (int64_t)(late % (uint64_t)task->period);
    bool fits = last < 0 || task->period < WEIR_FOREVER - last;
    return fits ? last + task->period : WEIR_FOREVER;
}

static bool periodic_again(struct sink *sink, const struct job *job, int status,
                           weir_state *ret_end)
{
    struct task *task = (struct task *)sink;
    if (status != 0)
        return false;
    struct job next = *job;
    next.start_by = WEIR_FOREVER;             /* it has started */
    store_rlx(&task->start_by, WEIR_FOREVER); /* published by weir__task_placed */
    struct wait_for_time wait = {.job = &next, .at = next_time(task), .periodic = true};
    uint32_t place = task->place; /* the task may be gone when it is read */
    return wait_again(task, &wait, &place, ret_end);
}

static void periodic_ended(struct sink *sink, const struct job *job, weir_state end, int status)
{
    struct task *task = (struct task *)sink;
    weir_pool *pool = task_pool(task); /* constant until the task is submitted again */
    weir__delay_give_place(&pool->delay, task->place);
    weir__task_end(sink, job, end, status);
}

const struct sink_ops weir__periodic_sink = {
    .placed = weir__task_placed,
    .withdrawn = weir__task_withdrawn,
    .starts = weir__task_starts,
    .again = periodic_again,
    .cancelled = weir__task_cancelled,
    .ended = periodic_ended,
};

/* Retried. */

static bool retried_again(struct sink *sink, const struct job *job, int status, weir_state *ret_end)
{
    struct task *task = (struct task *)sink;
    weir_pool *pool = task_pool(task); /* constant until the task is submitted again */
    struct repeat *repeat = job->arg;
    struct wait_for_time wait = {.job = job};
    int64_t end_by = earlier(job->start_by, weir_context_deadline(pool->host.context));
    uint32_t place = task->place; /* the task may be gone when it is read; 0: it has no gate */
    if (place != 0)
        weir__delay_gated_ran(&pool->delay, place, status);
    if (status == 0)
        return false;
    store_rlx(&task->cause, status); /* published by the end, or weir__task_placed */
    if (!repeat->again(repeat, status, end_by, &wait.at))
        return false;
    PROBE3(retry, pool, status, wait.at - weir_now());
    TRACE(note, EVENT_RETRY, &pool->host.trace, 0, status);
    COUNT(&pool->queue, besides, -1); /* the pause counts as work, and not as a task */
    if (wait_again(task, &wait, &place, ret_end))
        return true;
    COUNT(&pool->queue, besides, 1);
    return false;
}

static void retried_starts(struct sink *sink, struct start *ret)
{
    weir__task_starts(sink, ret);
    ret->fn = (uintptr_t)((struct task *)sink)->repeat->shown;
}

static void retried_submitted(struct sink *sink, weir_task_fn **ret_fn, void **ret_arg)
{
    const struct task *task = (const struct task *)sink;
    *ret_fn = task->repeat->shown;
    *ret_arg = task->arg;
}

static void retried_ended(struct sink *sink, const struct job *job, weir_state end, int status)
{
    struct task *task = (struct task *)sink;
    weir_pool *pool = task_pool(task); /* constant until the task is submitted again */
    if (task->place != 0)
        weir__delay_gated_ended(&pool->delay, task->place, end <= WEIR_TASK_FAILED, status);
    weir__repeats_give(&pool->repeats, task->repeat);
    weir__task_end(sink, job, end, status);
}

const struct sink_ops weir__retried_sink = {
    .placed = weir__task_placed,
    .withdrawn = weir__task_withdrawn,
    .let_in = weir__task_let_in,
    .starts = retried_starts,
    .submitted = retried_submitted,
    .again = retried_again,
    .cancelled = weir__task_cancelled,
    .ended = retried_ended,
};
