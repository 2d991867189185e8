/* SPDX-License-Identifier: MIT */
/* task.c - the transitions of a handle: see task.h. */
#include "pool/task.h"

#include <errno.h>
#include <string.h>

#include "base/unwind.h"

/* Waking. */

const char weir__any_of_several;

static bool is_among(const struct waiter *waiter, const void *task)
{
    const struct task_set *set = waiter->arg;
    for (size_t i = 0; i < set->n; i++)
        if (set->tasks[i] == task)
            return true;
    return false;
}

void weir__task_wake(const void *task)
{
    weir__wake_all(task);
    weir__wake_matching(&weir__any_of_several, is_among, task);
}

/* Transitions. */

/* An on_done. */
struct telling {
    struct ending ending; /* first */
    struct task *task;
    weir_state end;
    bool goes_on;            /* it has submitted the task again: this end is over */
    struct reports *reports; /* that this end is to be told to */
    struct reports *handed;  /* to the next step */
};

/* The one of this thread that `task` is at. */
static struct telling *own_telling(const struct task *task)
{
    struct ending *ending = this_thread()->ending;
    while (ending != NULL && ending->sink != &task->sink)
        ending = ending->below;
    return (struct telling *)ending;
}

/* False: another thread submits it, or it is on its way, unless it goes on. */
static inline bool take_handle(struct task *task, bool goes_on)
{
    uint32_t word = load_rlx(&task->word); /* the CAS checks it */
    do
        if (!goes_on &&
            ((word & SUBMITTING) != 0 || (state_in(word) != WEIR_TASK_IDLE && !state_done(word))))
            return false;
    while (!cas_acq(&task->word, &word, word | SUBMITTING)); /* pairs with finish */
    tsan_acquire(task);
    task->before = word;
    return true;
}

/* By a thread that is in an on_done. */
static COLD int reserve_in_on_done(struct task *task, bool *ret_goes_on)
{
    struct telling *own = own_telling(task);
    /* The place of one that was dropped is another's. */
    bool goes_on = own != NULL && !own->goes_on && own->end != WEIR_TASK_DROPPED;
    if (!take_handle(task, goes_on))
        return -EBUSY;
    *ret_goes_on = goes_on;
    if (!goes_on)
        return 0;
    own->goes_on = true;
    if (own->end == WEIR_TASK_CANCELLED)
        store_rlx(&task->cancelled, 0);          /* that is what the caller was told */
    if (likely(load_rlx(&task->cancelled) == 0)) /* one that comes later reaches the next step */
        return 0;
    weir__task_restore(task);
    return -ECANCELED;
}

int weir__task_reserve(struct task *task, bool *ret_goes_on)
{
    if (unlikely(this_thread()->ending != NULL))
        return reserve_in_on_done(task, ret_goes_on);
    *ret_goes_on = false;
    return take_handle(task, false) ? 0 : -EBUSY;
}

bool weir__task_take_over(const struct task *task, const struct reports *reports)
{
    struct telling *own = own_telling(task);
    if (reports == NULL || own->reports != reports)
        return false;
    own->handed = own->reports;
    own->reports = NULL;
    return true;
}

void weir__task_restore(struct task *task)
{
    struct telling *own = unlikely(this_thread()->ending != NULL) ? own_telling(task) : NULL;
    bool went_on = own != NULL && own->goes_on && !state_done(task->before);
    (void)xchg_seqcst(&task->word, task->before); /* pairs with first_done */
    if (went_on) {
        own->goes_on = false;
        if (own->handed != NULL)
            own->reports = own->handed;
        own->handed = NULL;
    }
    weir__task_wake(task);
}

void weir__task_placed(struct sink *sink, uint64_t claim, int64_t not_before)
{
    struct task *task = (struct task *)sink;
    if (unlikely(not_before != 0)) {
        store_rlx(&task->not_before, not_before); /* published by the next step */
        trace_put(claim, NO_POSITION);
    }
    store_rel(&task->claim, claim); /* the times: pairs with claim_if_due, lists_locked */
    if (likely(not_before == 0 && this_thread()->ending == NULL))
        store_rel(&task->word, WEIR_TASK_QUEUED); /* pairs with task_word */
    else /* a waiter may run it: either it sees the task queued, or the wake that follows sees it */
        (void)xchg_seqcst(&task->word, WEIR_TASK_QUEUED); /* pairs with first_done */
}

void weir__task_withdrawn(struct sink *sink)
{
    struct task *task = (struct task *)sink;
    store_rel(&task->word, SUBMITTING | task->before); /* the last run: pairs with task_word */
}

void weir__task_let_in(struct sink *sink, int64_t now)
{
    struct task *task = (struct task *)sink;
    store_rlx(&task->not_before, now);                /* published by the next step */
    (void)xchg_seqcst(&task->word, WEIR_TASK_QUEUED); /* pairs with first_done */
    weir__task_wake(task); /* a thread that waits for it may run it; it waits for the lock */
}

void weir__task_starts(struct sink *sink, struct start *ret)
{
    struct task *task = (struct task *)sink;
    store_rel(&task->word, WEIR_TASK_RUNNING); /* pairs with task_word */
    *ret = (struct start){.cancelled = &task->cancelled,
                          .timeout = task->timeout,
                          .name = task->name,
                          .stuck_after = (int64_t)task->stuck_after};
}

bool weir__task_cancelled(struct sink *sink)
{
    return load_rlx(&((struct task *)sink)->cancelled) != 0; /* the caller's lock orders it */
}

/* The task is done, unless it goes on. From the exchange on only its address is used. */
static void finish(struct task *task, weir_state end, struct reports *reports, bool goes_on)
{
    tsan_release(task);
    if (!goes_on) /* pairs with task_word, first_done, take_handle */
        (void)xchg_seqcst(&task->word, (uint32_t)end);
    weir__task_wake(task);
    if (reports != NULL && goes_on)
        reports->give_back(reports);
    else if (reports != NULL)
        reports->ended(reports, task);
}

/* The cleanup of an on_done. */
static void finish_told(struct telling *telling)
{
    ending_pop(&telling->ending);
    finish(telling->task, telling->end, telling->reports, telling->goes_on);
}

static __attribute__((noinline)) void call_on_done(struct task *task, weir_state end, int status)
{
    const weir_pool *pool = task_pool(task); /* constant until it is submitted again */
    struct telling telling ON_LEAVE(finish_told);
    telling.task = task;
    telling.end = end;
    telling.goes_on = false;
    telling.reports = task->reports;
    telling.handed = NULL;
    ending_push(&telling.ending, &pool->host, &task->sink);
    task->on_done(task->arg, end, status);
}

void weir__task_end(struct sink *sink, const struct job *job, weir_state end, int status)
{
    (void)job;
    struct task *task = (struct task *)sink;
    store_rlx(&task->status, status); /* published by the change of state */
    if (task->on_done != NULL)
        call_on_done(task, end, status);
    else
        finish(task, end, task->reports, false);
}

const struct sink_ops weir__task_sink = {
    .placed = weir__task_placed,
    .withdrawn = weir__task_withdrawn,
    .let_in = weir__task_let_in,
    .starts = weir__task_starts,
    .cancelled = weir__task_cancelled,
    .ended = weir__task_end,
};

static void gated_ended(struct sink *sink, const struct job *job, weir_state end, int status)
{
    struct task *task = (struct task *)sink;
    weir_pool *pool = task_pool(task); /* constant until the task is submitted again */
    weir__delay_gated_ended(&pool->delay, task->place, end <= WEIR_TASK_FAILED, status);
    weir__task_end(sink, job, end, status);
}

const struct sink_ops weir__gated_sink = {
    .placed = weir__task_placed,
    .withdrawn = weir__task_withdrawn,
    .let_in = weir__task_let_in,
    .starts = weir__task_starts,
    .cancelled = weir__task_cancelled,
    .ended = gated_ended,
};

void weir_task_init(weir_task *task)
{
    enum { HALF = sizeof *task / 2 }; /* all of it at once would be cleared by `rep stos` */
    if (task == NULL)
        return;
    memset(task, 0, HALF);
    memset((char *)task + HALF, 0, HALF);
}

/* Observers. */

weir_state weir_task_state(const weir_task *handle)
{
    const struct task *task = (const struct task *)handle;
    return task != NULL ? state_in(task_word(task)) : WEIR_TASK_IDLE;
}

const char *weir_state_name(weir_state state)
{
    static const char *const names[] = {"idle",   "queued",    "running", "done",
                                        "failed", "cancelled", "expired", "dropped"};
    return (unsigned)state < sizeof names / sizeof names[0] ? names[state] : "unknown";
}

int weir_task_status(const weir_task *handle)
{
    const struct task *task = (const struct task *)handle;
    uint32_t word = task != NULL ? task_word(task) : WEIR_TASK_IDLE;
    if (state_in(word) == WEIR_TASK_IDLE)
        return -EINVAL;
    return state_done(word) ? load_rlx(&task->status) : -EINPROGRESS;
}

int weir_task_cause(const weir_task *handle)
{
    const struct task *task = (const struct task *)handle;
    /* Relaxed, both: nobody learns here how far the task is. A thread that knows sees the cause. */
    if (task == NULL || state_in(load_rlx(&task->word)) == WEIR_TASK_IDLE)
        return 0;
    return load_rlx(&task->cause);
}
