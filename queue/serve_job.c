/* SPDX-License-Identifier: MIT */
/* serve_job.c - jobs in hand: from a row of a take through the pool to their end. */
#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "serve.h"

enum { ROW_ID, ROW_TOKEN, ROW_ATTEMPTS, ROW_KEY, ROW_BODY, ROW_SIZE };

void weir__serve_ring(struct serve *serve)
{
    (void)eventfd_write(serve->bell, 1);
}

static bool is_row(const redisReply *row)
{
    static const int types[ROW_SIZE] = {REDIS_REPLY_STRING, REDIS_REPLY_INTEGER,
                                        REDIS_REPLY_INTEGER, REDIS_REPLY_STRING,
                                        REDIS_REPLY_STRING};
    if (row->type != REDIS_REPLY_ARRAY || row->elements != ROW_SIZE)
        return false;
    for (size_t i = 0; i < ROW_SIZE; i++)
        if (row->element[i]->type != types[i])
            return false;
    return row->element[ROW_ID]->len < sizeof((struct job *)NULL)->id;
}

/* The reply's own memory, which may be large. */
static char *steal(redisReply *text)
{
    char *memory = text->str;
    text->str = NULL;
    return memory;
}

struct job *weir__job_new(struct serve *serve, const redisReply *row, int64_t lease_end)
{
    struct job *job = is_row(row) ? calloc(1, sizeof *job) : NULL;
    if (job == NULL)
        return NULL;
    job->serve = serve;
    job->lease_end = lease_end;
    memcpy(job->id, row->element[ROW_ID]->str, row->element[ROW_ID]->len + 1);
    (void)snprintf(job->token, sizeof job->token, "%lld", row->element[ROW_TOKEN]->integer);
    job->message = (weir_message){
        .size = row->element[ROW_BODY]->len,
        .id = job->id,
        .attempt = (unsigned)row->element[ROW_ATTEMPTS]->integer + 1,
    };
    if (row->element[ROW_KEY]->len > 0)
        job->message.key = job->key = steal(row->element[ROW_KEY]);
    job->message.body = job->body = steal(row->element[ROW_BODY]);
    return job;
}

void weir__job_free(struct job *job)
{
    if (job->submitted && weir_task_wait(&job->task) < 0)
        return; /* never: it was accepted, and this is no task */
    free(job->key);
    free(job->body);
    free(job->errors);
    free(job);
}

/* Has it been given up, or would its lease be over? Then its handler is not called. */
static bool may_start_locked(const struct job *job)
{
    return job->cause == 0 && !job->serve->stopping && weir_now() < job->lease_end;
}

/* Tells the server that the job starts, without waiting for its answer: once sent, it arrives, even
 * if the handler ends the process. Before that, the results of those that have ended: so a
 * worker that dies never leaves more to be run again than was running. A line that is down is told
 * by the renewal after the next greeting. */
static void tell_start_locked(struct job *job)
{
    struct serve *serve = job->serve;
    struct wire *line = &serve->line;
    if (line->state != WIRE_READY)
        return;
    struct args args;
    weir__script_args(&args, &weir__script_start, &serve->queue->address, 3);
    weir__args_text(&args, job->id);
    weir__args_text(&args, job->token);
    weir__args_number(&args, job->message.attempt);
    int err = weir__line_settle_locked(serve);
    if (err == 0)
        err = weir__wire_send(line, TAG_START, NULL, 0, &args);
    if (err == 0)
        err = weir__wire_flush(line);
    weir__args_destroy(&args);
    /* The serving thread finds out by the state of the line, and has what is left over sent. */
    if (err < 0 && line->state != WIRE_CLOSED) {
        (void)weir__fail(&line->failure, err, "%s", weir_strerror(err));
        weir__wire_close(line);
    }
    if (err < 0 || (weir__wire_events(line) & POLLOUT) != 0)
        weir__serve_ring(serve);
}

static int run(weir_context *task_ctx, void *arg)
{
    struct job *job = arg;
    struct serve *serve = job->serve;
    weir_context *ctx;
    if (weir_context_new(&ctx, task_ctx, WEIR_FOREVER) < 0)
        return 0; /* it has not started */
    pthread_mutex_lock(&serve->lock);
    bool may = may_start_locked(job);
    if (may) {
        tell_start_locked(job);
        job->started = true;
        job->state = JOB_RUNNING;
        job->ctx = ctx;
    }
    pthread_mutex_unlock(&serve->lock);
    if (!may) {
        weir_context_unref(ctx);
        return 0;
    }
    return serve->fn(ctx, &job->message, serve->arg);
}

/* However the task ended: its handler may have ended the thread, or never have been called. */
static void ended(void *arg, weir_state end, int status)
{
    struct job *job = arg;
    struct serve *serve = job->serve;
    (void)end;
    pthread_mutex_lock(&serve->lock);
    weir_context *ctx = job->ctx;
    job->ctx = NULL;
    job->status = status;
    job->state = JOB_ENDED;
    serve->at_pool--;
    list_append(&serve->ended, &job->queue);
    bool wake = serve->sleeping;
    serve->sleeping = false;
    pthread_mutex_unlock(&serve->lock);
    weir_context_unref(ctx);
    weir__jobs_submit(serve);
    if (wake)
        weir__serve_ring(serve);
}

/* Returns NULL if there is none, or none may be given to the pool. */
static struct job *next_ready(struct serve *serve)
{
    struct job *job = NULL;
    pthread_mutex_lock(&serve->lock);
    if (!serve->stopping && serve->refused == 0 && serve->at_pool < serve->at_pool_most &&
        !list_empty(&serve->ready)) {
        job = container_of(serve->ready.next, struct job, queue);
        list_remove(&job->queue);
        job->state = JOB_SUBMITTED;
        serve->at_pool++;
    }
    pthread_mutex_unlock(&serve->lock);
    return job;
}

/* The pool did not take it. */
static void put_back(struct serve *serve, struct job *job, int err)
{
    pthread_mutex_lock(&serve->lock);
    job->state = JOB_READY;
    serve->at_pool--;
    /* To the front: it was the next. */
    list_append(serve->ready.next, &job->queue);
    if (err != -EAGAIN)
        serve->refused = err;
    bool wake = serve->sleeping;
    serve->sleeping = false;
    pthread_mutex_unlock(&serve->lock);
    if (wake)
        weir__serve_ring(serve);
}

void weir__jobs_submit(struct serve *serve)
{
    struct job *job;
    while ((job = next_ready(serve)) != NULL) {
        /* Set before: afterwards the job may have ended already, and be gone. */
        job->submitted = true;
        int err = weir_pool_try_submit_task(
            serve->pool, &job->task, run, job,
            WEIR_TASK_OPTIONS(.name = "weir_queue job", .on_done = ended));
        if (err < 0) {
            job->submitted = false;
            put_back(serve, job, err);
            return;
        }
    }
}

bool weir__job_stop(struct job *job, int cause)
{
    struct serve *serve = job->serve;
    pthread_mutex_lock(&serve->lock);
    bool news = job->cause == 0 && job->state != JOB_ENDED && job->state != JOB_SETTLING;
    weir_context *ctx = NULL;
    if (news) {
        job->cause = cause;
        ctx = weir_context_ref(job->ctx);
    }
    pthread_mutex_unlock(&serve->lock);
    weir_context_cancel(ctx, cause);
    weir_context_unref(ctx);
    return news;
}

void weir__jobs_withdraw(struct serve *serve)
{
    pthread_mutex_lock(&serve->lock);
    while (!list_empty(&serve->ready)) {
        struct job *job = container_of(serve->ready.next, struct job, queue);
        list_remove(&job->queue);
        job->state = JOB_ENDED;
        list_append(&serve->ended, &job->queue);
    }
    pthread_mutex_unlock(&serve->lock);
    for (struct list *at = serve->hand.next; at != &serve->hand; at = at->next) {
        struct job *job = container_of(at, struct job, hand);
        pthread_mutex_lock(&serve->lock);
        bool waits = job->state == JOB_SUBMITTED;
        pthread_mutex_unlock(&serve->lock);
        /* One that just starts sees `stopping`, and does not call its handler; so to cancel it too
         * does no harm. It has started if it is RUNNING, and then it is left alone. */
        if (waits)
            (void)weir_task_cancel(&job->task);
    }
}

static struct job *job_of(const weir_message *message)
{
    return container_of(message, struct job, message);
}

int weir_message_set_errors(const weir_message *message, const void *text, size_t size)
{
    if (message == NULL || (text == NULL && size > 0))
        return -EINVAL;
    struct job *job = job_of(message);
    size_t kept = size < WEIR_QUEUE_ERRORS_MAX ? size : WEIR_QUEUE_ERRORS_MAX;
    char *copy = malloc(kept + 1);
    if (copy == NULL)
        return -ENOMEM;
    if (kept > 0)
        memcpy(copy, (const char *)text + (size - kept), kept);
    pthread_mutex_lock(&job->serve->lock);
    char *old = job->errors;
    job->errors = copy;
    job->errors_size = kept;
    pthread_mutex_unlock(&job->serve->lock);
    free(old);
    return 0;
}

void weir_message_on_failure(const weir_message *message, weir_failure what)
{
    if (message == NULL)
        return;
    struct job *job = job_of(message);
    pthread_mutex_lock(&job->serve->lock);
    job->failure = what;
    pthread_mutex_unlock(&job->serve->lock);
}
