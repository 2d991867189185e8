/* SPDX-License-Identifier: MIT */
/* chain.c - a handle that its own on_done submits again, against waits and cancels. */
#include "scenario.h"

enum { STEPS = 3 };

struct chain {
    weir_pool *pool;
    weir_task *task;
    unsigned steps, ends; /* plain: steps follow one another */
    int cancelled;        /* what the canceller got */
    weir_waitgroup over;
};

static int step(weir_context *ctx, void *arg)
{
    (void)ctx;
    ((struct chain *)arg)->steps++;
    return 0;
}

static void go_on(void *arg, weir_state end, int status);

static int submit_step(struct chain *chain)
{
    return weir_pool_submit_task(chain->pool, chain->task, step, chain,
                                 WEIR_TASK_OPTIONS(.on_done = go_on));
}

static void go_on(void *arg, weir_state end, int status)
{
    struct chain *chain = arg;
    (void)status;
    chain->ends++;
    if (end != WEIR_TASK_DONE || chain->ends == STEPS)
        return;
    int err = submit_step(chain); /* if it is accepted, the next step may be under way */
    check(err == 0 || err == -ECANCELED);
}

static struct chain *new_chain(unsigned workers, unsigned capacity)
{
    struct chain *chain = make(sizeof *chain);
    chain->pool = new_pool(WEIR_POOL_OPTIONS(.workers = workers, .capacity = capacity));
    chain->task = make(sizeof *chain->task);
    return chain;
}

static void end_chain(struct chain *chain)
{
    end_pool(chain->pool);
    drop(chain);
}

static void chain_is_freed_after_its_wait(void)
{
    struct chain *chain = new_chain(1, 1);
    explore_begin();
    int err = submit_step(chain);
    check(err == 0);
    err = weir_task_wait(chain->task);
    check(err == 0 && chain->steps == STEPS && chain->ends == STEPS);
    drop(chain->task);
    explore_end();
    end_chain(chain);
}

static int wait_for_chain(weir_context *ctx, void *arg)
{
    struct chain *chain = arg;
    (void)ctx;
    int err = weir_task_wait(chain->task);
    check(err == 0 && chain->steps == STEPS);
    weir_waitgroup_done(&chain->over);
    return 0;
}

static int hold(weir_context *ctx, void *arg)
{
    struct chain *chain = arg;
    (void)ctx;
    return weir_waitgroup_wait(&chain->over);
}

/* One worker waits for the chain; the other may run a step, and then be held until the wait has
 * ended. So the first one has to run the steps that follow. */
static void chain_goes_on_where_it_is_waited_for(void)
{
    struct chain *chain = new_chain(2, 3);
    weir_waitgroup_add(&chain->over, 1);
    explore_begin();
    int err = submit_step(chain);
    check(err == 0);
    err = weir_pool_submit(chain->pool, wait_for_chain, chain);
    check(err == 0);
    err = weir_pool_submit(chain->pool, hold, chain);
    check(err == 0);
    err = weir_pool_drain(chain->pool);
    check(err == 0);
    explore_end();
    drop(chain->task);
    end_chain(chain);
}

static void cancel(void *arg)
{
    struct chain *chain = arg;
    int err = weir_task_cancel(chain->task);
    check(err == 0 || err == -EINPROGRESS || err == -EALREADY);
    chain->cancelled = err;
}

/* That the chain is stopped. */
static bool canceller_was_told(const struct chain *chain)
{
    return chain->cancelled == 0 || chain->cancelled == -EINPROGRESS;
}

static void chain_against_cancel(void)
{
    struct chain *chain = new_chain(1, 1);
    explore_begin();
    int err = submit_step(chain);
    check(err == 0);
    struct vthread *canceller = start(cancel, chain);
    err = weir_task_wait(chain->task);
    check(err == 0);
    finish(canceller);
    explore_end();
    weir_state state = weir_task_state(chain->task);
    check(state == WEIR_TASK_DONE || state == WEIR_TASK_CANCELLED);
    check(chain->ends == chain->steps + (state == WEIR_TASK_CANCELLED));
    check(chain->steps == STEPS || canceller_was_told(chain));
    drop(chain->task);
    end_chain(chain);
}

/* on_done submits again, and once more in vain, while another thread submits the task when it is
 * done: the refusal must not end what that has begun. */
static void go_on_and_fail(void *arg, weir_state end, int status)
{
    struct chain *chain = arg;
    (void)end;
    (void)status;
    chain->ends++;
    int err = submit_step(chain); /* whose on_done, go_on, finds that it was the last */
    check(err == 0);
    err = weir_pool_submit_task(chain->pool, chain->task, step, chain,
                                WEIR_TASK_OPTIONS(.start_by = 1));
    check(err == -EBUSY || err == -ETIMEDOUT);
}

static int last_step(weir_context *ctx, void *arg)
{
    struct chain *chain = arg;
    (void)ctx;
    int err = weir_waitgroup_wait(&chain->over);
    check(err == 0);
    chain->steps++;
    return 0;
}

static void chain_against_a_refusal_and_the_next_submit(void)
{
    struct chain *chain = new_chain(2, 2);
    weir_waitgroup_add(&chain->over, 1);
    chain->ends = STEPS - 2; /* the second end is the last */
    explore_begin();
    int err = weir_pool_submit_task(chain->pool, chain->task, step, chain,
                                    WEIR_TASK_OPTIONS(.on_done = go_on_and_fail));
    check(err == 0);
    err = weir_task_wait(chain->task);
    check(err == 0);
    while ((err = weir_pool_submit_task(chain->pool, chain->task, last_step, chain, NULL)) ==
           -EBUSY)
        weir__thread_yield(); /* the submit in vain holds it for a moment */
    check(err == 0);
    check(weir_task_try_wait(chain->task) == -EAGAIN);
    weir_waitgroup_done(&chain->over);
    err = weir_pool_drain(chain->pool); /* the first on_done still uses it */
    check(err == 0);
    explore_end();
    drop(chain->task);
    end_chain(chain);
}

const struct scenario chain_scenarios[] = {
    {"a chain is freed after its wait", chain_is_freed_after_its_wait, false},
    {"a chain goes on where it is waited for", chain_goes_on_where_it_is_waited_for, false},
    {"a chain against cancel", chain_against_cancel, false},
    {"a chain against a refusal and the next submit", chain_against_a_refusal_and_the_next_submit,
     false},
    {0},
};
