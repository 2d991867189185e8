/* SPDX-License-Identifier: MIT */
/* task_wait.c - waiting for a handle, or the first of several, and cancelling one.
 *
 * A wait ends when a task is done. Meanwhile it runs one that is queued, if this thread may and it
 * is time, and ends as EXPIRED those whose `start_by` passes. Both by a claim (slot.h): the word of
 * the handle says that it is queued, and `claim` in which slot. If the handle is submitted again
 * meanwhile, to whatever pool, that claim takes nothing. A task of a serial is taken out of its
 * list instead; and to help it is to run the tasks of its serial in their order.
 */
#include "weir/task.h"

#include <errno.h>
#include <limits.h>

#include "base/deadline.h"
#include "pool/help.h"
#include "pool/serial_work.h"

/* What a task is claimed for, and when it may be. */
enum purpose { TO_CANCEL, TO_RUN, TO_EXPIRE };

/* `passed` is a time that has passed, even if the clock does not say so. */
static bool is_time(const struct task *task, enum purpose purpose, int64_t passed)
{
    int64_t from = 0;
    if (purpose == TO_RUN)
        from = load_rlx(&task->not_before);
    else if (purpose == TO_EXPIRE)
        from = load_rlx(&task->start_by);
    return from <= 0 || from <= passed || from <= weir_now();
}

/* False: it is not queued, it is not time, or another thread has it. */
static bool claim_if_due(weir_pool *pool, struct task *task, enum purpose purpose, int64_t passed,
                         struct job *ret)
{
    uint64_t claim = load_acq(&task->claim); /* pairs with weir__task_placed */
    /* After the claim: of one that a submit under way has just written, it is seen here that the
     * task is not yet queued. To end it now would be undone by that submit. */
    if (load_rlx(&task->word) != WEIR_TASK_QUEUED)
        return false;
    struct slot *slot = weir__queue_slot_of(&pool->queue, claim);
    /* The claim may be of another pool, and name a slot there: then this slot has another one, or
     * shows the sink of a job that has the same. */
    if (slot == NULL || slot_look(slot) != claim || !is_time(task, purpose, passed))
        return false;
    slot_read_anywhere(slot, ret);
    return ret->sink == &task->sink && weir__delay_claim(&pool->delay, slot, claim);
}

/* A wait. */
struct task_wait {
    struct task_set set; /* first */
    struct told told;
    bool helps;      /* this thread may run a task that has not started */
    bool deadlock;   /* they wait for this thread */
    int64_t event;   /* when the next one can be run here, or expires */
    int64_t passed;  /* the last such time, says the timer; the clock may lag behind it */
    size_t index;    /* of the task that is done or refused; or n */
    uint32_t word;   /* of that one */
    weir_pool *pool; /* of the claimed one, or NULL */
    struct job job;
};

static struct task *task_at(const struct task_wait *wait, size_t i)
{
    return (struct task *)wait->set.tasks[i];
}

/* The pool that this thread would run the task for, or NULL. It was seen queued. */
static weir_pool *helped_pool(const struct task *task)
{
    weir_pool *pool = task_pool(task);
    return helped(&pool->host) != NULL ? pool : NULL;
}

/* When the next of the queued tasks can be run here, or expires, after what has passed. */
static int64_t next_event(const struct task_wait *wait)
{
    int64_t next = WEIR_FOREVER;
    for (size_t i = 0; i < wait->set.n; i++) {
        const struct task *task = task_at(wait, i);
        if (task == NULL || task_word(task) != WEIR_TASK_QUEUED)
            continue; /* the times are hints: claim_if_due looks again */
        int64_t start_by = load_rlx(&task->start_by);
        int64_t not_before = task_serial(task) == NULL ? load_rlx(&task->not_before) : 0;
        if (start_by > wait->passed)
            next = earlier(next, start_by);
        if (wait->helps && not_before > wait->passed && not_before != 0 &&
            helped_pool(task) != NULL)
            next = earlier(next, not_before);
    }
    return next;
}

/* A task that this worker's own task has just submitted is mostly the newest in its deque. */
static inline bool take_or_claim(struct task_wait *wait, weir_pool *pool, struct task *task)
{
    struct queue *queue = &pool->queue;
    return (deques_used(&queue->deques) && weir__local_take(queue, &task->sink, &wait->job)) ||
           claim_if_due(pool, task, TO_RUN, wait->passed, &wait->job);
}

/* Takes the task to run it, or one that comes before it in its serial. */
static ALWAYS_INLINE bool claim_to_help(struct task_wait *wait, struct task *task)
{
    weir_pool *pool = helped_pool(task);
    struct serial *serial = task_serial(task);
    if (pool == NULL)
        return false;
    if (serial != NULL ? !weir__serial_help(serial, task, &wait->job)
                       : !take_or_claim(wait, pool, task))
        return false;
    wait->pool = pool;
    return true;
}

/* Is one done, or idle again because its submit was refused? */
static bool first_done(struct task_wait *wait)
{
    for (wait->index = 0; wait->index < wait->set.n; wait->index++) {
        const struct task *task = task_at(wait, wait->index);
        /* Pairs with finish, weir__task_restore, weir__task_placed, weir__task_let_in. */
        wait->word = task != NULL ? load_seqcst(&task->word) : WEIR_TASK_QUEUED;
        if (state_done(wait->word) || wait->word == WEIR_TASK_IDLE) {
            tsan_acquire(task);
            return true;
        }
    }
    return false;
}

/* Is this thread inside the task, or inside its serial, where it comes later? */
static bool waits_for_itself(const struct task *task)
{
    struct serial *serial = task_serial(task);
    return weir__inside_sink(&task->sink) ||
           (serial != NULL && weir__inside_serial(serial) && weir__serial_has(serial, task));
}

/* Were the tasks submitted again meanwhile, to a serial that this thread is inside? */
static bool waits_for_nothing_else(const struct task_wait *wait)
{
    if (likely(this_thread()->hold == NULL))
        return false;
    for (size_t i = 0; i < wait->set.n; i++)
        if (wait->set.tasks[i] != NULL && !waits_for_itself(task_at(wait, i)))
            return false;
    return true;
}

static bool done_or_claimed(void *arg)
{
    struct task_wait *wait = arg;
    if (first_done(wait))
        return true;
    if (waits_for_nothing_else(wait))
        return wait->deadlock = true;
    for (size_t i = 0; wait->helps && i < wait->set.n; i++) {
        struct task *task = task_at(wait, i);
        if (task != NULL && task_word(task) == WEIR_TASK_QUEUED && claim_to_help(wait, task))
            return true;
    }
    return next_event(wait) < wait->event; /* a task that repeats has got another time */
}

/* Ends those that are still queued at their `start_by`. */
static void expire(struct task_wait *wait)
{
    for (size_t i = 0; i < wait->set.n; i++) {
        struct task *task = task_at(wait, i);
        if (task == NULL || load_rlx(&task->start_by) > wait->passed) /* claim_if_due looks again */
            continue;
        int64_t now = weir_now(), passed = wait->passed > now ? wait->passed : now;
        struct serial *serial = task_serial(task);
        weir_pool *pool = task_pool(task);
        if (serial != NULL) {
            if (weir__serial_take_out(serial, task, passed, &wait->job))
                weir__serial_end(serial, &wait->job, WEIR_TASK_EXPIRED);
        } else if (claim_if_due(pool, task, TO_EXPIRE, wait->passed, &wait->job)) {
            weir__end_unstarted(&pool->host, &wait->job, WEIR_TASK_EXPIRED);
        }
    }
}

static inline void run_claimed(struct task_wait *wait)
{
    struct serial *serial = task_serial((struct task *)wait->job.sink);
    if (serial != NULL) {
        weir__serial_run_helping(serial, &wait->job);
    } else {
        note_helped(own_times(&wait->pool->host));
        weir__run(&wait->pool->host, &wait->job);
    }
}

/* Until one of the tasks is done. Each event is seen once: what is queued after it, another thread
 * has. */
static int wait_for(struct task_wait *wait, const void *key, weir_context *ctx, int64_t deadline)
{
    int64_t end = earlier(deadline, weir_context_deadline(ctx));
    wait->passed = INT64_MIN;
    for (;;) {
        /* Not when the deadline has passed: a task may take long. */
        wait->helps = deadline == WEIR_FOREVER || deadline > weir_now();
        wait->pool = NULL;
        wait->event = next_event(wait);
        int err = weir__wait_until(wait->told, key, done_or_claimed, wait, ctx, NULL,
                                   earlier(deadline, wait->event));
        if (wait->deadlock)
            return -EDEADLK;
        if (wait->pool != NULL) {
            run_claimed(wait);
        } else if (err == -ETIMEDOUT && wait->event < end && weir_context_err(ctx) == 0) {
            wait->passed = wait->event;
            expire(wait);
        } else if (err != 0 || wait->index < wait->set.n) {
            return err == 0 && wait->word == WEIR_TASK_IDLE ? -EINVAL : err;
        }
    }
}

/* One. */

/* If it is queued and this thread may run it, it need not begin to wait. It can be inside a queued
 * task only in its on_done, which has queued it again, and inside its serial only in a task of one.
 */
static bool run_if_queued(struct task_wait *wait, struct task *task)
{
    const struct self *self = this_thread();
    wait->passed = INT64_MIN;
    if (self->ending != NULL || (self->hold != NULL && task_serial(task) != NULL) ||
        task_word(task) != WEIR_TASK_QUEUED || !claim_to_help(wait, task))
        return false;
    run_claimed(wait);
    return true;
}

int weir_task_wait_until(weir_task *handle, weir_context *ctx, int64_t deadline)
{
    struct task *task = (struct task *)handle;
    if (task == NULL)
        return -EINVAL;
    uint32_t word = task_word(task);
    if (state_in(word) == WEIR_TASK_IDLE)
        return -EINVAL;
    int err = context_err(ctx);
    if (err != 0 || state_done(word))
        return err;
    if (task_inherited(task))
        return -ESTALE;
    struct task_wait wait; /* run_if_queued and wait_for set what they need besides */
    if (ctx == NULL && deadline == WEIR_FOREVER && run_if_queued(&wait, task) &&
        state_done(task_word(task)))
        return 0;
    if (waits_for_itself(task))
        return -EDEADLK;
    wait.set = (struct task_set){&handle, 1};
    wait.told = (struct told){"weir_task_wait", task, &task->sink};
    wait.deadlock = false;
    return wait_for(&wait, task, ctx, deadline);
}

int weir_task_wait(weir_task *task)
{
    return weir_task_wait_until(task, NULL, WEIR_FOREVER);
}

int weir_task_try_wait(weir_task *handle)
{
    const struct task *task = (const struct task *)handle;
    uint32_t word = task != NULL ? task_word(task) : WEIR_TASK_IDLE;
    if (state_in(word) == WEIR_TASK_IDLE)
        return -EINVAL;
    if (state_done(word))
        return 0;
    return task_inherited(task) ? -ESTALE : -EAGAIN;
}

/* Any of several. */

/* Finds a task that is done. Returns 0 with its index, or why there is none: -EAGAIN, or -EDEADLK
 * if the caller is inside each of them. */
static int find_done(weir_task *const tasks[], size_t n, const weir_context *ctx, size_t *ret_index)
{
    size_t found = n, live = 0, own = 0;
    bool stale = false;
    for (size_t i = 0; tasks != NULL && i < n; i++) {
        const struct task *task = (const struct task *)tasks[i];
        if (task == NULL)
            continue;
        uint32_t word = task_word(task);
        if (state_in(word) == WEIR_TASK_IDLE)
            return -EINVAL;
        live++;
        if (state_done(word) && found == n)
            found = i;
        else if (task_inherited(task))
            stale = true;
        else if (waits_for_itself(task))
            own++;
    }
    int err = weir_context_err(ctx);
    if (live == 0)
        return -EINVAL;
    if (err != 0)
        return err;
    if (found == n)
        return stale ? -ESTALE : own == live ? -EDEADLK : -EAGAIN;
    *ret_index = found;
    return 0;
}

/* An index, which an int must hold, or an error. */
static int any_result(int err, size_t index)
{
    return err != 0 ? err : (int)index;
}

int weir_task_wait_any_until(weir_task *const tasks[], size_t n, weir_context *ctx,
                             int64_t deadline)
{
    struct task_wait wait = {.set = {tasks, n}, .told = TELL("weir_task_wait_any", tasks)};
    int err = n <= INT_MAX ? find_done(tasks, n, ctx, &wait.index) : -EINVAL;
    if (err == -EAGAIN)
        err = wait_for(&wait, &weir__any_of_several, ctx, deadline);
    return any_result(err, wait.index);
}

int weir_task_wait_any(weir_task *const tasks[], size_t n)
{
    return weir_task_wait_any_until(tasks, n, NULL, WEIR_FOREVER);
}

int weir_task_try_wait_any(weir_task *const tasks[], size_t n)
{
    size_t index = 0;
    int err = n <= INT_MAX ? find_done(tasks, n, NULL, &index) : -EINVAL;
    return any_result(err == -EDEADLK ? -EAGAIN : err, index);
}

/* Cancelling. */

/* Ends the task if it is still queued. */
static bool cancel_queued(weir_pool *pool, struct task *task)
{
    struct job job;
    struct serial *serial = task_serial(task);
    if (serial != NULL) {
        bool taken = weir__serial_take_out(serial, task, INT64_MAX, &job);
        if (taken)
            weir__serial_end(serial, &job, WEIR_TASK_CANCELLED);
        return taken;
    }
    if (!claim_if_due(pool, task, TO_CANCEL, INT64_MIN, &job))
        return false;
    weir__end_unstarted(&pool->host, &job, WEIR_TASK_CANCELLED);
    return true;
}

int weir_task_cancel(weir_task *handle)
{
    struct task *task = (struct task *)handle;
    uint32_t word = task != NULL ? task_word(task) : WEIR_TASK_IDLE;
    if (state_in(word) == WEIR_TASK_IDLE)
        return -EINVAL;
    if (state_done(word))
        return -EALREADY;
    if (task_inherited(task))
        return -ESTALE;
    weir_pool *pool = task_pool(task);
    if (cancel_queued(pool, task))
        return 0;
    if (state_done(task_word(task)))
        return -EALREADY;
    tsan_release(&task->cancelled);
    (void)or_seqcst(&task->cancelled, 1); /* pairs with weir__own_cancellation */
    weir__delay_fence(&pool->delay); /* it does not wait again from now on, or does so already */
    if (cancel_queued(pool, task))
        return 0;
    weir__follow_tell_task(&task->cancelled);
    return -EINPROGRESS;
}
