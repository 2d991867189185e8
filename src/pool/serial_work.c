/* SPDX-License-Identifier: MIT */
/* serial_work.c - see serial_state.h for what holds when.
 *
 * A turn runs tasks until there is none, or as many as a batch has, which puts the serial back at
 * the end of the queue: so serials get their turns round robin, and among other tasks. If more than
 * one may run at once, a turn puts the ticket back as soon as it has taken its first task.
 *
 * A thread that waits for a task in the list, or for the serial, helps: it takes part as a turn
 * without a ticket, for one task at a time. The ticket stays in the ring meanwhile. A popper that
 * brings it then finds as many at work as may be, and leaves the place to them.
 */
#include "pool/serial_work.h"

#include "base/unwind.h"
#include "pool/turn.h"

static struct queue *queue_of(const struct serial *serial)
{
    return &serial->pool->queue;
}

/* The list. */

bool weir__inside_serial(const struct serial *serial)
{
    const struct hold *hold = this_thread()->hold;
    while (hold != NULL && hold->serial != serial)
        hold = hold->below;
    return hold != NULL;
}

/* I4. */
static bool lists_locked(const struct serial *serial, const struct task *task)
{
    return load_acq(&task->claim) != 0 && /* pairs with weir__task_placed */
           task_serial(task) == serial && load_rlx(&task->word) == WEIR_TASK_QUEUED;
}

bool weir__serial_has(struct serial *serial, const struct task *task)
{
    mutex_lock(&serial->mutex);
    bool has = lists_locked(serial, task);
    mutex_unlock(&serial->mutex);
    return has;
}

void weir__serial_append_locked(struct serial *serial, const struct job *job)
{
    struct task *task = (struct task *)job->sink;
    struct queue *queue = queue_of(serial);
    task->context = job->context;
    store_rlx(&task->not_before, (int64_t)job->stamp); /* the mutex orders it */
    list_append(&serial->tasks, &task->link);
    store_rlx(&serial->queued, serial_queued(serial) + 1);
    add_rlx(&serial->left, 1); /* shown by the end of the task */
    quiet_in(&queue->quiet, own_tally(queue));
    COUNT(queue, serials, 1);
    weir__task_placed(&task->sink, (uintptr_t)job->fn, 0);
}

static void remove_locked(struct serial *serial, struct task *task, struct job *ret)
{
    struct queue *queue = queue_of(serial);
    list_remove(&task->link);
    store_rlx(&serial->queued, serial_queued(serial) - 1);
    COUNT(queue, serials, -1);
    *ret = (struct job){.fn = (weir_task_fn *)(uintptr_t)load_rlx(&task->claim),
                        .arg = task->arg,
                        .context = task->context,
                        .start_by = load_rlx(&task->start_by),
                        .sink = &task->sink,
                        .stamp = (uint64_t)load_rlx(&task->not_before),
                        .lane = serial->lane};
    store_rlx(&task->claim, 0); /* the mutex orders it, as what is read above */
}

static struct task *first_locked(const struct serial *serial)
{
    return list_empty(&serial->tasks) ? NULL : container_of(serial->tasks.next, struct task, link);
}

/* A task has left the list. */
void weir__serial_give_room(const struct serial *serial)
{
    if (serial->limit != UINT64_MAX)
        weir__wake_one(&serial->limit);
}

/* The place. */

static bool may_run_locked(const struct serial *serial)
{
    return !list_empty(&serial->tasks) && serial->running < serial->parallel;
}

/* This thread would help, for `task` or for another reason. */
static void want_locked(struct serial *serial, const struct task *task)
{
    serial->wanted = true;
    if (task == NULL || serial->noted > NOTED)
        return;
    for (unsigned i = 0; i < serial->noted; i++)
        if (serial->tasks_noted[i] == task)
            return;
    if (serial->noted < NOTED)
        serial->tasks_noted[serial->noted] = task;
    serial->noted++;
}

static void wake_helpers_locked(struct serial *serial)
{
    if (serial->noted > NOTED) /* as if all were: no room to note many, and hardly ever so many */
        for (const struct list *at = serial->tasks.next; at != &serial->tasks; at = at->next)
            weir__task_wake(container_of(at, struct task, link));
    else
        for (unsigned i = 0; i < serial->noted; i++)
            weir__task_wake(serial->tasks_noted[i]);
    serial->wanted = false;
    serial->noted = 0;
    weir__wake_all(&serial->limit);
    weir__wake_all(serial);
}

void weir__serial_settle_locked(struct serial *serial)
{
    struct queue *queue = queue_of(serial);
    bool works = serial->running > 0 || !list_empty(&serial->tasks);
    if (serial->place == KEPT && may_run_locked(serial)) {
        serial->place = TICKET;
        serial->claim = weir__queue_put_turn(queue, serial->lane, &serial->sink);
    } else if (serial->place == LENT && may_run_locked(serial)) {
        if (weir__queue_enter_turn(queue, serial->lane, &serial->sink, &serial->claim))
            serial->place = TICKET;
    } else if (serial->place == TICKET && !works) {
        if (weir__queue_take_turn_back(queue, serial->claim)) {
            weir__queue_leave_turn(queue, serial->lane, false);
            serial->place = NOWHERE;
        }
    } else if (serial->place != NOWHERE && !works) {
        if (serial->place == KEPT)
            weir__queue_leave_turn(queue, serial->lane, true);
        serial->place = NOWHERE;
    }
    if (unlikely(serial->wanted) && may_run_locked(serial))
        wake_helpers_locked(serial);
}

/* Unlocks. If it is drained, and NOWHERE, its owner may free it then. */
static void unlock(struct serial *serial)
{
    bool drained = serial_drained_locked(serial);
    if (drained && serial->emptied != NULL)
        serial->emptied(serial);
    mutex_unlock(&serial->mutex);
    if (drained)
        weir__wake_all(serial); /* only the address */
}

/* Turns. */

void weir__serial_begin_locked(struct serial *serial, struct turn *turn)
{
    serial->running++;
    serial->holders++;
    *turn = (struct turn){{this_thread()->hold, serial}, &serial->pool->host, true};
}

static bool is_cancelled(const struct host *host)
{
    return unlikely(queue_phase(host->queue) == POOL_CANCELLED);
}

static void run_one(struct host *host, const struct job *job)
{
    if (is_cancelled(host))
        weir__end_unstarted(host, job, WEIR_TASK_CANCELLED);
    else
        weir__run(host, job);
}

static bool take_next(struct serial *serial, struct job *ret)
{
    mutex_lock(&serial->mutex);
    struct task *task = first_locked(serial);
    if (task != NULL) {
        remove_locked(serial, task, ret);
        weir__serial_settle_locked(serial);
    }
    mutex_unlock(&serial->mutex);
    if (task != NULL)
        weir__serial_give_room(serial);
    return task != NULL;
}

/* The tasks of this turn are done. True: there are more, and nobody else would run them. */
static bool goes_on(struct turn *turn)
{
    struct serial *serial = turn->hold.serial;
    mutex_lock(&serial->mutex);
    serial->running--;
    weir__serial_settle_locked(serial);
    turn->runs = serial->place == LENT && may_run_locked(serial);
    serial->running += turn->runs;
    mutex_unlock(&serial->mutex);
    return turn->runs;
}

/* The thread dies in a task of a serial that is LENT, and the queue is still full. */
static COLD void drop_rest(struct turn *turn)
{
    struct job job;
    do {
        while (take_next(turn->hold.serial, &job))
            weir__end_unstarted(turn->host, &job, WEIR_TASK_DROPPED);
    } while (goes_on(turn));
}

/* The end of a turn, also if a task ends the thread. */
static void end_turn(struct turn *turn)
{
    struct serial *serial = turn->hold.serial;
    struct queue *queue = turn->host->queue;
    bool stale = host_stale(turn->host);
    if (!stale && unlikely(turn->runs) && goes_on(turn))
        drop_rest(turn);
    this_thread()->hold = turn->hold.below;
    if (unlikely(stale))
        return;
    mutex_lock(&serial->mutex);
    serial->holders--;
    unlock(serial);
    quiet_out(&queue->quiet, own_tally(queue));
}

void weir__serial_run(struct turn *given, const struct job *first, uint32_t most)
{
    struct turn turn ON_LEAVE(end_turn) = *given;
    struct job job;
    this_thread()->hold = &turn.hold;
    if (first != NULL)
        run_one(turn.host, first);
    uint32_t n = first != NULL;
    do {
        for (; (n < most || is_cancelled(turn.host)) && take_next(turn.hold.serial, &job); n++)
            run_one(turn.host, &job);
        n = 0;
        /* end_turn takes it out. NOLINTNEXTLINE(clang-analyzer-core.StackAddressEscape) */
    } while (goes_on(&turn));
}

/* The ticket has come: its place is kept. */
static void have_turn(struct sink *sink, struct host *host, bool back)
{
    struct serial *serial = container_of(sink, struct serial, sink);
    struct turn turn;
    mutex_lock(&serial->mutex);
    weir_assert(serial->place == TICKET);
    serial->place = KEPT;
    if (!back && may_run_locked(serial)) {
        weir__serial_begin_locked(serial, &turn);
        mutex_unlock(&serial->mutex);
        weir__serial_run(&turn, NULL, serial->batch);
        return;
    }
    weir__serial_settle_locked(serial);
    unlock(serial);
    quiet_out(&host->queue->quiet, own_tally(host->queue));
}

const struct sink_ops weir__turn_sink = {.turn = have_turn};

static void task_ended(struct sink *sink, const struct job *job, weir_state end, int status)
{
    struct serial *serial = task_serial((struct task *)sink);
    sub_rlx(&serial->left, 1); /* before it is told: then the owner may free the serial */
    weir__task_end(sink, job, end, status);
}

const struct sink_ops weir__serial_task_sink = {
    .starts = weir__task_starts,
    .cancelled = weir__task_cancelled,
    .ended = task_ended,
};

/* Out of turn. */

bool weir__serial_take_out(struct serial *serial, const struct task *task, int64_t by,
                           struct job *ret)
{
    mutex_lock(&serial->mutex);
    struct task *found = task == NULL ? first_locked(serial) : (struct task *)task;
    bool takes = found != NULL && lists_locked(serial, found) &&
                 load_rlx(&found->start_by) <= by; /* the mutex orders it */
    if (takes) {
        serial->holders++;
        remove_locked(serial, found, ret);
        weir__serial_settle_locked(serial);
    }
    mutex_unlock(&serial->mutex);
    if (takes)
        weir__serial_give_room(serial);
    return takes;
}

/* The cleanup of a hold that is no turn. */
static void let_go(struct hold *hold)
{
    struct serial *serial = hold->serial;
    if (unlikely(serial_stale(serial)))
        return;
    this_thread()->hold = hold->below;
    mutex_lock(&serial->mutex);
    serial->holders--;
    unlock(serial);
}

void weir__serial_end(struct serial *serial, const struct job *job, weir_state why)
{
    struct hold hold ON_LEAVE(let_go) = {this_thread()->hold, serial};
    this_thread()->hold = &hold;
    weir__end_unstarted(&serial->pool->host, job, why);
}

/* Helping. */

bool weir__serial_help_locked(struct serial *serial, const struct task *task, struct job *ret)
{
    struct queue *queue = queue_of(serial);
    if (weir__inside_serial(serial))
        return false;
    if (!may_run_locked(serial)) {
        want_locked(serial, task);
        return false;
    }
    serial->running++;
    serial->holders++;
    quiet_in(&queue->quiet, own_tally(queue)); /* the help, until its end; it is no task */
    COUNT(queue, besides, -1);
    remove_locked(serial, first_locked(serial), ret);
    weir__serial_settle_locked(serial);
    return true;
}

bool weir__serial_help(struct serial *serial, const struct task *task, struct job *ret)
{
    mutex_lock(&serial->mutex);
    bool helps = lists_locked(serial, task) && weir__serial_help_locked(serial, task, ret);
    mutex_unlock(&serial->mutex);
    if (helps)
        weir__serial_give_room(serial);
    return helps;
}

void weir__serial_run_helping(struct serial *serial, const struct job *job)
{
    struct turn turn = {{this_thread()->hold, serial}, &serial->pool->host, true};
    note_helped(own_times(turn.host));
    weir__serial_run(&turn, job, 1);
}
