/* SPDX-License-Identifier: MIT */
/* run.c - running a job, and its one end.
 *
 * The thread that has a job ends it here, once. The order at the end: the counts; the job's
 * reference on its context; the sink is told, or on_drop; then the job counts as through, by which
 * drain and shutdown know that weir touches nothing of it any more.
 *
 * A task that ends its thread unwinds the stack through weir__run: the frame's cleanup gives each
 * task that was running its end, FAILED with -ECANCELED.
 */
#include "pool/run.h"

#include <errno.h>

#include "base/unwind.h"
#include "pool/lanes.h"

bool weir__inside(const struct host *host)
{
    const struct seat *seat = this_thread()->seat;
    if (seat != NULL && seat->host == host)
        return true;
    for (const struct frame *frame = this_thread()->frame; frame != NULL; frame = frame->below)
        if (frame->host == host)
            return true;
    for (const struct ending *ending = this_thread()->ending; ending != NULL;
         ending = ending->below)
        if (ending->host == host)
            return true;
    return false;
}

bool weir__inside_sink(const struct sink *sink)
{
    for (const struct frame *frame = this_thread()->frame; frame != NULL; frame = frame->below)
        if (frame->job->sink == sink)
            return true;
    for (const struct ending *ending = this_thread()->ending; ending != NULL;
         ending = ending->below)
        if (ending->sink == sink)
            return true;
    return false;
}

void weir__forget_host(const struct host *host)
{
    static struct host stale = {.fork = UINT32_MAX}; /* stands for all that are gone */
    struct self *self = this_thread();
    if (self->seat != NULL && self->seat->host == host) {
        self->seat = NULL;
        self->around_sleep = NULL;
    }
    for (struct frame *frame = self->frame; frame != NULL; frame = frame->below)
        if (frame->host == host)
            frame->host = &stale;
    for (struct ending *ending = self->ending; ending != NULL; ending = ending->below)
        if (ending->host == host)
            ending->host = &stale;
}

/* Ends. */

struct work {
    struct quiet *quiet;
    struct tally *own;
};

static inline void count_out(const struct work *work)
{
    quiet_out(work->quiet, work->own);
}

static COLD void call_on_drop(const struct host *host, const struct job *job, weir_state end)
{
    struct ending ending ON_LEAVE(ending_pop);
    ending_push(&ending, host, job->sink);
    host->on_drop(job->fn, job->arg, end, host->user);
}

/* `own`: own_tally. */
static void end(struct host *host, struct tally *own, const struct job *job, weir_state end,
                int status)
{
    struct sink *sink = job->sink;
    /* Out at last, also if a callback ends the thread. */
    const struct work work ON_LEAVE(count_out) = {&host->queue->quiet, own};
    TALLY(&work.quiet->tallies, work.own, ends[end - WEIR_TASK_DONE], 1);
    if (unlikely(job->context != NULL))
        weir_context_unref(job->context);
    bool unstarted = end > WEIR_TASK_FAILED;
    if (unlikely(unstarted) && host->on_drop != NULL &&
        (sink == NULL || sink_ops(sink)->tells_on_drop))
        call_on_drop(host, job, end);
    if (sink != NULL)
        sink_ops(sink)->ended(sink, job, end, status); /* it may be gone afterwards */
}

/* The same for one that has returned 0 on a worker, nobody waits for, and holds no context: then
 * there is nothing to call, and so nothing to clean up. */
static inline void end_plain(struct queue *queue, struct tally *own)
{
    TALLY(&queue->quiet.tallies, own, ends[0], 1);
    quiet_out(&queue->quiet, own);
}

void weir__end_unstarted(struct host *host, const struct job *job, weir_state why)
{
    int status =
        why == WEIR_TASK_CANCELLED ? -ECANCELED : (why == WEIR_TASK_EXPIRED ? -ETIMEDOUT : -EPIPE);
    TRACE(note_unstarted, &host->trace, why, status);
    end(host, own_tally(host->queue), job, why, status);
}

bool weir__clear_head(struct host *host, uint32_t number, int64_t passed, int64_t *ret_until)
{
    struct queue *queue = host->queue;
    struct lane *lane = queue->lanes[number];
    bool cleared = false;
    struct head head;
    struct job job;
    while (queue_head_done(queue, lane, passed, &head, ret_until)) {
        enum taken taken = weir__queue_take_head(queue, lane, &head, &job);
        if (taken == TAKEN_JOB)
            weir__end_unstarted(host, &job, WEIR_TASK_EXPIRED);
        cleared |= taken != TAKEN_NONE;
    }
    return cleared;
}

/* Runs. */

/* A run of a job that may repeat is over: ends the run, or the job. */
static COLD void end_run(struct host *host, const struct job *job, weir_state why, int status)
{
    weir_state as_told = why;
    bool repeats = sink_ops(job->sink)->again(job->sink, job, status, &why);
    TRACE(note_run_end, &host->trace, as_told, status);
    if (repeats)
        quiet_out(&host->queue->quiet, own_tally(host->queue));
    else
        end(host, own_tally(host->queue), job, why,
            why == WEIR_TASK_CANCELLED ? -ECANCELED : status);
}

/* What the hooks are told of a job. */
struct given {
    weir_task_fn *fn;
    void *arg;
    int worker; /* or -1 */
};

static struct given given(const struct frame *frame)
{
    const struct job *job = frame->job;
    const struct seat *seat = own_seat(frame->host->queue);
    struct given given = {job->fn, job->arg, -1};
    if (seat != NULL)
        given.worker = (int)(seat->tally - frame->host->queue->quiet.tallies.of_workers);
    if (job->sink != NULL && sink_ops(job->sink)->submitted != NULL)
        sink_ops(job->sink)->submitted(job->sink, &given.fn, &given.arg);
    return given;
}

/* Of an attended pool: shows the run to the watchdog, if this is a worker, and to the hook. */
static COLD void attend_start(struct frame *frame, int64_t own_limit)
{
    const struct host *host = frame->host;
    struct seat *seat = own_seat(host->queue);
    int64_t began = frame->timing.began;
    frame->told = false;
    if (host->watchdog != NULL && seat != NULL)
        watch_run(host->watchdog, seat->watched, began != 0 ? began : weir_now(), own_limit);
    if (host->on_task_start != NULL) {
        struct given is = given(frame);
        host->on_task_start(is.fn, is.arg, is.worker, host->user);
    }
}

/* And its end. If the hook ends the thread, it is not called again. */
static COLD void attend_end(struct frame *frame, int status)
{
    const struct host *host = frame->host;
    bool told = frame->told;
    frame->told = true;
    if (host->on_task_end != NULL && !told) {
        struct given is = given(frame);
        host->on_task_end(is.fn, is.arg, is.worker, status, host->user);
    }
    struct seat *seat = own_seat(host->queue);
    if (host->watchdog != NULL && seat != NULL)
        watch_ran(seat->watched);
}

/* To those who measure, a trace and tools. */
static COLD void show_end(const struct frame *frame, weir_state why, int status)
{
    const struct job *job = frame->job;
    note_end(own_times(frame->host), job->stamp, job->lane, &frame->timing);
    PROBE5(task_end, frame->host->queue, job->fn, weir_now() - frame->timing.began, why, status);
    if (job->sink == NULL || sink_ops(job->sink)->again == NULL) /* else end_run does */
        TRACE(note_run_end, &frame->host->trace, why, status);
}

/* Pops the frame and ends its job, or this run of it. */
static ALWAYS_INLINE void leave(struct frame *frame, int status)
{
    const struct job *job = frame->job;
    struct host *host = frame->host;
    weir_state why = status == 0 ? WEIR_TASK_DONE : WEIR_TASK_FAILED;
    struct self *self = this_thread();
    if (unlikely(frame->timing.began != 0))
        show_end(frame, why, status);
    note_ran(self);
    self->frame = frame->below;
    weir__context_end(&frame->context);
    struct tally *own = own_tally(host->queue);
    if (job->sink == NULL && likely(status == 0 && job->context == NULL && own != NULL))
        end_plain(host->queue, own);
    else if (job->sink != NULL && unlikely(sink_ops(job->sink)->again != NULL))
        end_run(host, job, why, status);
    else
        end(host, own, job, why, status);
}

static void check_fork(const struct host *host)
{
    if (host_stale(host))
        weir__misuse("fork",
                     "a task that forked must not return, nor end its thread, in the child.");
}

/* The cleanup of a frame: only if the job's function did not come back. */
static void leave_if_dying(struct frame *frame)
{
    if (likely(frame->returned))
        return;
    check_fork(frame->host);
    if (frame->host->attended)
        attend_end(frame, -ECANCELED);
    leave(frame, -ECANCELED);
}

/* To those who measure, and to tools: these have raised the semaphore before the submit, as
 * queue_stamp saw, or they miss the start. */
static COLD void show_start(struct frame *frame)
{
    const struct job *job = frame->job;
    note_start(own_times(frame->host), job->stamp, job->lane, &frame->timing);
    PROBE3(task_start, frame->host->queue, job->fn, frame->timing.began - stamp_time(job->stamp));
}

/* A trace shows also runs of jobs that were queued before it. */
static COLD void trace_start(struct frame *frame, uintptr_t fn, const char *name)
{
    if (frame->timing.began == 0)
        frame->timing.began = weir_now(); /* so that its end is shown */
    weir__note_run(&frame->host->trace, fn, name, stamp_time(frame->job->stamp));
}

/* Of a job of which there is more to tell than its function. A function of its own, so that what it
 * has on the stack is gone while the job runs. */
static __attribute__((noinline)) void begin_told(struct frame *frame, struct self *self,
                                                 struct start *ret)
{
    const struct job *job = frame->job;
    struct host *host = frame->host;
    struct sink *sink = job->sink;
    if (sink != NULL && sink_ops(sink)->starts != NULL)
        sink_ops(sink)->starts(sink, ret);
    else
        *ret = (struct start){.cancelled = NULL};
    struct run_more more = {.name = ret->name, .sink = sink, .owner = host};
    if (sink == NULL && host->name_of != NULL)
        more.name = host->name_of(job->fn, job->arg, host->user);
    uintptr_t fn = ret->fn != 0 ? ret->fn : (uintptr_t)job->fn;
    note_run(self, fn, frame->timing.began, &more);
    if (trace_on())
        trace_start(frame, fn, more.name);
}

/* The job begins: it is noted, told, and this thread's innermost frame. */
static ALWAYS_INLINE void begin(struct frame *frame, struct host *host, const struct job *job,
                                struct self *self, weir_context *parent)
{
    int64_t deadline = WEIR_FOREVER, own_limit = 0;
    atomic(uint32_t) *cancelled = NULL;
    frame->timing.began = 0;
    if (unlikely(job->stamp != 0))
        show_start(frame);
    if (likely(job->sink == NULL && host->name_of == NULL && self->seat != NULL) && !trace_on()) {
        note_run(self, (uintptr_t)job->fn, frame->timing.began, NULL);
    } else {
        struct start start;
        begin_told(frame, self, &start);
        cancelled = start.cancelled;
        own_limit = start.stuck_after;
        if (start.timeout != 0)
            deadline = weir_after(start.timeout);
    }
    weir__context_begin(&frame->context, parent, host->context, deadline, cancelled);
    frame->returned = false;
    self->frame = frame;
    if (unlikely(host->notes_starts)) {
        lanes_count_start(self->seat, job);
        if (host->queue->size != NULL && own_seat(host->queue) != NULL)
            size_note_start(host->queue->size);
        if (host->attended)
            attend_start(frame, own_limit);
    }
}

static ALWAYS_INLINE void run(struct host *host, const struct job *job)
{
    if (unlikely(job->start_by != WEIR_FOREVER && job->start_by <= weir_now())) {
        weir__end_unstarted(host, job, WEIR_TASK_EXPIRED);
        return;
    }
    if (job->sink != NULL && unlikely(job_is_turn(job))) { /* a plain job is none */
        lanes_count_start(this_thread()->seat, job);
        sink_ops(job->sink)->turn(job->sink, host, false);
        return;
    }
    struct self *self = this_thread();
    struct frame frame ON_LEAVE(leave_if_dying);
    frame.below = self->frame;
    frame.host = host;
    frame.job = job;
    frame.returned = true;
    weir_context *parent = job->context != NULL ? job->context : lent_context(job->sink);
    /* Its own flag does not count here: the thread that raised it was told that it has started. */
    int err = context_err(parent);
    if (err == 0)
        err = context_err(host->context);
    if (unlikely(err != 0)) {
        weir__end_unstarted(host, job, err == -ETIMEDOUT ? WEIR_TASK_EXPIRED : WEIR_TASK_CANCELLED);
        return;
    }
    begin(&frame, host, job, self, parent);
    int status = job->fn(&frame.context, job->arg);
    check_fork(frame.host); /* not `host`: it may be gone, as weir__forget_host says */
    if (unlikely(host->attended))
        attend_end(&frame, status);
    frame.returned = true;
    leave(&frame, status);
}

void weir__run(struct host *host, const struct job *job)
{
    run(host, job);
}

static COLD void run_measured(struct host *host, const struct job *job, uint64_t stamp)
{
    struct job measured = *job;
    measured.stamp = stamp;
    weir__run(host, &measured);
}

int weir__run_in_place(struct host *host, struct times *times, const struct job *job)
{
    struct self *self ON_LEAVE(inline_end) = this_thread();
    (void)self;
    note_in_place(times, job->lane);
    PROBE3(task_submit, host->queue, job->fn, job->arg);
    uint64_t stamp = queue_stamp(host->queue);
    if (unlikely(stamp != 0))
        run_measured(host, job, stamp);
    else
        run(host, job);
    return 0;
}
