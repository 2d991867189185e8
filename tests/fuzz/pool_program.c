/* SPDX-License-Identifier: MIT */
/* pool_program.c - one thread calls everything that works on a pool; pool_model.h says what each
 * call returns, and what every task, waitgroup, errgroup, context and count must be afterwards.
 *
 * The workers' schedule is the input's: none may change an answer. Time passes only in calls that
 * wait. This file is compiled without the explorer's checks of plain accesses, so that the thread
 * that calls may look at what the tasks have noted.
 */
#include <string.h>

#include "input.h"
#include "pool_model.h"
#include "programs.h"
#include "scenario.h"
#include "steps.h"

enum { CALLS = 32, CALLER_CONTEXTS = 4, MOST_JOBS_A_STEP = 4 };
enum { MOST_CHILDREN = MOST_JOBS_A_STEP - 1 };

struct world {
    struct pool_model model;
    weir_pool *pool;
    weir_context *contexts[MAX_CONTEXTS]; /* by the index that the model gives; some are NULL */
    int caller_contexts[CALLER_CONTEXTS];
    int caller_context_count;
    weir_task *handles[MAX_HANDLES];
    weir_waitgroup *waitgroups[MAX_WAITGROUPS];
    weir_errgroup *groups[MAX_GROUPS];
    weir_waitgroup gates[MAX_JOBS];
    int seen_started[MAX_JOBS];
    unsigned seen_started_count;
    unsigned runs_on_worker; /* of jobs with children, which only a single worker has */
};

static struct world *world;

/* Tasks. */

static int index_of(const struct job *job)
{
    return (int)(job - world->model.jobs);
}

static void note_end(struct job *job, weir_state end, int status)
{
    job->seen_ends++;
    job->seen_end = end;
    job->seen_status = status;
}

static void told(void *arg, weir_state end, int status)
{
    note_end(arg, end, status);
}

static void dropped(weir_task_fn *fn, void *arg, weir_state why, void *user)
{
    (void)fn;
    check(user == world);
    note_end(arg, why,
             why == WEIR_TASK_CANCELLED ? -ECANCELED
                                        : (why == WEIR_TASK_EXPIRED ? -ETIMEDOUT : -EPIPE));
}

static int run_job(weir_context *ctx, void *arg)
{
    struct job *job = arg, *child = &world->model.jobs[job->child];
    bool on_worker = weir_pool_current() != NULL && world->runs_on_worker == 0;
    int status = job->code;
    job->seen_starts++;
    world->seen_started[world->seen_started_count++] = index_of(job);
    world->runs_on_worker += job->child != 0 && on_worker;
    if (job->kind == SUBMIT) {
        for (int i = 0; i < job->children; i++)
            child[i].seen_submit_err = weir_pool_submit(world->pool, run_job, &child[i]);
    } else if (job->kind == HELP) {
        weir_task handle = WEIR_TASK_INIT;
        child->seen_submit_err = weir_pool_submit_task(world->pool, &handle, run_job, child,
                                                       WEIR_TASK_OPTIONS(.on_done = told));
        check(weir_task_wait(&handle) == (child->seen_submit_err == 0 ? 0 : -EINVAL));
    } else if (job->kind == HOLD && on_worker) {
        check(weir_waitgroup_wait(&world->gates[index_of(job)]) == 0);
    } else if (job->kind == AWAIT && weir_pool_current() != NULL) {
        check(weir_context_wait_until(ctx, WEIR_FOREVER) == 0);
        status = weir_context_err(ctx);
    }
    world->runs_on_worker -= job->child != 0 && on_worker;
    if (job->owner != HANDLE)
        note_end(job, status == 0 ? WEIR_TASK_DONE : WEIR_TASK_FAILED, status);
    return status;
}

static struct job *add_job(enum kind kind, enum owner_kind owner, int object)
{
    struct job *job = &world->model.jobs[++world->model.job_count];
    *job = (struct job){.kind = kind,
                        .owner = owner,
                        .object = object,
                        .lane = world->model.lanes - 1,
                        .context = NO_CONTEXT,
                        .start_by = WEIR_FOREVER,
                        .over_at = WEIR_FOREVER};
    weir_waitgroup_add(&world->gates[index_of(job)], 1);
    return job;
}

/* Of a job that submits, or waits for its one child. In a pool of local order they may hold. */
static void add_children(struct job *job, unsigned n)
{
    unsigned holds = world->model.local != 0 && job->kind == SUBMIT ? input_byte() : 0;
    job->child = index_of(job) + 1;
    job->children = (int)n;
    for (unsigned i = 0; i < n; i++)
        (void)add_job((holds >> i & 1) != 0 ? HOLD : RETURN, job->kind == HELP ? HANDLE : PLAIN,
                      MAX_HANDLES);
}

/* A job that the next bytes describe. */
static struct job *read_job(enum owner_kind owner, int object)
{
    const struct pool_model *model = &world->model;
    unsigned byte = input_byte();
    enum kind kind = (enum kind)(byte % KINDS);
    bool alone = model->workers == 1 && (!model->helps || owner <= HANDLE);
    if (!alone && (kind == SUBMIT || kind == HELP))
        kind = RETURN;
    /* Its eviction would end the others, and a worker be free in the middle of a submit; or a
     * member that fails as a helper runs it would, and the worker goes on beside the helper. */
    if (owner == GROUP && kind == AWAIT &&
        (model->overflow == WEIR_OVERFLOW_DROP_OLDEST || model->helps))
        kind = HOLD;
    struct job *job = add_job(kind, owner, object);
    if (owner <= HANDLE)
        job->lane = byte / (3 * KINDS) % model->lanes;
    job->code = -(int)(byte / KINDS % 3);
    if (owner == GROUP && kind == RETURN && model->workers > 1)
        job->code = 0; /* which of two fails first is open */
    if (kind == SUBMIT || kind == HELP)
        add_children(job, kind == SUBMIT ? 1 + byte / (9 * KINDS) % MOST_CHILDREN : 1);
    return job;
}

/* Contexts. */

static int any_context(void)
{
    unsigned i = input_below(CALLER_CONTEXTS + 1);
    return i < (unsigned)world->caller_context_count ? world->caller_contexts[i] : NO_CONTEXT;
}

static weir_context *context_at(int index)
{
    return index != NO_CONTEXT ? world->contexts[index] : NULL;
}

static void new_context(void)
{
    int64_t deadline = input_below(2) == 0 ? WEIR_FOREVER : weir_after(input_duration());
    if (world->caller_context_count == CALLER_CONTEXTS)
        return;
    int parent = any_context(), index = context_add(parent, deadline, weir_now());
    int err = weir_context_new(&world->contexts[index], context_at(parent), deadline);
    check(err == 0);
    world->caller_contexts[world->caller_context_count++] = index;
}

static bool is_live_group(const struct group_model *group)
{
    return group->active > 0 && context_err(group->context) == 0;
}

/* The cancellation of a pool makes all members of a group give up. Those of two workers end in any
 * order, and only the first fails the group for certain. If the group is cancelled through the same
 * ancestor, a member may give up before that, and has failed, or after it. */
static void cancel_context(void)
{
    struct pool_model *model = &world->model;
    int index = any_context(), before = context_err(model->context);
    bool live[MAX_GROUPS];
    for (int i = 0; i < MAX_GROUPS; i++)
        live[i] = is_live_group(&model->groups[i]);
    weir_context_cancel(context_at(index), -EIO);
    if (index == NO_CONTEXT)
        return;
    context_cancelled(index, -EIO, weir_now());
    for (int i = 0; i < MAX_GROUPS && context_err(model->context) != before; i++) {
        struct group_model *group = &model->groups[i];
        bool several = model->workers > 1 && group->active > 1;
        if (live[i] && (several || context_err(group->context) != 0))
            group->vague = true;
    }
}

/* For a call that waits: now and then a time that has passed. */
static int64_t any_deadline(void)
{
    unsigned byte = input_below(4);
    return byte == 0 ? weir_now() - 1 : weir_after(input_duration());
}

/* Submitting. */

/* Will a task that is queued submit another, or fail in the group that the job is for? */
static bool has_rival(const struct job *job)
{
    const struct pool_model *model = &world->model;
    const struct lane_model *lane = &model->lane[job->lane]; /* the only one where it is asked */
    for (unsigned i = 0; i < lane->queued; i++) {
        const struct job *other = &model->jobs[lane->queue[i]];
        bool fails = other->owner == GROUP && other->code != 0;
        if (other->state == WEIR_TASK_QUEUED &&
            (other->child != 0 || (fails && job->owner == GROUP && job->object == other->object)))
            return true;
    }
    return false;
}

/* How the next call submits the job. Never in a way that would wait for ever; nor would it wait
 * while a rival may start: which of the two is quicker is open. Nor for room in one of several
 * lanes: how many of those in the others start before the job is a matter of who is quicker. */
static enum how any_how(const struct job *job, bool at_limit)
{
    const struct pool_model *model = &world->model;
    enum how how = (enum how)input_below(3);
    bool room =
        model->lane[job->lane].queued < model->capacity || model->overflow != WEIR_OVERFLOW_BLOCK;
    if (room && !at_limit)
        return how;
    if (model->lanes > 1 || has_rival(job))
        return TRY;
    return how == PLAINLY ? UNTIL : how;
}

/* Takes a context for the call into account: the code that refuses it, or 0. */
static int use_context(struct job *job, int context)
{
    job->context = context;
    if (context_deadline(context) < job->start_by)
        job->start_by = context_deadline(context);
    return context_err(context);
}

static void submit_plain(void)
{
    struct job *job = read_job(PLAIN, 0);
    enum how how = any_how(job, false);
    int64_t deadline = how == UNTIL ? any_deadline() : WEIR_FOREVER;
    int context = how == UNTIL ? any_context() : NO_CONTEXT, err;
    if (how == TRY)
        err = weir_pool_try_submit_lane(world->pool, job->lane, run_job, job);
    else if (how == PLAINLY)
        err = weir_pool_submit_lane(world->pool, job->lane, run_job, job);
    else
        err = weir_pool_submit_lane_until(world->pool, job->lane, run_job, job, context_at(context),
                                          deadline);
    int expected = use_context(job, context);
    check(err == (expected != 0 ? model_reject(&world->model, expected)
                                : model_submit(&world->model, index_of(job), how, deadline)));
}

static bool is_live(const struct pool_model *model, int handle)
{
    weir_state state = model->jobs[model->handles[handle]].state;
    return state == WEIR_TASK_QUEUED || state == WEIR_TASK_RUNNING;
}

static int expect_submit_task(struct job *job, enum how how, int context, int64_t deadline)
{
    struct pool_model *model = &world->model;
    int64_t start_by = job->start_by;
    int err = use_context(job, context);
    if (err == 0 && is_live(model, job->object))
        err = -EBUSY;
    else if (err == 0 && start_by <= model->now)
        err = -ETIMEDOUT;
    if (err != 0)
        return model_reject(model, err);
    err = model_submit(model, index_of(job), how,
                       deadline < job->start_by ? deadline : job->start_by);
    if (err == 0)
        model->handles[job->object] = index_of(job);
    return err;
}

static void submit_task(void)
{
    int handle = (int)input_below(MAX_HANDLES);
    struct job *job = read_job(HANDLE, handle);
    enum how how = any_how(job, false);
    int64_t deadline = how == UNTIL ? any_deadline() : WEIR_FOREVER, now = weir_now();
    int context = how == UNTIL ? any_context() : NO_CONTEXT, err;
    unsigned byte = input_below(4);
    if (byte == 3)
        job->start_by = any_deadline();
    job->timeout = byte == 2 ? input_duration() : 0;
    weir_task_options options = {.size = sizeof options,
                                 .start_by = job->start_by == WEIR_FOREVER ? 0 : job->start_by,
                                 .timeout = job->timeout,
                                 .on_done = told,
                                 .lane = WEIR_LANE(job->lane)};
    weir_task *task = world->handles[handle];
    if (how == TRY)
        err = weir_pool_try_submit_task(world->pool, task, run_job, job, &options);
    else if (how == PLAINLY)
        err = weir_pool_submit_task(world->pool, task, run_job, job, &options);
    else
        err = weir_pool_submit_task_until(world->pool, task, run_job, job, &options,
                                          context_at(context), deadline);
    check(now == world->model.now);
    check(err == expect_submit_task(job, how, context, deadline));
}

static void submit_to_waitgroup(void)
{
    int index = (int)input_below(MAX_WAITGROUPS);
    struct job *job = read_job(WAITGROUP, index);
    weir_waitgroup *wg = world->waitgroups[index];
    enum how how = any_how(job, false);
    int64_t deadline = how == UNTIL ? any_deadline() : WEIR_FOREVER;
    int context = how == UNTIL ? any_context() : NO_CONTEXT, err;
    if (how == TRY)
        err = weir_waitgroup_try_go(wg, world->pool, run_job, job);
    else if (how == PLAINLY)
        err = weir_waitgroup_go(wg, world->pool, run_job, job);
    else
        err = weir_waitgroup_go_until(wg, world->pool, run_job, job, context_at(context), deadline);
    int expected = use_context(job, context);
    if (expected != 0) {
        check(err == model_reject(&world->model, expected));
        return;
    }
    world->model.waitgroups[index]++;
    expected = model_submit(&world->model, index_of(job), how, deadline);
    if (expected != 0)
        world->model.waitgroups[index]--;
    check(err == expected);
}

/* What a go returns once there is room under the limit. */
static int expect_go(struct job *job, enum how how, int64_t deadline)
{
    struct group_model *group = &world->model.groups[job->object];
    (void)use_context(job, group->context);
    group->active++;
    int err = model_submit(&world->model, index_of(job), how, deadline);
    if (err != 0)
        group->active--;
    return err;
}

static bool has_place_or_is_over(struct pool_model *model, int index)
{
    const struct group_model *group = &model->groups[index];
    return group->limit == 0 || group->active < group->limit || context_err(group->context) != 0 ||
           context_err(model->context) != 0;
}

static void submit_to_group(void)
{
    int index = (int)input_below(MAX_GROUPS);
    struct pool_model *model = &world->model;
    const struct group_model *group = &model->groups[index];
    weir_errgroup *real = world->groups[index];
    bool at_limit = group->limit != 0 && group->active >= group->limit;
    struct job *job = read_job(GROUP, index);
    enum how how = any_how(job, at_limit);
    if (at_limit && how == UNTIL && model->helps)
        how = TRY; /* waiting for a place, the caller would run members: any number of them */
    int64_t deadline = how == UNTIL ? any_deadline() : WEIR_FOREVER;
    int err, expected = context_err(group->context);
    if (how == TRY)
        err = weir_errgroup_try_go(real, run_job, job);
    else if (how == PLAINLY)
        err = weir_errgroup_go(real, run_job, job);
    else
        err = weir_errgroup_go_until(real, run_job, job, NULL, deadline);
    if (expected == 0 && at_limit && (model->closed || context_err(model->context) != 0))
        expected = -EPIPE;
    if (expected == 0 && at_limit && how == TRY) {
        expected = -EAGAIN;
    } else if (expected == 0 && at_limit) {
        if (!model_wait(model, has_place_or_is_over, index, deadline))
            expected = -ETIMEDOUT;
        else if ((expected = context_err(group->context)) == 0 || err == -EPIPE)
            /* The pool's deadline ends members too, and so the group: before this or after. */
            expected = context_err(model->context) != 0 ? -EPIPE : expected;
    }
    check(err == (expected != 0 ? model_reject(model, expected) : expect_go(job, how, deadline)));
}

/* Only what fits, or finds every worker busy: else it would depend on how soon one takes a task. */
static void submit_many(void)
{
    struct pool_model *model = &world->model;
    weir_job jobs[4];
    struct job *first = NULL;
    size_t n = input_below(4) + 1;
    if (model->busy < model->workers && n > model->capacity)
        return;
    for (size_t i = 0; i < n; i++) {
        struct job *job = add_job(HOLD, PLAIN, 0);
        first = first != NULL ? first : job;
        jobs[i] = (weir_job){run_job, job};
    }
    int64_t accepted = weir_pool_try_submit_many(world->pool, jobs, n);
    int64_t expected = 0;
    int err = 0;
    for (size_t i = 0; i < n && err == 0; i++)
        if ((err = model_submit(model, index_of(first + i), TRY, WEIR_FOREVER)) == 0)
            expected++;
    check(accepted == (expected > 0 ? expected : err));
}

/* What else can be done to tasks. */

static void open_gate(void)
{
    struct pool_model *model = &world->model;
    unsigned skip = input_below(4);
    for (int i = 1; i <= model->job_count; i++)
        if (model->jobs[i].kind == HOLD && !model->jobs[i].open && skip-- == 0) {
            weir_waitgroup_done(&world->gates[i]);
            model->jobs[i].open = true;
            return;
        }
}

static void cancel_task(void)
{
    int handle = (int)input_below(MAX_HANDLES);
    struct pool_model *model = &world->model;
    struct job *job = &model->jobs[model->handles[handle]];
    int err = weir_task_cancel(world->handles[handle]);
    int expected = job->state == WEIR_TASK_IDLE     ? -EINVAL
                   : job->state == WEIR_TASK_QUEUED ? 0
                   : job->state >= WEIR_TASK_DONE   ? -EALREADY
                                                    : -EINPROGRESS;
    check(err == expected);
    if (expected == 0)
        model_end_unstarted(model, index_of(job), WEIR_TASK_CANCELLED);
    job->cancelled = true;
}

/* Waiting. */

static bool has_ended(struct pool_model *model, int job)
{
    return model->jobs[job].state >= WEIR_TASK_DONE;
}

static void wait_for_task(void)
{
    int handle = (int)input_below(MAX_HANDLES), context = any_context();
    struct pool_model *model = &world->model;
    int job = model->handles[handle];
    int64_t deadline = any_deadline(), start_by = model->jobs[job].start_by;
    if (context_err(context) == 0)
        context = NO_CONTEXT; /* which of two ends comes first is not for this model to say */
    int err = weir_task_wait_until(world->handles[handle], context_at(context), deadline);
    if (model->jobs[job].state == WEIR_TASK_IDLE) {
        check(err == -EINVAL);
        return;
    }
    int expected = context_err(context);
    if (expected == 0) {
        if (model->helps && deadline > model->now)
            model_help(model, HANDLE, handle);
        bool expires = start_by < deadline;
        if (!model_wait(model, expires ? model_is_over : has_ended, job, deadline))
            expected = -ETIMEDOUT;
    }
    check(err == expected);
}

static void use_waitgroup(void)
{
    int index = (int)input_below(MAX_WAITGROUPS);
    unsigned byte = input_below(4);
    struct pool_model *model = &world->model;
    if (byte == 0) {
        unsigned n = input_below(3);
        weir_waitgroup_add(world->waitgroups[index], n);
        model->waitgroups[index] += n;
        return;
    }
    unsigned members = 0;
    for (int i = 1; i <= model->job_count; i++)
        members +=
            model->jobs[i].owner == WAITGROUP && model->jobs[i].object == index &&
            (model->jobs[i].state == WEIR_TASK_QUEUED || model->jobs[i].state == WEIR_TASK_RUNNING);
    if (byte == 1 && model->waitgroups[index] > members) {
        weir_waitgroup_done(world->waitgroups[index]);
        model->waitgroups[index]--;
        return;
    }
    int64_t deadline = any_deadline();
    int err = weir_waitgroup_wait_until(world->waitgroups[index], NULL, deadline);
    if (model->helps && deadline > model->now)
        model_help(model, WAITGROUP, index);
    check(err == (model_wait(model, model_waitgroup_is_zero, index, deadline) ? 0 : -ETIMEDOUT));
}

static void wait_for_group(void)
{
    int index = (int)input_below(MAX_GROUPS);
    struct pool_model *model = &world->model;
    int64_t deadline = any_deadline();
    int err = weir_errgroup_wait_until(world->groups[index], NULL, deadline);
    if (model->helps && deadline > model->now)
        model_help(model, GROUP, index);
    bool done = model_wait(model, model_group_is_empty, index, deadline);
    if (!model->groups[index].vague)
        check(err == (done ? model_group_outcome(model, index) : -ETIMEDOUT));
}

static void set_limit(void)
{
    int index = (int)input_below(MAX_GROUPS);
    unsigned limit = input_below(4);
    check(weir_errgroup_set_limit(world->groups[index], limit) == 0);
    world->model.groups[index].limit = limit;
}

/* Of a group without members that hold: it waits for them as long as it takes. */
static void stop_group(void)
{
    int index = (int)input_below(MAX_GROUPS);
    struct pool_model *model = &world->model;
    struct group_model *group = &model->groups[index];
    for (int i = 1; i <= model->job_count; i++) {
        const struct job *job = &model->jobs[i];
        if (job->owner == GROUP && job->object == index && job->state == WEIR_TASK_RUNNING &&
            job->kind == HOLD)
            return;
    }
    if (model_live(model) > 0)
        return; /* a queued member may be behind something that holds */
    int err = weir_errgroup_stop(world->groups[index]);
    if (context_err(group->context) == 0)
        group->stopped = true;
    context_cancelled(group->context, 0, model->now);
    model_settle(model);
    if (!group->vague)
        check(err == model_group_outcome(model, index));
}

static void sleep_until(void)
{
    int64_t deadline = any_deadline();
    int err = weir_sleep_until(NULL, deadline);
    check(err == 0);
    (void)model_wait(&world->model, has_ended, 0, deadline); /* job 0 never does */
}

static void drain(void)
{
    int64_t deadline = any_deadline();
    int err = weir_pool_drain_until(world->pool, NULL, deadline);
    check(err == (model_wait(&world->model, model_is_quiet, 0, deadline) ? 0 : -ETIMEDOUT));
}

static void close_pool(void)
{
    weir_pool_close(world->pool);
    model_close(&world->model);
}

/* A shutdown that gave up may report what it saw before the last task that could end had ended. */
static void check_report(const weir_shutdown_report *report, bool gave_up)
{
    weir_shutdown_report expected = model_report(&world->model);
    check(report->drained + report->cancelled + report->running ==
          expected.drained + expected.cancelled + expected.running);
    check(report->running >= expected.running && report->cancelled <= expected.cancelled);
    check(gave_up || report->running == 0);
    check(gave_up || report->drained == expected.drained);
}

static void shut_down(int64_t soft, int64_t hard)
{
    struct pool_model *model = &world->model;
    weir_shutdown_report report;
    int err = weir_pool_shutdown(world->pool, soft, hard, &report);
    settle(); /* the ends of what was queued are noted by now */
    model_close(model);
    if (!model_wait(model, model_is_quiet, 0, soft < hard ? soft : hard))
        model_cancel_all(model);
    bool quiet = model_wait(model, model_is_quiet, 0, hard);
    model->stopping = quiet;
    model->cancelled = model->cancelled || quiet;
    /* Without time to wait, the threads of a quiet pool may have ended by then, or not. */
    check(err == (quiet ? 0 : -ETIMEDOUT) || (quiet && hard <= model->now && err == -ETIMEDOUT));
    check_report(&report, err != 0);
}

static void shut_down_some_time(void)
{
    int64_t soft = any_deadline(), hard = any_deadline();
    shut_down(soft, hard);
}

/* Everything that can be seen. */

static void compare_jobs(void)
{
    const struct pool_model *model = &world->model;
    for (int i = 1; i <= model->job_count; i++) {
        const struct job *job = &model->jobs[i];
        bool over = job->state >= WEIR_TASK_DONE;
        bool started = job->state == WEIR_TASK_RUNNING || job->state == WEIR_TASK_DONE ||
                       job->state == WEIR_TASK_FAILED;
        check(job->seen_starts == (started ? 1 : 0));
        check(job->seen_ends == (over ? 1 : 0));
        check(!over || job->seen_end == job->state);
        check(!over || job->seen_status == job->status);
        check(job->seen_submit_err == job->submit_err);
    }
    check(world->seen_started_count == model->started_count);
    if (model->workers == 1)
        for (unsigned i = 0; i < model->started_count; i++)
            check(world->seen_started[i] == model->started[i]);
}

static void compare_handles(void)
{
    const struct pool_model *model = &world->model;
    for (int i = 0; i < MAX_HANDLES; i++) {
        const struct job *job = &model->jobs[model->handles[i]];
        bool over = job->state >= WEIR_TASK_DONE, idle = job->state == WEIR_TASK_IDLE;
        check(weir_task_state(world->handles[i]) == job->state);
        check(weir_task_status(world->handles[i]) ==
              (idle ? -EINVAL : (over ? job->status : -EINPROGRESS)));
        check(weir_task_try_wait(world->handles[i]) == (idle ? -EINVAL : (over ? 0 : -EAGAIN)));
        calls += 3;
    }
    for (int i = 0; i < MAX_WAITGROUPS; i++)
        check(weir_waitgroup_try_wait(world->waitgroups[i]) ==
              (model->waitgroups[i] == 0 ? 0 : -EAGAIN));
}

static void compare_groups(void)
{
    const struct pool_model *model = &world->model;
    for (int i = 0; i < MAX_GROUPS; i++) {
        const struct group_model *group = &model->groups[i];
        int codes[MAX_ERRORS] = {0};
        size_t failed = weir_errgroup_errors(world->groups[i], codes, MAX_ERRORS);
        int outcome = weir_errgroup_try_wait(world->groups[i]);
        calls += 2;
        if (group->vague)
            continue;
        check(outcome == (group->active > 0 ? -EAGAIN : model_group_outcome(model, i)));
        check(failed == group->failed);
        for (unsigned k = 0; k < MAX_ERRORS && k < failed; k++)
            check(codes[k] == group->errors[k]);
        check(weir_context_err(weir_errgroup_context(world->groups[i])) ==
              context_err(group->context));
    }
    for (int i = 0; i < world->caller_context_count; i++) {
        int index = world->caller_contexts[i];
        check(weir_context_err(world->contexts[index]) == context_err(index));
    }
}

static void compare_counts(void)
{
    const struct pool_model *model = &world->model;
    weir_pool_counts counts;
    weir_pool_read_counts(world->pool, &counts);
    check(counts.submitted == model->counts.submitted);
    check(counts.rejected == model->counts.rejected);
    check(counts.done == model->counts.done);
    check(counts.failed == model->counts.failed);
    check(counts.cancelled == model->counts.cancelled);
    check(counts.expired == model->counts.expired);
    check(counts.dropped == model->counts.dropped);
    check(counts.queued == model_live(model) && counts.running == model->busy);
    check(weir_pool_queued(world->pool) == counts.queued);
    check(counts.peak_queued <= model->capacity * model->lanes);
    calls += 2;
}

/* Told before anything is compared: what the model expects. */
static void tell(void)
{
    static const char kinds[] = "RHASW", owners[] = "PTWG", states[] = "iqrDFCEA";
    const struct pool_model *model = &world->model;
    for (int i = 1; i <= model->job_count; i++) {
        const struct job *job = &model->jobs[i];
        trace("-- job %d: %c%c %c %d, %u starts, %u ends, %d", i, kinds[job->kind],
              owners[job->owner], states[job->state], job->status, job->seen_starts, job->seen_ends,
              job->seen_status);
    }
}

static void compare(void)
{
    settle();
    model_settle(&world->model);
    tell();
    check(weir_now() == world->model.now);
    compare_jobs();
    compare_handles();
    compare_groups();
    compare_counts();
}

/* Life. */

static void make_groups(void)
{
    for (int i = 0; i < MAX_GROUPS; i++) {
        struct group_model *group = &world->model.groups[i];
        int parent = i == 0 ? NO_CONTEXT : any_context();
        int err = weir_errgroup_new(&world->groups[i], world->pool, context_at(parent),
                                    WEIR_ERRGROUP_OPTIONS(.keep_errors = MAX_ERRORS));
        check(err == 0);
        group->context = context_add(parent, WEIR_FOREVER, weir_now());
    }
}

static void begin(void)
{
    world = make(sizeof *world);
    struct pool_model *model = &world->model;
    contexts_forget();
    model->now = weir_now();
    unsigned byte = input_byte();
    model->workers = byte % 3 == 2 ? 2 : 1;
    model->lanes = byte / 3 % 4 < MAX_LANES ? 1 + byte / 3 % 4 : 1;
    model->burst = model->workers == 1 ? 1 + byte / 12 % 3 : 2 * MAX_JOBS;
    model->capacity = input_below(4) + 1;
    model->overflow = (weir_overflow)input_below(4);
    unsigned more = input_below(3);
    model->helps = more == 2;
    if (more == 1 && model->workers == 1 && model->lanes == 1)
        model->local = input_below(4) + 1;
    for (unsigned i = input_below(3); i > 0; i--)
        new_context();
    int parent = any_context();
    if (model->workers > 1 && context_deadline(parent) != WEIR_FOREVER)
        parent = NO_CONTEXT; /* it would free both workers at once, with something to do */
    world->pool = new_pool(
        WEIR_POOL_OPTIONS(.workers = model->workers, .capacity = model->capacity,
                          .overflow = model->overflow, .lanes = model->lanes,
                          .lane_burst = model->lanes > 1 ? model->burst * model->workers : 0,
                          .outside_waiters_help = model->helps,
                          .order = model->local != 0 ? WEIR_ORDER_LOCAL : WEIR_ORDER_FIFO,
                          .local = model->local, .context = context_at(parent), .on_drop = dropped,
                          .user = world));
    model->context = context_add(parent, WEIR_FOREVER, weir_now());
    make_groups();
    for (int i = 0; i < MAX_HANDLES; i++)
        world->handles[i] = make(sizeof *world->handles[i]);
    for (int i = 0; i < MAX_WAITGROUPS; i++)
        world->waitgroups[i] = make(sizeof *world->waitgroups[i]);
}

/* Once: it reads whole histograms, word by word. */
static void compare_lanes(void)
{
    for (unsigned k = 0; k < world->model.lanes; k++) {
        weir_lane_stats stats = {.size = sizeof stats};
        check(weir_pool_read_lane_stats(world->pool, k, &stats) == 0);
        check(stats.queued == world->model.lane[k].queued);
        calls++;
    }
}

static void end(void)
{
    compare_lanes();
    for (int i = 1; i <= world->model.job_count; i++)
        if (world->model.jobs[i].kind == HOLD && !world->model.jobs[i].open) {
            weir_waitgroup_done(&world->gates[i]);
            world->model.jobs[i].open = true;
            compare(); /* so that no two workers are free at once */
        }
    shut_down(0, weir_after(input_duration()));
    compare();
    check(model_report(&world->model).running == 0);
    for (int i = 0; i < MAX_GROUPS; i++)
        weir_errgroup_free(world->groups[i]);
    weir_pool_free(world->pool);
    for (int i = 0; i < MAX_HANDLES; i++)
        drop(world->handles[i]);
    for (int i = 0; i < MAX_WAITGROUPS; i++)
        drop(world->waitgroups[i]);
    for (int i = 0; i < world->caller_context_count; i++)
        weir_context_unref(world->contexts[world->caller_contexts[i]]);
    drop(world);
}

static const struct step steps[] = {
    STEP(submit_plain),        STEP(submit_task),    STEP(submit_to_waitgroup),
    STEP(submit_to_group),     STEP(submit_many),    STEP(open_gate),
    STEP(cancel_task),         STEP(wait_for_task),  STEP(use_waitgroup),
    STEP(wait_for_group),      STEP(set_limit),      STEP(stop_group),
    STEP(sleep_until),         STEP(drain),          STEP(close_pool),
    STEP(new_context),         STEP(cancel_context), STEP(shut_down_some_time),
    STEP(submit_plain),        STEP(submit_task),    STEP(submit_to_group),
    STEP(submit_to_waitgroup), STEP(open_gate),      STEP(sleep_until),
};

static bool has_room(void)
{
    return world->model.job_count + MOST_JOBS_A_STEP < MAX_JOBS;
}

void pool_program(void)
{
    begin();
    explore_begin();
    trace(
        "-- %u workers, %u lanes of %u, burst %u, overflow %d, outside waiters help: %d, local: %u",
        world->model.workers, world->model.lanes, world->model.capacity, world->model.burst,
        (int)world->model.overflow, (int)world->model.helps, world->model.local);
    take_steps(steps, sizeof steps / sizeof steps[0], CALLS, has_room, compare);
    explore_end();
    end();
}
