/* SPDX-License-Identifier: MIT */
/* play.c - runs jobs on the pool.
 *
 * A job that has one attempt is a plain task. One that can be retried is a task that the library
 * retries: between two attempts it waits in the pool's places for delayed tasks, and holds neither
 * a worker nor a slot. Either has exactly one end here: `play_finish`, after its last attempt, or
 * `play_leave_out`, if the pool ends it before.
 */
#include "play.h"

#include "attempt.h"
#include "complain.h"
#include "jobs_value.h"
#include "option_values.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A task returns it for a job that failed; the library asks whether to try that again. */
int play_code(const struct result *result)
{
    switch (result->state) {
    case JOB_OK:
        return 0;
    case JOB_FAILED:
        return result->hopeless ? CODE_HOPELESS : result->exit_code;
    case JOB_SIGNALLED:
        return CODE_SIGNAL;
    case JOB_TIMED_OUT:
        return CODE_TIMEOUT;
    case JOB_NOT_RUN:
        break;
    }
    return CODE_STOPPED;
}

bool play_is_retryable(int code, const struct settings *settings)
{
    char entry[16];
    if (code == CODE_HOPELESS || code == CODE_STOPPED)
        return false;
    if (settings->retry_on == NULL)
        return true;
    snprintf(entry, sizeof(entry), "%d", code);
    return retry_on_has(settings->retry_on, code == CODE_SIGNAL    ? "signal"
                                            : code == CODE_TIMEOUT ? "timeout"
                                                                   : entry);
}

static int is_retryable(int code, void *user)
{
    return play_is_retryable(code, user);
}

static void account(struct run *run, struct job *job)
{
    job->accounted = true;
    if (tally_add(&run->tally, run->settings, job))
        stop_to(&run->stop, run->settings->halt_when == HALT_NOW ? STOP_TERM : STOP_SOON, STOP_HALT,
                0);
    if (run->settings->timeout_percent > 0 && job->result.state == JOB_OK)
        slots_nudge(&run->slots);
}

static void log_failed(struct run *run, const char *option, const char *path, int err)
{
    if (err == 0)
        return;
    complain("%s: %s: %s", option, path, strerror(-err));
    stop_to(&run->stop, STOP_SOON, STOP_OUTPUT, 0);
}

static void add_to_joblog(struct run *run, struct slot *slot, struct job *job)
{
    bool unprinted = job->result.bytes > 0 && output_error(&run->output) != 0;
    if (job->result.state == JOB_NOT_RUN || job->result.lost || unprinted)
        return;
    const struct buffer *name = slot->name.size > 0 ? &slot->name : &slot->shown;
    int err = joblog_add(&run->joblog, job, (struct bytes){name->data, name->size});
    log_failed(run, "--joblog", run->settings->joblog, err);
}

/* The job's last attempt is over. What the log says is done has been printed, unless it has to wait
 * for its turn. Gives up the worker's hold on the job. */
void play_finish(struct run *run, struct slot *slot, struct job *job)
{
    struct buffer none = {0};
    bool said = run->settings->output != OUTPUT_GROUP;
    if (!run->settings->keep_order)
        output_print(&run->output, job, said ? &none : &slot->shown, &slot->out, &slot->err);
    add_to_joblog(run, slot, job);
    account(run, job);
    if (!run->settings->keep_order) {
        job_release(job, &run->bin);
        return;
    }
    job->out = slot->out;
    job->err = slot->err;
    if (!said) {
        job->shown = slot->shown;
        slot->shown = none;
    }
    slot->out = slot->err = (struct capture){0};
    job_forget_records(job);
    output_in_turn(&run->output, job);
}

/* The job waits no longer: others may be made. */
static void give_weight_back(struct run *run, struct job *job)
{
    uint32_t weight = job->weight;
    job->weight = 0;
    weir_semaphore_release(&run->weight, weight);
}

/* The job will not be run, or not again. Gives up one hold on it. */
void play_leave_out(struct run *run, struct job *job)
{
    job->result.state = JOB_NOT_RUN;
    give_weight_back(run, job);
    account(run, job);
    if (run->settings->keep_order)
        output_in_turn(&run->output, job);
    else
        job_release(job, &run->bin);
}

static void no_command(struct slot *slot, struct job *job)
{
    job->result = (struct result){
        .state = JOB_FAILED, .hopeless = true, .exit_code = 126, .queued = job->queued};
    complain("job %llu: %s", (unsigned long long)job->seq, slot->argv.why);
}

void play_hopeless(struct run *run, struct slot *slot, struct job *job, const char *why)
{
    restraint_started(&run->restraint);
    buffer_clear(&slot->name);
    buffer_clear(&slot->shown);
    snprintf(slot->argv.why, sizeof(slot->argv.why), "%s", why);
    no_command(slot, job);
}

/* Makes the slot's command. Returns whether there is one. */
static bool make_command(struct run *run, struct slot *slot, struct job *job)
{
    struct template *command = &run->command;
    bool shell = command->shell || job->command != NULL;
    buffer_clear(&slot->name);
    buffer_clear(&slot->shown);
    bool numbered = command->has_seq || command->has_slot || job->command != NULL;
    if (run->joblog.fd >= 0 && numbered &&
        render_command(&slot->argv, command, job, RENDER_KEY, run->settings->fill) == 0)
        render_shown(&slot->name, &slot->argv, shell);
    output_make_tag(&run->output, job, slot->number);
    bool made = render_command(&slot->argv, command, job, slot->number, run->settings->fill) == 0;
    if (run->needs_shown && slot->argv.n > 0 && !slot->argv.text.failed)
        render_shown(&slot->shown, &slot->argv, shell);
    return made;
}

/* -v, where output comes as it is written: the command comes before. */
static void say_command(struct run *run, struct slot *slot, struct job *job)
{
    if (!run->settings->keep_order) {
        output_print(&run->output, job, &slot->shown, &slot->out, &slot->err);
        return;
    }
    (void)capture_append(&slot->out, slot->shown.data, slot->shown.size);
    output_lines(&run->output, job, &slot->out, STDOUT_FILENO, (struct bytes){"\n", 1});
}

void play_attempt(struct run *run, struct slot *slot, struct job *job)
{
    if (!make_command(run, slot, job)) {
        restraint_started(&run->restraint);
        no_command(slot, job);
        return;
    }
    if (run->settings->verbose && run->settings->output != OUTPUT_GROUP)
        say_command(run, slot, job);
    if (job->input >= 0)
        lseek(job->input, 0, SEEK_SET);
    pthread_mutex_lock(&slot->lock);
    slot->seq = job->seq;
    slot->since = weir_now();
    if (run->seeing.bar || slot->shown.size > 0)
        snprintf(slot->label, sizeof(slot->label), "%.*s", (int)slot->shown.size,
                 slot->shown.size == 0 ? "" : slot->shown.data);
    else
        snprintf(slot->label, sizeof(slot->label), "job %llu", (unsigned long long)job->seq);
    pthread_mutex_unlock(&slot->lock);
    attempt_run(run, slot, job);
    if (run->settings->output == OUTPUT_RAW && job->result.state != JOB_OK)
        output_look(&run->output);
    pthread_mutex_lock(&slot->lock);
    slot->seq = 0;
    pthread_mutex_unlock(&slot->lock);
    int err =
        log_add(&run->log, job, slot->number, (struct bytes){slot->shown.data, slot->shown.size});
    log_failed(run, "--log", run->settings->log, err);
    err = trace_add(&run->seeing.trace, job, slot->number,
                    (struct bytes){slot->shown.data, slot->shown.size});
    log_failed(run, "--trace", run->settings->trace, err);
}

/* The file of -j is read whenever a job ends. A smaller number takes the permits of jobs that end;
 * `withheld` are those that nobody has. */
static void reread_slots(struct run *run)
{
    struct settings now = *run->settings;
    pthread_mutex_lock(&run->allowed_lock);
    unsigned slots = jobs_file_read(&now) ? jobs_slots(&now, run->cpus) : run->wanted;
    if (slots > run->n_slots)
        slots = run->n_slots;
    run->wanted = slots;
    unsigned withhold = run->n_slots - slots;
    run->withheld++; /* that of the job which has ended */
    unsigned release = run->withheld > withhold ? run->withheld - withhold : 0;
    run->withheld -= release;
    pthread_mutex_unlock(&run->allowed_lock);
    weir_semaphore_release(&run->allowed, release);
}

/* Blocks until an attempt may start. */
int play_wait_for_start(struct run *run, struct job *job, uint64_t *ret_ticket)
{
    if (weir_context_err(run->stop.ctx) != 0)
        return -ECANCELED;
    int err = 0;
    if (run->settings->jobs_kind == JOBS_FILE && !job->has_permit)
        err = weir_semaphore_acquire_until(&run->allowed, 1, run->stop.ctx, WEIR_FOREVER);
    if (err != 0)
        return err;
    job->has_permit = false;
    err = restraint_wait(&run->restraint, run->stop.ctx, ret_ticket);
    if (err != 0 && run->settings->jobs_kind == JOBS_FILE)
        reread_slots(run);
    return err;
}

static int play(weir_context *ctx, void *arg)
{
    struct job *job = arg;
    struct run *run = job->run;
    const struct settings *settings = run->settings;
    uint64_t ticket;
    (void)ctx; /* over when the run stops; but what has begun goes on */
    if (play_wait_for_start(run, job, &ticket) != 0) {
        /* If it can be retried, its task's end accounts for it. */
        if (!job->can_be_retried)
            play_leave_out(run, job);
        return CODE_STOPPED;
    }
    give_weight_back(run, job);
    struct slot *slot = slots_take(&run->slots);
    job->attempt++;
    play_attempt(run, slot, job);
    int code = play_code(&job->result);
    bool stopped = code == CODE_STOPPED;
    restraint_record(&run->restraint, ticket, stopped ? -ECANCELED : code);
    if (code == 0 || job->attempt >= settings->retries || !play_is_retryable(code, settings)) {
        job->accounted = true;
        play_finish(run, slot, job);
    } else {
        capture_clear(&slot->out);
        capture_clear(&slot->err);
    }
    slots_give(&run->slots, slot);
    if (settings->jobs_kind == JOBS_FILE)
        reread_slots(run);
    return code;
}

void play_dropped(weir_task_fn *fn, void *arg, weir_state why, void *user)
{
    (void)fn;
    (void)why;
    play_leave_out(user, arg);
}

/* The end of a task that could be retried: after `play_finish`, or in its place. */
static void retried_task_ended(void *arg, weir_state end, int status)
{
    struct job *job = arg;
    struct run *run = job->run;
    (void)end;
    (void)status;
    weir_semaphore_release(&run->live, 1);
    if (!job->accounted)
        play_leave_out(run, job);
    job_release(job, &run->bin);
}

static int submit_with_retries(struct run *run, struct job *job)
{
    int err = weir_semaphore_acquire_until(&run->live, 1, run->stop.ctx, WEIR_FOREVER);
    if (err != 0)
        return err;
    job->can_be_retried = true;
    job->holders = 2;
    err = weir_pool_submit_retry(run->pool, &job->task, play, job,
                                 WEIR_TASK_OPTIONS(.on_done = retried_task_ended), &run->retry);
    if (err == 0)
        return 0;
    weir_semaphore_release(&run->live, 1);
    job->can_be_retried = false;
    job->holders = 1;
    return err;
}

int play_submit(struct run *run, struct job *job)
{
    int err = 0;
    if (job->weight > QUEUE_WEIGHT)
        job->weight = QUEUE_WEIGHT;
    if (run->settings->keep_order)
        err = weir_semaphore_acquire_until(&run->output.room, 1, run->stop.ctx, WEIR_FOREVER);
    if (err == 0)
        err = weir_semaphore_acquire_until(&run->weight, job->weight, run->stop.ctx, WEIR_FOREVER);
    if (err != 0) {
        tally_add_not_run(&run->tally, 1);
        job_free(job);
        return err;
    }
    job->turn = run->n_submitted++;
    if (run->settings->jobs_kind == JOBS_FILE)
        err = weir_semaphore_acquire_until(&run->allowed, 1, run->stop.ctx, WEIR_FOREVER);
    job->has_permit = err == 0;
    if (err == 0 && run->settings->retries > 1)
        err = submit_with_retries(run, job);
    else if (err == 0)
        err = weir_pool_submit(run->pool, play, job);
    if (err != 0)
        play_leave_out(run, job);
    bin_empty(&run->bin);
    return err;
}

void play_prepare(struct run *run)
{
    const struct settings *settings = run->settings;
    int64_t max = settings->backoff_max > 0 ? settings->backoff_max : WEIR_S(3600);
    run->retry = (weir_retry_options){
        .size = sizeof(run->retry),
        .max_attempts = (unsigned)settings->retries,
        .initial_interval = settings->backoff_first > 0 ? settings->backoff_first : 1,
        .max_interval = settings->backoff_first > max ? settings->backoff_first : max,
        .multiplier = settings->backoff_first > 0 ? 2 : 1,
        .jitter = settings->backoff_first > 0 ? 0.25 : -1,
        .retryable = is_retryable,
        .user = (void *)settings,
    };
}
