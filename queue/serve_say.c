/* SPDX-License-Identifier: MIT */
/* serve_say.c - what is said to the server on the line.
 *
 * After a greeting the first thing said is the renewal of all leases, which also gives back what a
 * take that was cut off has left in our name. Takes and results come after its answer.
 */
#include <stdlib.h>
#include <string.h>

#include "serve.h"
#include "server_facts.h"

#define MOST_TAKEN 1024
#define MOST_BYTES (8 * 1024 * 1024)
#define MOST_SETTLED 128
/* Lost entries are looked for so much later than a lease. */
#define MEND_PAUSE WEIR_S(5)

/* A line that is closed was lost by a pool's thread, which left why. */
static int send_locked(struct serve *serve, enum line_tag tag, void *data, struct args *args)
{
    int err = serve->line.state == WIRE_READY
                  ? weir__wire_send(&serve->line, (int)tag, data, 0, args)
                  : serve->line.failure.code;
    weir__args_destroy(args);
    return err;
}

static int send_now(struct serve *serve, enum line_tag tag, void *data, struct args *args)
{
    pthread_mutex_lock(&serve->lock);
    int err = send_locked(serve, tag, data, args);
    if (err == 0)
        err = weir__wire_flush(&serve->line);
    pthread_mutex_unlock(&serve->lock);
    return err;
}

static struct batch *batch_new_locked(struct serve *serve, size_t room)
{
    struct batch *batch = calloc(1, sizeof *batch + room * sizeof(struct job *));
    if (batch != NULL) {
        batch->sent = weir_now();
        list_append(&serve->batches, &batch->link);
    }
    return batch;
}

/* The leases of all jobs that are not being settled. The first one of a line gives back besides
 * what is not among them, and is said even if there are none. */
int weir__line_renew(struct serve *serve, enum line_tag tag)
{
    struct args args;
    pthread_mutex_lock(&serve->lock);
    struct batch *batch = batch_new_locked(serve, serve->in_hand);
    pthread_mutex_unlock(&serve->lock);
    if (batch == NULL)
        return -ENOMEM;
    weir__script_args(&args, &weir__script_renew, &serve->queue->address, 3 + 3 * serve->in_hand);
    weir__args_text(&args, serve->worker);
    weir__args_number(&args, weir__to_ms(serve->options.lease));
    weir__args_number(&args, tag == TAG_GREETING);
    pthread_mutex_lock(&serve->lock);
    for (struct list *at = serve->hand.next; at != &serve->hand; at = at->next) {
        struct job *job = container_of(at, struct job, hand);
        if (job->state == JOB_SETTLING)
            continue;
        batch->jobs[batch->count++] = job;
        weir__args_text(&args, job->id);
        weir__args_text(&args, job->token);
        weir__args_number(&args, job->started ? job->message.attempt : 0);
    }
    pthread_mutex_unlock(&serve->lock);
    return send_now(serve, tag, batch, &args);
}

const char *weir__job_result(const struct job *job)
{
    if (!job->started || (job->status != 0 && job->failure == WEIR_FAILURE_GIVE_BACK))
        return "back";
    if (job->status == 0)
        return "done";
    return job->failure == WEIR_FAILURE_BURY ? "bury" : "retry";
}

static void add_result(struct args *args, const struct job *job, const char *what)
{
    /* One that is given back has made no attempt: it has those that it had before. */
    unsigned attempt = job->message.attempt - (strcmp(what, "back") == 0);
    uint32_t share = (uint32_t)(((uintptr_t)job >> 4) ^ (uint64_t)weir_now()) * 2654435761u;
    weir__args_text(args, job->id);
    weir__args_text(args, job->token);
    weir__args_text(args, what);
    weir__args_number(args, attempt);
    weir__args_number(args, job->status);
    weir__args_add(args, job->errors, job->errors_size);
    weir__args_number(args, 500 + (share >> 16) % 501);
}

/* As many as fit one command. */
static int settle_some_locked(struct serve *serve)
{
    struct batch *batch = batch_new_locked(serve, MOST_SETTLED);
    if (batch == NULL)
        return -ENOMEM;
    while (batch->count < MOST_SETTLED && !list_empty(&serve->ended)) {
        struct job *job = container_of(serve->ended.next, struct job, queue);
        list_remove(&job->queue);
        job->state = JOB_SETTLING;
        batch->jobs[batch->count++] = job;
    }
    struct args args;
    const weir_serve_options *options = &serve->options;
    weir__script_args(&args, &weir__script_settle, &serve->queue->address, 3 + 7 * batch->count);
    weir__args_number(&args, options->retries);
    weir__args_number(&args, weir__to_ms(options->backoff_first));
    weir__args_number(&args, weir__to_ms(options->backoff_max));
    for (size_t i = 0; i < batch->count; i++)
        add_result(&args, batch->jobs[i], weir__job_result(batch->jobs[i]));
    return send_locked(serve, TAG_SETTLE, batch, &args);
}

int weir__line_settle_locked(struct serve *serve)
{
    int err = 0;
    while (err == 0 && serve->line_up && !list_empty(&serve->ended))
        err = settle_some_locked(serve);
    return err;
}

static int send_take(struct serve *serve)
{
    int64_t now = weir_now();
    size_t room = serve->most_in_hand - serve->in_hand;
    bool mend = now >= serve->mend_at;
    if (mend)
        serve->mend_at = weir_after(MEND_PAUSE + serve->options.lease);
    serve->asked = room < MOST_TAKEN ? room : MOST_TAKEN;
    serve->taking = true;
    pthread_mutex_lock(&serve->lock);
    struct batch *batch = batch_new_locked(serve, 0);
    pthread_mutex_unlock(&serve->lock);
    if (batch == NULL)
        return -ENOMEM;
    struct args args;
    weir__script_args(&args, &weir__script_take, &serve->queue->address, 6);
    weir__args_text(&args, serve->worker);
    weir__args_number(&args, weir__to_ms(serve->options.lease));
    weir__args_number(&args, (int64_t)serve->asked);
    weir__args_number(&args, MOST_BYTES);
    weir__args_number(&args, serve->options.retries);
    weir__args_number(&args, mend);
    return send_now(serve, TAG_TAKE, batch, &args);
}

int weir__line_ask_facts(struct serve *serve)
{
    struct args args;
    weir__facts_args(&args);
    return send_now(serve, TAG_FACTS, NULL, &args);
}

int weir__line_leave(struct serve *serve)
{
    struct args args;
    weir__script_args(&args, &weir__script_leave, &serve->queue->address, 1);
    weir__args_text(&args, serve->worker);
    return send_now(serve, TAG_LEAVE, NULL, &args);
}

/* Enough room that a take is worth its while: at once if a slot may be free, else by half batches.
 */
static bool wants_jobs(const struct serve *serve)
{
    size_t batch = serve->most_in_hand - serve->options.slots;
    size_t room = serve->most_in_hand - serve->in_hand;
    return !serve->stopping && !serve->taking && room > batch / 2 && weir_now() >= serve->take_at;
}

int weir__line_write(struct serve *serve)
{
    int err = 0;
    if (!serve->line_up)
        return 0;
    pthread_mutex_lock(&serve->lock);
    err = weir__line_settle_locked(serve);
    if (err == 0)
        err = weir__wire_flush(&serve->line);
    pthread_mutex_unlock(&serve->lock);
    if (err == 0 && serve->in_hand > 0 && weir_now() >= serve->renew_at) {
        serve->renew_at = weir_after(serve->options.renew);
        err = weir__line_renew(serve, TAG_RENEW);
    }
    if (err == 0 && wants_jobs(serve))
        err = send_take(serve);
    return err;
}
