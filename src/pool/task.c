/* SPDX-License-Identifier: MIT */
/* task.c - the transitions of a handle: see task.h. */
#include "pool/task.h"

#include <errno.h>

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

int weir__task_reserve(struct task *task)
{
    uint32_t word = load_rlx(&task->word); /* the CAS checks it */
    do
        if ((word & SUBMITTING) != 0 || (state_in(word) != WEIR_TASK_IDLE && !state_done(word)))
            return -EBUSY;
    while (!cas_acq(&task->word, &word, word | SUBMITTING)); /* pairs with weir__task_end */
    task->before = word;
    return 0;
}

void weir__task_restore(struct task *task)
{
    (void)xchg_seqcst(&task->word, task->before); /* pairs with first_done */
    weir__task_wake(task);
}

void weir__task_placed(struct sink *sink, uint64_t claim, int64_t not_before)
{
    struct task *task = (struct task *)sink;
    if (unlikely(not_before != 0)) {
        store_rlx(&task->not_before, not_before); /* published by the next step */
        trace_put(claim, NO_POSITION);
    }
    store_rel(&task->claim, claim); /* the times: pairs with claim_if_due */
    if (likely(not_before == 0))
        store_rel(&task->word, WEIR_TASK_QUEUED); /* pairs with task_word */
    else /* a waiter may run it: either it sees the task queued, or the wake that follows sees it */
        (void)xchg_seqcst(&task->word, WEIR_TASK_QUEUED); /* pairs with first_done */
}

void weir__task_withdrawn(struct sink *sink)
{
    struct task *task = (struct task *)sink;
    store_rel(&task->word, SUBMITTING | task->before); /* the last run: pairs with task_word */
}

void weir__task_starts(struct sink *sink, struct start *ret)
{
    struct task *task = (struct task *)sink;
    store_rel(&task->word, WEIR_TASK_RUNNING); /* pairs with task_word */
    *ret = (struct start){&task->cancelled, task->timeout, task->name, 0};
}

bool weir__task_cancelled(struct sink *sink)
{
    return load_rlx(&((struct task *)sink)->cancelled) != 0; /* the caller's lock orders it */
}

void weir__task_end(struct sink *sink, weir_state end, int status)
{
    struct task *task = (struct task *)sink;
    struct reports *reports = task->reports;
    store_rlx(&task->status, status); /* published by the change of state */
    if (task->on_done != NULL)
        task->on_done(task->arg, end, status);
    /* pairs with task_word, first_done, weir__task_reserve */
    (void)xchg_seqcst(&task->word, (uint32_t)end);
    weir__task_wake(task); /* only addresses from here on */
    if (reports != NULL)
        reports->ended(reports, task);
}

const struct sink_ops weir__task_sink = {
    .placed = weir__task_placed,
    .withdrawn = weir__task_withdrawn,
    .starts = weir__task_starts,
    .cancelled = weir__task_cancelled,
    .ended = weir__task_end,
};

/* Observers. */

weir_state weir_task_state(const weir_task *handle)
{
    const struct task *task = (const struct task *)handle;
    return task != NULL ? state_in(task_word(task)) : WEIR_TASK_IDLE;
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
