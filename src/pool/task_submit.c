/* SPDX-License-Identifier: MIT */
/* task_submit.c - submitting a task under a handle.
 *
 * The submitter owns the handle from weir__task_reserve until the job is placed. All its fields are
 * written before that; after it the task may be done and gone. If the submit is refused the handle
 * goes back to what it was.
 */
#include "pool/task_submit.h"

#include <errno.h>

#include "base/deadline.h"
#include "base/options.h"
#include "pool/lane_options.h"
#include "pool/serial_enter.h"
#include "pool/task_repeat.h"

void weir_task_options_init(weir_task_options *options)
{
    if (options != NULL)
        *options = (weir_task_options){.size = sizeof *options};
}

static inline int read_task_options(weir_task_options *ret, const weir_task_options *given)
{
    return read_options(ret, sizeof *ret,
                        offsetof(weir_task_options, on_done) + sizeof ret->on_done, given);
}

static const struct job_gate *gate_in(const weir_task_options *options)
{
    return (const struct job_gate *)options->gate;
}

static inline const char *wrong_field(const weir_task_options *options)
{
    if (options->start_by < 0)
        return "start_by: negative";
    if (options->timeout < 0)
        return "timeout: negative";
    if (options->gate != NULL && gate_in(options)->ops == NULL)
        return "gate: never made";
    return lane_option_fits(options->lane) ? NULL : "lane: not WEIR_LANE of 0 to 7";
}

const char *weir_task_options_error(const weir_task_options *given)
{
    weir_task_options options;
    int err = read_task_options(&options, given);
    return options_error(err, wrong_field(&options));
}

/* How a task enters the pool. */
struct entry {
    weir_context *ctx;
    int64_t deadline;
    int64_t at, period;          /* if it is timed: then from `at` on, else from above */
    const struct repeat *repeat; /* or NULL, as the next two */
    struct job_gate *gate;
    struct serial *serial;
    enum submit_mode mode;
    uint32_t lane;   /* as in jobs */
    int fd;          /* it waits for, and `deadline` is when it expires; */
    unsigned events; /* 0: none */
    bool goes_on;    /* the task, whose own on_done this is */
    bool timed;
};

/* Is it known that it cannot start in time? */
static inline bool too_late(const struct entry *entry, int64_t start_by)
{
    return start_by != WEIR_FOREVER &&
           (start_by <= weir_now() || (entry->timed && start_by <= entry->at));
}

/* Has the job wait for its time. */
static __attribute__((noinline)) int delay(weir_pool *pool, struct task *task,
                                           const struct job *job, struct entry entry)
{
    struct wait_for_time wait = {.job = job,
                                 .at = entry.events != 0 ? job->start_by : entry.at,
                                 .periodic = entry.period != 0,
                                 .first = true,
                                 .gate = entry.gate,
                                 .fd = entry.fd,
                                 .events = entry.events};
    uint32_t place = 0;
    int err = weir__refusal(pool);
    if (err != 0)
        return err;
    if (wait.periodic) /* its pauses are no work, so it is counted apart */
        COUNT(&pool->queue, besides, 1);
    TRACE(note, EVENT_SUBMIT, &pool->host.trace, (uintptr_t)job->fn, 0);
    bool keeps = wait.periodic || wait.gate != NULL;
    err = weir__delay_wait(&pool->delay, &wait, keeps ? &task->place : &place);
    TRACE(note_submit_end, &pool->host.trace, err);
    if (err != 0 && wait.periodic)
        COUNT(&pool->queue, besides, -1);
    return err;
}

static inline int submit_once(weir_pool *pool, const struct job *job, const struct entry *entry)
{
    /* To wait for room beyond start_by is of no use. */
    return weir__submit(pool, job, entry->mode, entry->ctx,
                        earlier(entry->deadline, job->start_by));
}

/* From its on_done, which must not block. To run the job inline would be worse: it could submit
 * itself again, and so on. So where the pool is full it waits for room as one that is due does. */
static COLD int submit_again(weir_pool *pool, struct task *task, const struct job *job,
                             struct entry tried)
{
    struct entry due = {.timed = true, .at = weir_now()};
    bool waits = tried.mode == SUBMIT_POLICY && (pool->overflow == WEIR_OVERFLOW_BLOCK ||
                                                 pool->overflow == WEIR_OVERFLOW_CALLER_RUNS);
    if (waits)
        tried.mode = SUBMIT_TRY;
    int err = submit_once(pool, job, &tried);
    return err == -EAGAIN && waits ? delay(pool, task, job, due) : err;
}

static ALWAYS_INLINE int enter(weir_pool *pool, struct task *task, struct job *job,
                               const struct entry *entry)
{
    if (entry->serial != NULL) /* its own on_done must not block */
        return count_rejected(
            pool, entry->serial->lane,
            weir__serial_enter(entry->serial, job, entry->goes_on ? SUBMIT_TRY : entry->mode,
                               entry->ctx, earlier(entry->deadline, job->start_by)));
    if (entry->repeat != NULL) {
        task->repeat = weir__repeats_keep(&pool->repeats, entry->repeat);
        if (task->repeat == NULL)
            return count_rejected(pool, entry->lane, -EAGAIN);
        store_rlx(&task->sink.ops, &weir__retried_sink); /* published with the job */
        job->fn = task->repeat->run;
        job->arg = task->repeat;
    }
    struct repeat *kept = task->repeat;
    int err;
    if (entry->timed || entry->gate != NULL)
        err = delay(pool, task, job, *entry);
    else if (entry->goes_on)
        err = submit_again(pool, task, job, *entry);
    else
        err = submit_once(pool, job, entry);
    (void)count_rejected(pool, entry->lane, err);
    if (err != 0 && kept != NULL)
        weir__repeats_give(&pool->repeats, kept);
    return err;
}

/* But for one that is retried. */
static inline const struct sink_ops *sink_for(const struct entry *entry)
{
    if (entry->serial != NULL)
        return &weir__serial_task_sink;
    if (entry->period != 0)
        return &weir__periodic_sink;
    return entry->gate != NULL ? &weir__gated_sink : &weir__task_sink;
}

static ALWAYS_INLINE int submit_reserved(weir_pool *pool, struct task *task, weir_task_fn *fn,
                                         void *arg, const weir_task_options *options,
                                         const struct entry *entry)
{
    struct job job = {.fn = fn, .arg = arg, .sink = &task->sink, .lane = entry->lane};
    job.start_by = options->start_by != 0 ? options->start_by : WEIR_FOREVER;
    if (entry->events != 0)
        job.start_by = earlier(job.start_by, entry->deadline);
    if (too_late(entry, job.start_by))
        return count_rejected(pool, entry->lane, -ETIMEDOUT);
    if (entry->ctx != NULL) {
        job.context = weir_context_ref(entry->ctx);
        if (job.context == NULL)
            return -ENOMEM;
        job.start_by = earlier(job.start_by, weir_context_deadline(entry->ctx));
    }
    /* All published when the task is placed. */
    store_rlx(&task->sink.ops, sink_for(entry));
    if (!entry->goes_on)
        store_rlx(&task->cancelled, 0);
    task_set_owner(task, pool, entry->serial);
    store_rlx(&task->fork, fork_count());
    store_rlx(&task->cause, 0);
    store_rlx(&task->start_by, job.start_by);
    store_rlx(&task->not_before, 0);
    task->timeout = options->timeout;
    task->stuck_after = (float)options->stuck_after;
    task->on_done = options->on_done;
    task->arg = arg;
    task->name = options->name;
    task->reports = (struct reports *)options->completion;
    task->period = entry->period;
    task->place = 0;
    task->repeat = NULL;
    int err = enter(pool, task, &job, entry);
    if (err != 0)
        weir_context_unref(job.context);
    return err;
}

/* With a place to report the end in: that of the step before, if it has one there. */
static ALWAYS_INLINE int submit_reported(weir_pool *pool, struct task *task, weir_task_fn *fn,
                                         void *arg, const weir_task_options *options,
                                         const struct entry *entry)
{
    struct reports *reports = (struct reports *)options->completion;
    bool reserves = reports != NULL && !(entry->goes_on && weir__task_take_over(task, reports));
    int err = reserves ? reports->reserve(reports) : 0;
    if (unlikely(err != 0))
        return count_rejected(pool, entry->lane, err);
    err = submit_reserved(pool, task, fn, arg, options, entry);
    if (unlikely(err != 0) && reserves)
        reports->give_back(reports);
    return err;
}

/* The options are such as may be given here. */
static ALWAYS_INLINE int submit_with(weir_pool *pool, struct task *task, weir_task_fn *fn,
                                     void *arg, const weir_task_options *options,
                                     struct entry *entry)
{
    int err = context_err(entry->ctx);
    if (err != 0)
        return count_rejected(pool, entry->lane, err);
    bool goes_on;
    if ((err = weir__task_reserve(task, &goes_on)) != 0)
        return count_rejected(pool, entry->lane, err);
    entry->goes_on = goes_on;
    int status = load_rlx(&task->status), cause = load_rlx(&task->cause); /* ours */
    err = submit_reported(pool, task, fn, arg, options, entry);
    if (unlikely(err != 0)) {
        store_rlx(&task->status, status);
        store_rlx(&task->cause, cause);
        weir__task_restore(task);
    }
    return err;
}

/* 0; -EINVAL or -ESTALE: nothing can be submitted like this. */
static inline int check_call(const weir_pool *pool, const weir_task *task, weir_task_fn *fn)
{
    if (unlikely(pool == NULL || task == NULL || fn == NULL))
        return -EINVAL;
    return pool_stale(pool) ? -ESTALE : 0;
}

static __attribute__((noinline)) int submit_task(weir_pool *pool, weir_task *task, weir_task_fn *fn,
                                                 void *arg, const weir_task_options *given,
                                                 struct entry *entry)
{
    weir_task_options options;
    bool no_gate = entry->period != 0 || entry->serial != NULL || entry->events != 0;
    int err = check_call(pool, task, fn);
    if (err == 0)
        err = read_task_options(&options, given);
    if (err == 0 && (wrong_field(&options) != NULL || (options.gate != NULL && no_gate)))
        err = -EINVAL;
    if (err == 0 && unlikely(options.lane != 0))
        err = entry->serial == NULL ? weir__lane_named(&pool->queue, options.lane, &entry->lane)
                                    : -EINVAL;
    if (err != 0)
        return err;
    entry->gate = (struct job_gate *)options.gate;
    if (entry->gate != NULL && entry->gate->fork != fork_count())
        return -ESTALE;
    return submit_with(pool, (struct task *)task, fn, arg, &options, entry);
}

int weir_pool_submit_task(weir_pool *pool, weir_task *task, weir_task_fn *fn, void *arg,
                          const weir_task_options *options)
{
    if (options == NULL) {
        /* Most of the way is for options: inline, and with constants for them, nothing of that is
         * left. An entry of its own, whose address nobody keeps: so it stays in registers. */
        static const weir_task_options none;
        struct entry plain = {.mode = SUBMIT_POLICY, .deadline = WEIR_FOREVER};
        int err = check_call(pool, task, fn);
        return err == 0 ? submit_with(pool, (struct task *)task, fn, arg, &none, &plain) : err;
    }
    struct entry entry = {.mode = SUBMIT_POLICY, .deadline = WEIR_FOREVER};
    return submit_task(pool, task, fn, arg, options, &entry);
}

int weir_pool_try_submit_task(weir_pool *pool, weir_task *task, weir_task_fn *fn, void *arg,
                              const weir_task_options *options)
{
    struct entry entry = {.mode = SUBMIT_TRY, .deadline = WEIR_FOREVER};
    return submit_task(pool, task, fn, arg, options, &entry);
}

int weir_pool_submit_task_until(weir_pool *pool, weir_task *task, weir_task_fn *fn, void *arg,
                                const weir_task_options *options, weir_context *ctx,
                                int64_t deadline)
{
    struct entry entry = {.mode = SUBMIT_POLICY, .ctx = ctx, .deadline = deadline};
    return submit_task(pool, task, fn, arg, options, &entry);
}

int weir__submit_task_to(struct serial *serial, weir_task *task, weir_task_fn *fn, void *arg,
                         const weir_task_options *options, enum submit_mode mode, weir_context *ctx,
                         int64_t deadline)
{
    struct entry entry = {.mode = mode, .ctx = ctx, .deadline = deadline, .serial = serial};
    return submit_task(serial->pool, task, fn, arg, options, &entry);
}

int weir__submit_task_at(weir_pool *pool, weir_task *task, weir_task_fn *fn, void *arg,
                         const weir_task_options *options, int64_t at, int64_t period)
{
    struct entry entry = {.timed = true, .at = at, .period = period};
    return submit_task(pool, task, fn, arg, options, &entry);
}

int weir__submit_task_when(weir_pool *pool, weir_task *task, int fd, unsigned events,
                           weir_task_fn *fn, void *arg, const weir_task_options *options,
                           weir_context *ctx, int64_t deadline)
{
    struct entry entry = {
        .ctx = ctx, .deadline = deadline, .timed = true, .fd = fd, .events = events};
    return submit_task(pool, task, fn, arg, options, &entry);
}

int weir__submit_task_repeating(weir_pool *pool, weir_task *task, weir_task_fn *fn, void *arg,
                                const weir_task_options *options, const struct repeat *repeat)
{
    struct entry entry = {.mode = SUBMIT_POLICY, .deadline = WEIR_FOREVER, .repeat = repeat};
    return submit_task(pool, task, fn, arg, options, &entry);
}
