/* SPDX-License-Identifier: MIT */
/* serve.c - runs the jobs of a queue: one attempt of each, after which the queue decides what
 * becomes of it.
 *
 * A job is done once its output is printed and its row is in the log: what is lost on the way there
 * is run again. What weir itself has stopped, or what has to wait for a start that does not come,
 * goes back as if it had never been taken.
 */
#include "serve.h"

#include "complain.h"
#include "play.h"
#include "queue_words.h"
#include "temporary.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What a message is made into. */
struct delivery {
    struct run *run;
    const weir_message *message;
    struct job *job;
    struct columns columns;
    struct names names;
    const char *why; /* no command can be made of it, since ...; NULL: perhaps it can */
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* With --header the body is the header, the delimiter, and the record. */
static int cut(struct delivery *delivery)
{
    const struct settings *settings = delivery->run->settings;
    struct bytes record = {delivery->message->body, delivery->message->size};
    int err = 0;
    if (record.size == 0)
        record.data = "";
    if (settings->header) {
        const char *end = memchr(record.data, settings->delimiter, record.size);
        struct bytes header = {record.data, end == NULL ? 0 : (size_t)(end - record.data)};
        if (end == NULL) {
            delivery->why = "its record comes without a header";
        } else {
            record = (struct bytes){end + 1, record.size - header.size - 1};
            err = columns_split(&delivery->columns, header, settings->colsep);
            err = err != 0 ? err : names_of(&delivery->names, &delivery->columns);
            columns_clear(&delivery->columns);
        }
    }
    return err != 0 ? err : columns_split(&delivery->columns, record, settings->colsep);
}

/* --pipe: the body is what the job reads. */
static int make_input(struct delivery *delivery)
{
    struct job *job = delivery->job;
    job->input = temporary_memory();
    return job->input < 0 ? job->input
                          : write_all(job->input, delivery->message->body, delivery->message->size);
}

static int make_job(struct delivery *delivery)
{
    struct run *run = delivery->run;
    struct work *work = run->origin->user;
    bool pipe = run->settings->pipe;
    int err = pipe ? 0 : cut(delivery);
    if (err != 0)
        return err;
    size_t end = delivery->columns.n;
    delivery->job = job_new(delivery->columns.all, end, &end, pipe ? 0 : 1);
    if (delivery->job == NULL)
        return -ENOMEM;
    struct job *job = delivery->job;
    job->run = run;
    job->weight = 0; /* what waits, waits at the server */
    job->names = run->settings->header ? &delivery->names : NULL;
    job->id = delivery->message->id;
    job->attempt = delivery->message->attempt;
    job->queued = now_ms();
    pthread_mutex_lock(&work->lock);
    job->seq = job->log_seq = ++work->n_taken;
    pthread_mutex_unlock(&work->lock);
    tally_add_read(&run->tally, 1, 0);
    return pipe ? make_input(delivery) : 0;
}

static void lease_lost(void *arg)
{
    slot_end_job(arg);
}

/* One attempt, which ends early if the job is not this worker's any more. */
static void attempt(struct delivery *delivery, weir_context *ctx, struct slot *slot)
{
    struct run *run = delivery->run;
    struct job *job = delivery->job;
    weir_context_hook hook = WEIR_CONTEXT_HOOK_INIT;
    slot->lost = false;
    buffer_clear(&slot->tail);
    int err = weir_context_on_done(ctx, &hook, lease_lost, slot);
    if (err != 0) {
        restraint_started(&run->restraint);
        complain("job %llu: %s", (unsigned long long)job->seq, strerror(-err));
        job->result = (struct result){.state = JOB_NOT_RUN, .queued = job->queued};
    } else if (delivery->why != NULL) {
        play_hopeless(run, slot, job, delivery->why);
    } else {
        play_attempt(run, slot, job);
    }
    (void)weir_context_hook_stop(&hook);
}

/* What the queue keeps of a failure: the end of the job's errors, and how it ended if they are
 * unlikely to say so. */
static void keep_errors(const struct delivery *delivery, struct slot *slot)
{
    const struct result *result = &delivery->job->result;
    struct buffer text = {0};
    char captured[TAIL_SIZE];
    struct bytes tail = {slot->tail.data, slot->tail.size};
    if (tail.size == 0)
        tail = (struct bytes){captured, capture_tail(&slot->err, captured, sizeof(captured))};
    /* Where it was cut, it begins with the first whole line. */
    const char *line = tail.size < TAIL_SIZE ? NULL : memchr(tail.data, '\n', tail.size);
    size_t cut =
        line == NULL || line + 1 == tail.data + tail.size ? 0 : (size_t)(line + 1 - tail.data);
    buffer_append(&text, tail.data + cut, tail.size - cut);
    if (text.size > 0 && text.data[text.size - 1] != '\n')
        buffer_append(&text, "\n", 1);
    if (result->hopeless)
        buffer_printf(&text, "weir: %s\n", slot->argv.why);
    else if (result->state == JOB_TIMED_OUT)
        buffer_append_text(&text, "weir: it took longer than its time-out\n");
    else if (result->state == JOB_SIGNALLED)
        buffer_printf(&text, "weir: signal %d ended it\n", result->signal);
    else if (!result->started)
        buffer_append_text(&text, "weir: it could not be started\n");
    if (!text.failed && text.size > 0)
        (void)weir_message_set_errors(delivery->message, text.data, text.size);
    buffer_free(&text);
}

/* As a shell, and timeout(1), put it. */
static int status_of(const struct result *result)
{
    return result->state == JOB_TIMED_OUT   ? 124
           : result->state == JOB_SIGNALLED ? 128 + result->signal
                                            : result->exit_code;
}

static int give_back(const weir_message *message)
{
    weir_message_on_failure(message, WEIR_FAILURE_GIVE_BACK);
    return ECANCELED;
}

/* Says what is to become of the job, before it is printed and gone. Returns its status. */
static int decide(const struct delivery *delivery, weir_context *ctx, struct slot *slot)
{
    const struct run *run = delivery->run;
    const struct weir_message *message = delivery->message;
    int code = play_code(&delivery->job->result);
    if (code == 0)
        return 0;
    if (code == CODE_STOPPED && weir_context_cause(ctx) == -ECANCELED)
        return ECANCELED; /* it was cancelled: it does not go back */
    if (code == CODE_STOPPED)
        return give_back(message);
    keep_errors(delivery, slot);
    if (!play_is_retryable(code, run->settings))
        weir_message_on_failure(message, WEIR_FAILURE_BURY);
    return status_of(&delivery->job->result);
}

static int play(struct delivery *delivery, weir_context *ctx)
{
    struct run *run = delivery->run;
    struct job *job = delivery->job;
    uint64_t ticket;
    if (play_wait_for_start(run, job, &ticket) != 0) {
        play_leave_out(run, job);
        return give_back(delivery->message);
    }
    struct slot *slot = slots_take(&run->slots);
    attempt(delivery, ctx, slot);
    int code = play_code(&job->result);
    restraint_record(&run->restraint, ticket, code == CODE_STOPPED ? -ECANCELED : code);
    int status = decide(delivery, ctx, slot);
    bool wrote = job->result.bytes > 0;
    bool lost = job->result.lost;
    play_finish(run, slot, job);
    slots_give(&run->slots, slot);
    int signal;
    bool output = stop_reason(&run->stop, &signal) == STOP_OUTPUT;
    return (output && lost) || (wrote && output_error(&run->output) != 0)
               ? give_back(delivery->message)
               : status;
}

static int handle(weir_context *ctx, const weir_message *message, void *arg)
{
    struct delivery delivery = {.run = arg, .message = message};
    int status;
    int err = make_job(&delivery);
    if (err != 0) {
        complain("a job cannot be taken: %s", strerror(-err));
        job_free(delivery.job);
        status = EXIT_WEIR;
    } else {
        status = play(&delivery, ctx);
    }
    columns_free(&delivery.columns);
    names_free(&delivery.names);
    return status;
}

static void tell(weir_serve_event event, const char *text, const char *id, void *user)
{
    struct run *run = user;
    if (run->settings->quiet && event != WEIR_SERVE_LOST)
        return;
    switch (event) {
    case WEIR_SERVE_CONNECTED:
        if (run->settings->verbose)
            complain("connected to %s", text);
        break;
    case WEIR_SERVE_WARNING:
        complain("warning: %s", text);
        break;
    case WEIR_SERVE_DISCONNECTED:
        complain("%s", text);
        break;
    case WEIR_SERVE_LOST:
        complain("job %s: %s", id == NULL ? "?" : id, text);
        break;
    }
}

int serve_feed(struct run *run)
{
    struct work *work = run->origin->user;
    work->options.slots = run->n_slots;
    work->options.on_event = tell;
    work->options.user = run;
    int err = weir_queue_serve(work->queue, run->pool, handle, run, &work->options, run->stop.ctx);
    if (err == 0)
        return 0;
    queue_complain(work->queue, err);
    return err;
}
