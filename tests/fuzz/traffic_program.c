/* SPDX-License-Identifier: MIT */
/* traffic_program.c - two or three threads call at once, in an order that the input chooses; after
 * all have ended, every accepted task must have had one end, and every refused one none.
 *
 * Every task ends by itself, so that every wait must end: a deadlock is a bug. What a task writes
 * is shown to the explorer as plain memory, so that an order that is too weak is a data race.
 */
#include "input.h"
#include "model.h"
#include "programs.h"
#include "scenario.h"

enum { CALLERS = 3, STEPS = 6, HANDLES = 2, SOON = 2000, JOBS = CALLERS * STEPS * 2 };

struct job {
    unsigned starts, ends;
    bool accepted;
    unsigned payload;  /* written by the submitter and by the task */
    struct job *child; /* submitted by the task, and waited for; or NULL */
};

enum step {
    SUBMIT,
    SUBMIT_CHILD,
    TRY_SUBMIT,
    SUBMIT_UNTIL_SOON,
    SUBMIT_TASK,
    SUBMIT_TASK_FOR_A_WHILE,
    CANCEL_TASK,
    WAIT_FOR_TASK,
    GO_WAITGROUP,
    WAIT_WAITGROUP,
    GO_GROUP,
    WAIT_GROUP,
    CANCEL_CONTEXT,
    DRAIN,
    CLOSE,
    SHUT_DOWN,
    STEP_KINDS
};

struct caller {
    struct vthread *thread;
    unsigned count;
    struct {
        enum step step;
        unsigned handle;
        struct job *job;
    } steps[STEPS];
};

struct traffic {
    weir_pool *pool;
    weir_context *ctx;
    weir_task *handles[HANDLES];
    weir_waitgroup *wg;
    weir_errgroup *group;
    struct caller callers[CALLERS];
    struct job jobs[JOBS];
    unsigned job_count;
};

static struct traffic *traffic;

static void write_payload(struct job *job)
{
    model_plain(&job->payload, sizeof job->payload, true, __builtin_return_address(0));
    job->payload++;
}

static void told(void *arg, weir_state end, int status)
{
    (void)end;
    (void)status;
    ((struct job *)arg)->ends++;
}

static void dropped(weir_task_fn *fn, void *arg, weir_state why, void *user)
{
    (void)fn;
    (void)user;
    told(arg, why, 0);
}

static int run_plain(weir_context *ctx, void *arg);

/* With a handle, on_done is called at the end. */
static int run_task(weir_context *ctx, void *arg)
{
    struct job *job = arg;
    job->starts++;
    write_payload(job);
    (void)weir_context_err(ctx);
    if (job->child != NULL) {
        weir_task handle = WEIR_TASK_INIT;
        write_payload(job->child);
        int err = weir_pool_submit_task(traffic->pool, &handle, run_task, job->child,
                                        WEIR_TASK_OPTIONS(.on_done = told));
        job->child->accepted = err == 0;
        check(err != 0 || weir_task_wait(&handle) == 0);
        write_payload(job->child);
    }
    return 0;
}

static int run_plain(weir_context *ctx, void *arg)
{
    int status = run_task(ctx, arg);
    ((struct job *)arg)->ends++;
    return status;
}

static int submit(enum step step, unsigned handle, struct job *job)
{
    weir_pool *pool = traffic->pool;
    switch (step) {
    case TRY_SUBMIT:
        return weir_pool_try_submit(pool, run_plain, job);
    case SUBMIT_UNTIL_SOON:
        return weir_pool_submit_until(pool, run_plain, job, traffic->ctx, SOON);
    case SUBMIT_TASK:
        return weir_pool_submit_task(pool, traffic->handles[handle], run_task, job,
                                     WEIR_TASK_OPTIONS(.on_done = told));
    case SUBMIT_TASK_FOR_A_WHILE:
        return weir_pool_submit_task(pool, traffic->handles[handle], run_task, job,
                                     WEIR_TASK_OPTIONS(.on_done = told, .start_by = SOON));
    case GO_WAITGROUP:
        return weir_waitgroup_go(traffic->wg, pool, run_plain, job);
    case GO_GROUP:
        return weir_errgroup_go(traffic->group, run_plain, job);
    default:
        return weir_pool_submit(pool, run_plain, job);
    }
}

static void take_step(enum step step, unsigned handle, struct job *job)
{
    calls++;
    switch (step) {
    case CANCEL_TASK:
        (void)weir_task_cancel(traffic->handles[handle]);
        return;
    case WAIT_FOR_TASK: {
        int err = weir_task_wait(traffic->handles[handle]);
        check(err == 0 || err == -EINVAL);
        return;
    }
    case WAIT_WAITGROUP:
        check(weir_waitgroup_wait(traffic->wg) == 0);
        return;
    case WAIT_GROUP:
        (void)!weir_errgroup_wait(traffic->group);
        return;
    case CANCEL_CONTEXT:
        weir_context_cancel(traffic->ctx, 0);
        return;
    case DRAIN:
        check(weir_pool_drain(traffic->pool) == 0);
        return;
    case CLOSE:
        weir_pool_close(traffic->pool);
        return;
    case SHUT_DOWN:
        check(weir_pool_shutdown(traffic->pool, 0, WEIR_FOREVER, NULL) == 0);
        return;
    default:
        write_payload(job);
        job->accepted = submit(step, handle, job) == 0;
    }
}

static void call(void *arg)
{
    struct caller *caller = arg;
    for (unsigned i = 0; i < caller->count; i++)
        take_step(caller->steps[i].step, caller->steps[i].handle, caller->steps[i].job);
}

static struct job *new_job(void)
{
    return &traffic->jobs[traffic->job_count++];
}

static void read_steps(struct caller *caller)
{
    caller->count = input_below(STEPS + 1);
    for (unsigned i = 0; i < caller->count; i++) {
        unsigned byte = input_byte();
        caller->steps[i].step = (enum step)(byte % STEP_KINDS);
        caller->steps[i].handle = byte / STEP_KINDS % HANDLES;
        caller->steps[i].job = new_job();
        if (caller->steps[i].step == SUBMIT_CHILD)
            caller->steps[i].job->child = new_job();
    }
}

static void begin(void)
{
    traffic = make(sizeof *traffic);
    unsigned byte = input_byte();
    int err = weir_context_new(&traffic->ctx, NULL, WEIR_FOREVER);
    check(err == 0);
    for (int i = 0; i < HANDLES; i++)
        traffic->handles[i] = make(sizeof *traffic->handles[i]);
    traffic->wg = make(sizeof *traffic->wg);
    traffic->pool =
        new_pool(WEIR_POOL_OPTIONS(.workers = byte % 2 + 1, .capacity = byte / 2 % 3 + 1,
                                   .overflow = (weir_overflow)(byte / 6 % 4),
                                   .outside_waiters_help = byte / 24 % 2 == 1, .on_drop = dropped));
    err = weir_errgroup_new(&traffic->group, traffic->pool, traffic->ctx,
                            WEIR_ERRGROUP_OPTIONS(.limit = byte / 48 % 3));
    check(err == 0);
    for (int i = 0; i < CALLERS; i++)
        read_steps(&traffic->callers[i]);
}

static void end(void)
{
    weir_errgroup_free(traffic->group);
    int err = weir_pool_shutdown(traffic->pool, WEIR_FOREVER, WEIR_FOREVER, NULL);
    check(err == 0);
    check_counts(traffic->pool);
    weir_pool_counts counts;
    weir_pool_read_counts(traffic->pool, &counts);
    uint64_t accepted = 0;
    for (unsigned i = 0; i < traffic->job_count; i++) {
        struct job *job = &traffic->jobs[i];
        accepted += job->accepted ? 1 : 0;
        check(job->ends == (job->accepted ? 1 : 0) && job->starts <= job->ends);
        write_payload(job);
    }
    check(counts.submitted == accepted);
    weir_pool_free(traffic->pool);
    weir_context_unref(traffic->ctx);
    for (int i = 0; i < HANDLES; i++)
        drop(traffic->handles[i]);
    drop(traffic->wg);
    drop(traffic);
}

void traffic_program(void)
{
    begin();
    explore_begin();
    instant(SOON);
    for (int i = 1; i < CALLERS; i++)
        traffic->callers[i].thread = start(call, &traffic->callers[i]);
    call(&traffic->callers[0]);
    for (int i = 1; i < CALLERS; i++)
        finish(traffic->callers[i].thread);
    explore_end();
    end();
}
