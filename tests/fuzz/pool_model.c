/* SPDX-License-Identifier: MIT */
#include "pool_model.h"

#include <errno.h>
#include <string.h>

#include "base/sizes.h"

enum place { ON_WORKER, NESTED, OUTSIDE }; /* where a job runs */

static void start_job(struct pool_model *model, int index, enum place place);

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Ends. */

static void member_ended(struct pool_model *model, struct group_model *group, weir_state end,
                         int status)
{
    int over = context_err(group->context);
    bool gave_up = end != WEIR_TASK_FAILED || status == -ECANCELED || status == over;
    group->active--;
    if (end == WEIR_TASK_DONE || (gave_up && over != 0))
        return;
    if (group->failed < MAX_ERRORS)
        group->errors[group->failed] = status;
    group->failed++;
    context_cancelled(group->context, status, model->now);
}

static void end_job(struct pool_model *model, struct job *job, weir_state end, int status)
{
    uint64_t *const counts[] = {&model->counts.done, &model->counts.failed,
                                &model->counts.cancelled, &model->counts.expired,
                                &model->counts.dropped};
    ++*counts[end - WEIR_TASK_DONE];
    job->state = end;
    job->status = status;
    if (job->owner == WAITGROUP)
        model->waitgroups[job->object]--;
    else if (job->owner == GROUP)
        member_ended(model, &model->groups[job->object], end, status);
}

void model_end_unstarted(struct pool_model *model, int job, weir_state why)
{
    end_job(model, &model->jobs[job], why,
            why == WEIR_TASK_CANCELLED ? -ECANCELED
                                       : (why == WEIR_TASK_EXPIRED ? -ETIMEDOUT : -EPIPE));
}

static void finish_job(struct pool_model *model, struct job *job, int status)
{
    if (job->on_worker)
        model->busy--;
    end_job(model, job, status == 0 ? WEIR_TASK_DONE : WEIR_TASK_FAILED, status);
}

/* The queue. */

static int take_head(struct lane_model *lane)
{
    int job = lane->queue[0];
    lane->queued--;
    memmove(lane->queue, lane->queue + 1, lane->queued * sizeof lane->queue[0]);
    return job;
}

static struct lane_model *lane_of(struct pool_model *model, int job)
{
    return &model->lane[model->jobs[job].lane];
}

/* Why the job must not start any more, or IDLE. */
static weir_state too_late(const struct pool_model *model, const struct job *job)
{
    if (job->start_by <= model->now)
        return WEIR_TASK_EXPIRED;
    int err = context_err(job->context);
    if (err == 0)
        err = context_err(model->context);
    return err == 0 ? WEIR_TASK_IDLE
                    : (err == -ETIMEDOUT ? WEIR_TASK_EXPIRED : WEIR_TASK_CANCELLED);
}

/* A job whose context was cancelled keeps its place, unless it has expired as well. */
static bool clear_head(struct pool_model *model, struct lane_model *lane)
{
    bool cleared = false;
    while (lane->queued > 0) {
        const struct job *job = &model->jobs[lane->queue[0]];
        bool queued = job->state == WEIR_TASK_QUEUED;
        if (queued && job->start_by > model->now)
            break;
        int head = take_head(lane);
        if (queued)
            model_end_unstarted(model, head, WEIR_TASK_EXPIRED);
        cleared = true;
    }
    return cleared;
}

/* A submitter that waits and a worker see a time pass in either order: the submitter may clear
 * expired jobs from the head that the worker would have left there. What it cleared was seen. */
static bool was_cleared(const struct pool_model *model, const struct job *job)
{
    return job->state == WEIR_TASK_QUEUED && job->start_by <= model->now &&
           job->seen_end == WEIR_TASK_EXPIRED;
}

static void clear_head_as_seen(struct pool_model *model, struct lane_model *lane)
{
    unsigned cleared = 0;
    for (unsigned i = 0; i < lane->queued; i++) {
        const struct job *job = &model->jobs[lane->queue[i]];
        if (was_cleared(model, job))
            cleared = i + 1; /* and the dead tickets before it */
        else if (job->state == WEIR_TASK_QUEUED)
            break;
    }
    while (cleared-- > 0) {
        int head = take_head(lane);
        if (model->jobs[head].state == WEIR_TASK_QUEUED)
            model_end_unstarted(model, head, WEIR_TASK_EXPIRED);
    }
}

static bool push(struct pool_model *model, int job, bool by_worker)
{
    struct lane_model *lane = lane_of(model, job);
    struct deque_model *own = &model->own;
    bool to_own = by_worker && own->count < model->local;
    if (!to_own && lane->queued == model->capacity)
        return false;
    if (to_own)
        own->jobs[own->count++] = job;
    else
        lane->queue[lane->queued++] = job;
    model->jobs[job].state = WEIR_TASK_QUEUED;
    model->counts.submitted++;
    return true;
}

unsigned model_live(const struct pool_model *model)
{
    unsigned live = model->own.count;
    for (unsigned k = 0; k < model->lanes; k++)
        for (unsigned i = 0; i < model->lane[k].queued; i++)
            live += model->jobs[model->lane[k].queue[i]].state == WEIR_TASK_QUEUED;
    return live;
}

/* Submitting. */

int model_reject(struct pool_model *model, int code)
{
    model->counts.rejected++;
    return code;
}

static bool refused(const struct pool_model *model, enum place from)
{
    return model->cancelled || (model->closed && from == OUTSIDE) ||
           context_err(model->context) != 0;
}

static int64_t next_time(const struct pool_model *model)
{
    int64_t first = contexts_next_time();
    for (int i = 1; i <= model->job_count; i++) {
        const struct job *job = &model->jobs[i];
        if (job->state == WEIR_TASK_RUNNING && job->kind == AWAIT)
            first = earlier(first, job->over_at);
        else if (job->state == WEIR_TASK_QUEUED && job->start_by > model->now)
            first = earlier(first, job->start_by);
    }
    return first;
}

static void pass_time(struct pool_model *model, int64_t until)
{
    if (until > model->now)
        model->now = until;
    contexts_pass_time(model->now);
    model_settle(model);
}

static int wait_for_room(struct pool_model *model, int index, int64_t deadline)
{
    const struct job *job = &model->jobs[index];
    if (deadline <= model->now)
        return -ETIMEDOUT;
    for (;;) {
        int64_t next = next_time(model);
        pass_time(model, earlier(next, deadline));
        int err = context_err(job->context);
        if (refused(model, OUTSIDE))
            return -EPIPE;
        if (err != 0)
            return err;
        clear_head_as_seen(model, lane_of(model, index));
        do
            if (push(model, index, false))
                return 0;
        while (clear_head(model, lane_of(model, index)));
        if (model->now >= deadline)
            return -ETIMEDOUT;
    }
}

static int submit_from(struct pool_model *model, int index, enum how how, int64_t deadline,
                       enum place from)
{
    do {
        if (refused(model, from))
            return model_reject(model, -EPIPE);
        if (push(model, index, from == ON_WORKER))
            return 0;
        if (clear_head(model, lane_of(model, index)))
            continue;
        if (how == TRY || model->overflow == WEIR_OVERFLOW_REJECT)
            return model_reject(model, -EAGAIN);
        if (model->overflow == WEIR_OVERFLOW_DROP_OLDEST) {
            model_end_unstarted(model, take_head(lane_of(model, index)), WEIR_TASK_DROPPED);
        } else if (model->overflow == WEIR_OVERFLOW_CALLER_RUNS || from != OUTSIDE) {
            model->counts.submitted++;
            start_job(model, index, from == OUTSIDE ? OUTSIDE : NESTED);
            return 0;
        } else {
            int err = wait_for_room(model, index, deadline);
            return err == 0 ? 0 : model_reject(model, err);
        }
    } while (true);
}

int model_submit(struct pool_model *model, int job, enum how how, int64_t deadline)
{
    return submit_from(model, job, how, deadline, OUTSIDE);
}

/* Running. */

/* A thread that runs a task is inside the pool. */
static void run_children(struct pool_model *model, const struct job *job)
{
    enum place from = job->on_worker ? ON_WORKER : NESTED;
    for (int i = job->child; i < job->child + job->children; i++)
        model->jobs[i].submit_err = submit_from(model, i, PLAINLY, WEIR_FOREVER, from);
    if (job->kind == HELP && model->jobs[job->child].state == WEIR_TASK_QUEUED) {
        struct deque_model *own = &model->own;
        if (own->count > 0 && own->jobs[own->count - 1] == job->child)
            own->count--;
        start_job(model, job->child, NESTED);
    }
}

static void start_job(struct pool_model *model, int index, enum place place)
{
    struct job *job = &model->jobs[index];
    weir_state why = too_late(model, job);
    if (why != WEIR_TASK_IDLE) {
        model_end_unstarted(model, index, why);
        return;
    }
    job->state = WEIR_TASK_RUNNING;
    job->on_worker = place == ON_WORKER;
    model->busy += place == ON_WORKER ? 1 : 0;
    job->over_at = job->timeout != 0 ? model->now + job->timeout : WEIR_FOREVER;
    model->started[model->started_count++] = index;
    if (job->child != 0)
        run_children(model, job);
    if ((job->kind == HOLD && !job->open) || job->kind == AWAIT) {
        if (place == ON_WORKER)
            return;
    }
    finish_job(model, job, job->code);
}

/* Why the context that a running job sees is over, or 0: what came first, a deadline if both. */
static int err_seen(const struct pool_model *model, const struct job *job)
{
    const int parents[] = {job->context, model->context};
    int err = 0;
    int64_t over_at = WEIR_FOREVER;
    for (int i = 0; i < 2; i++) {
        int why = context_err(parents[i]);
        if (why != 0 && (contexts[parents[i]].over_at < over_at || why == -ETIMEDOUT)) {
            err = why;
            over_at = contexts[parents[i]].over_at;
        }
    }
    if (err == 0 && job->cancelled)
        err = -ECANCELED;
    return err == 0 && job->over_at <= model->now ? -ETIMEDOUT : err;
}

static bool finish_one(struct pool_model *model)
{
    for (int i = 1; i <= model->job_count; i++) {
        struct job *job = &model->jobs[i];
        if (job->state != WEIR_TASK_RUNNING)
            continue;
        int err = job->kind == AWAIT ? err_seen(model, job) : 0;
        if (err != 0 || (job->kind == HOLD && job->open)) {
            finish_job(model, job, err != 0 ? err : job->code);
            return true;
        }
    }
    return false;
}

static void owe_nothing(struct lane_model *lane)
{
    lane->passed = 0;
    lane->vain = 0;
}

/* The lane that a worker takes from next (src/pool/lanes.h), or NULL: all are empty. */
static struct lane_model *next_lane(struct pool_model *model)
{
    for (unsigned k = model->lanes; k-- > 1;) {
        struct lane_model *lane = &model->lane[k];
        if (lane->passed < model->burst)
            continue;
        if (lane->queued > 0)
            return lane;
        owe_nothing(lane);
    }
    for (unsigned k = 0; k < model->lanes; k++)
        if (model->lane[k].queued > 0)
            return &model->lane[k];
    return NULL;
}

static void count_taken(struct pool_model *model, struct lane_model *from, bool starts)
{
    bool owed = from > model->lane && from->passed >= model->burst;
    for (struct lane_model *lane = from + 1; lane < model->lane + model->lanes; lane++)
        lane->passed++;
    if (starts || (owed && ++from->vain == LANE_VAIN))
        owe_nothing(from);
}

/* The next one in the lanes that has not ended, or 0. */
static int take_from_lanes(struct pool_model *model)
{
    struct lane_model *lane;
    while ((lane = next_lane(model)) != NULL) {
        int job = take_head(lane);
        if (model->jobs[job].state != WEIR_TASK_QUEUED)
            continue;
        count_taken(model, lane, too_late(model, &model->jobs[job]) == WEIR_TASK_IDLE);
        return job;
    }
    return 0;
}

static int take_oldest_of_own(struct deque_model *own)
{
    int job = own->jobs[0];
    own->count--;
    memmove(own->jobs, own->jobs + 1, own->count * sizeof own->jobs[0]);
    return job;
}

/* What a worker takes next (src/pool/local.h), or 0. */
static int take_next(struct pool_model *model)
{
    struct deque_model *own = &model->own;
    if (own->count == 0 || own->since_ring >= RING_EACH) {
        own->since_ring = 0;
        int job = take_from_lanes(model);
        if (job != 0 || own->count == 0)
            return job;
    }
    bool oldest = own->takes >= OLDEST_EACH - 1;
    own->takes = oldest ? 0 : own->takes + 1;
    own->since_ring++;
    return oldest ? take_oldest_of_own(own) : own->jobs[--own->count];
}

void model_settle(struct pool_model *model)
{
    int job;
    do {
        while (model->busy < model->workers && (job = take_next(model)) != 0)
            start_job(model, job, ON_WORKER);
    } while (finish_one(model));
}

/* Waiting. */

bool model_wait(struct pool_model *model, bool (*done)(struct pool_model *model, int arg), int arg,
                int64_t deadline)
{
    while (!done(model, arg)) {
        if (deadline <= model->now)
            return false;
        pass_time(model, earlier(next_time(model), deadline));
    }
    return true;
}

bool model_is_quiet(struct pool_model *model, int unused)
{
    (void)unused;
    return model_live(model) == 0 && model->busy == 0;
}

bool model_is_over(struct pool_model *model, int job)
{
    if (model->jobs[job].state == WEIR_TASK_QUEUED && model->jobs[job].start_by <= model->now)
        model_end_unstarted(model, job, WEIR_TASK_EXPIRED);
    return model->jobs[job].state >= WEIR_TASK_DONE;
}

bool model_waitgroup_is_zero(struct pool_model *model, int waitgroup)
{
    return model->waitgroups[waitgroup] == 0;
}

bool model_group_is_empty(struct pool_model *model, int group)
{
    return model->groups[group].active == 0;
}

void model_help(struct pool_model *model, enum owner_kind owner, int object)
{
    for (int i = 1; i <= model->job_count; i++) { /* as in the queue */
        const struct job *job = &model->jobs[i];
        if (job->state == WEIR_TASK_QUEUED && job->owner == owner && job->object == object)
            start_job(model, i, OUTSIDE);
    }
    model_settle(model);
}

int model_group_outcome(const struct pool_model *model, int index)
{
    const struct group_model *group = &model->groups[index];
    if (group->failed > 0)
        return group->errors[0];
    return group->stopped ? 0 : context_err(group->context);
}

/* The end. */

static uint64_t ran(const struct pool_model *model)
{
    return model->counts.done + model->counts.failed;
}

static uint64_t unstarted(const struct pool_model *model)
{
    return model->counts.cancelled + model->counts.expired + model->counts.dropped;
}

void model_close(struct pool_model *model)
{
    model->closed = true;
}

static void cancel_lane(struct pool_model *model, struct lane_model *lane)
{
    while (lane->queued > 0) {
        int head = take_head(lane);
        struct job *job = &model->jobs[head];
        if (job->state != WEIR_TASK_QUEUED)
            continue;
        /* A worker that has just become free may be the first to see that it expired. */
        bool expired =
            job->seen_end == WEIR_TASK_EXPIRED && too_late(model, job) == WEIR_TASK_EXPIRED;
        model_end_unstarted(model, head, expired ? WEIR_TASK_EXPIRED : WEIR_TASK_CANCELLED);
    }
}

void model_cancel_all(struct pool_model *model)
{
    model->cancelled = true;
    for (int i = 0; i < MAX_GROUPS; i++)
        if (model->groups[i].active > 0 && context_err(model->groups[i].context) == 0)
            model->groups[i].vague = true;
    for (unsigned k = 0; k < model->lanes; k++)
        cancel_lane(model, &model->lane[k]);
    while (model->own.count > 0)
        model_end_unstarted(model, take_oldest_of_own(&model->own), WEIR_TASK_CANCELLED);
    context_cancelled(model->context, 0, model->now);
    model_settle(model);
}

weir_shutdown_report model_report(const struct pool_model *model)
{
    return (weir_shutdown_report){
        .drained = ran(model),
        .cancelled = unstarted(model),
        .running = model->counts.submitted - ran(model) - unstarted(model),
    };
}
