/* SPDX-License-Identifier: MIT */
/* serve_line.c - what the serving thread says to the server, and what that answers.
 *
 * After a greeting the first thing said is the renewal of all leases, which also gives back what a
 * take that was cut off has left in our name. Takes and results come after its answer.
 */
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "serve.h"
#include "server_facts.h"

/* What a reply is for. START is 0: pool threads send it, and its answer tells nothing new, since a
 * lease that is lost is noticed by its renewal. */
enum { TAG_START, TAG_TAKE, TAG_SETTLE, TAG_RENEW, TAG_GREETING, TAG_FACTS, TAG_LEAVE };

#define MOST_TAKEN 1024
#define MOST_BYTES (8 * 1024 * 1024)
#define MOST_SETTLED 128
#define LONGEST_WAIT WEIR_S(5)
#define LONGEST_DRAIN_WAIT WEIR_MS(200)

static int send_now(struct serve *serve, int tag, void *data, struct args *args)
{
    pthread_mutex_lock(&serve->lock);
    int err = serve->line.state == WIRE_READY ? weir__wire_send(&serve->line, tag, data, 0, args)
                                              : -ECONNRESET;
    if (err == 0)
        err = weir__wire_flush(&serve->line);
    pthread_mutex_unlock(&serve->lock);
    weir__args_destroy(args);
    return err;
}

static struct batch *batch_new(struct serve *serve, size_t room)
{
    struct batch *batch = calloc(1, sizeof *batch + room * sizeof(struct job *));
    if (batch != NULL) {
        batch->sent = weir_now();
        list_append(&serve->batches, &batch->link);
    }
    return batch;
}

static void batch_free(struct batch *batch)
{
    list_remove(&batch->link);
    free(batch);
}

static void job_gone(struct serve *serve, struct job *job)
{
    list_remove(&job->hand);
    serve->in_hand--;
    weir__job_free(job);
}

/* The leases of all jobs that are not being settled. The first one of a line gives back besides
 * what is not among them, and is said even if there are none. */
static int send_renewal(struct serve *serve, int tag)
{
    struct args args;
    struct batch *batch = batch_new(serve, serve->in_hand);
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

static const char *what_became(const struct job *job)
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

/* What became of the jobs that have ended, as many as fit one command. */
static int send_results(struct serve *serve)
{
    struct batch *batch = batch_new(serve, MOST_SETTLED);
    if (batch == NULL)
        return -ENOMEM;
    pthread_mutex_lock(&serve->lock);
    while (batch->count < MOST_SETTLED && !list_empty(&serve->ended)) {
        struct job *job = container_of(serve->ended.next, struct job, queue);
        list_remove(&job->queue);
        job->state = JOB_SETTLING;
        batch->jobs[batch->count++] = job;
    }
    pthread_mutex_unlock(&serve->lock);
    struct args args;
    const weir_serve_options *options = &serve->options;
    weir__script_args(&args, &weir__script_settle, &serve->queue->address, 3 + 7 * batch->count);
    weir__args_number(&args, options->retries);
    weir__args_number(&args, weir__to_ms(options->backoff_first));
    weir__args_number(&args, weir__to_ms(options->backoff_max));
    for (size_t i = 0; i < batch->count; i++) {
        const char *what = what_became(batch->jobs[i]);
        if (strcmp(what, "done") != 0)
            serve->take_at = 0; /* it, or word of when it is due, is there at the next take */
        add_result(&args, batch->jobs[i], what);
    }
    return send_now(serve, TAG_SETTLE, batch, &args);
}

static int send_take(struct serve *serve)
{
    int64_t now = weir_now();
    size_t room = serve->most_in_hand - serve->in_hand;
    bool mend = now >= serve->mend_at;
    if (mend)
        serve->mend_at = weir_after(LONGEST_WAIT + serve->options.lease);
    serve->asked = room < MOST_TAKEN ? room : MOST_TAKEN;
    serve->taking = true;
    struct batch *batch = batch_new(serve, 0);
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

static int send_facts(struct serve *serve)
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

static bool has_ended_jobs(struct serve *serve)
{
    pthread_mutex_lock(&serve->lock);
    bool has = !list_empty(&serve->ended);
    pthread_mutex_unlock(&serve->lock);
    return has;
}

int weir__line_write(struct serve *serve)
{
    int err = 0;
    if (!serve->line_up)
        return 0;
    while (err == 0 && has_ended_jobs(serve))
        err = send_results(serve);
    if (err == 0 && serve->in_hand > 0 && weir_now() >= serve->renew_at) {
        serve->renew_at = weir_after(serve->options.renew);
        err = send_renewal(serve, TAG_RENEW);
    }
    if (err == 0 && wants_jobs(serve))
        err = send_take(serve);
    return err;
}

static void renewed(struct serve *serve, struct batch *batch, const redisReply *reply)
{
    for (size_t i = 0; i < batch->count; i++) {
        struct job *job = batch->jobs[i];
        int64_t answer = reply->element[i]->integer;
        if (answer == 0 && weir__job_stop(job, -ESTALE)) {
            weir__serve_tell(serve, WEIR_SERVE_LOST, "another worker may have the job now",
                             job->id);
        } else if (answer != 0) {
            pthread_mutex_lock(&serve->lock);
            job->lease_end = batch->sent + serve->options.lease;
            pthread_mutex_unlock(&serve->lock);
        }
        if (answer == 2)
            (void)weir__job_stop(job, -ECANCELED);
    }
}

static void settled(struct serve *serve, struct batch *batch)
{
    for (size_t i = 0; i < batch->count; i++)
        job_gone(serve, batch->jobs[i]);
}

static bool is_take(const redisReply *reply)
{
    return reply->elements >= 2 && reply->element[0]->type == REDIS_REPLY_STRING &&
           reply->element[1]->type == REDIS_REPLY_INTEGER;
}

/* Puts the jobs into the hand, and finds out when to ask again. */
static int took(struct serve *serve, const struct batch *batch, const redisReply *reply)
{
    size_t count = reply->elements - 2;
    for (size_t i = 0; i < count; i++) {
        struct job *job =
            weir__job_new(serve, reply->element[i + 2], batch->sent + serve->options.lease);
        if (job == NULL)
            return -EPROTO; /* or no memory; its lease will be over */
        list_append(&serve->hand, &job->hand);
        serve->in_hand++;
        pthread_mutex_lock(&serve->lock);
        list_append(&serve->ready, &job->queue);
        pthread_mutex_unlock(&serve->lock);
    }
    serve->taking = false;
    serve->served = true;
    serve->line_again.pause = 0;
    serve->empty = strcmp(reply->element[0]->str, "empty") == 0;
    serve->idle = count < serve->asked;
    int64_t wait = reply->element[1]->integer;
    int64_t most = serve->options.drain ? LONGEST_DRAIN_WAIT : LONGEST_WAIT;
    wait = wait < 0 || wait > most / 1000000 ? most : WEIR_MS(wait + 1);
    serve->take_at = serve->idle ? weir_after(wait) : 0;
    weir__jobs_submit(serve);
    return 0;
}

/* All leases are settled with this server: it is up. */
static int greeted(struct serve *serve)
{
    serve->line_up = true;
    serve->take_at = 0;
    serve->renew_at = weir_after(serve->options.renew);
    if (!serve->told_up) {
        serve->told_up = true;
        weir__serve_tell(serve, WEIR_SERVE_CONNECTED, serve->queue->address.name, NULL);
    }
    if (serve->warned || serve->options.on_event == NULL)
        return 0;
    serve->warned = true;
    return send_facts(serve);
}

static void tell_facts(struct serve *serve, const redisReply *reply)
{
    weir_queue_server server;
    weir__facts_read(&server, reply);
    const char *warning;
    for (unsigned i = 0; (warning = weir__facts_warning(&server, i)) != NULL; i++)
        weir__serve_tell(serve, WEIR_SERVE_WARNING, warning, NULL);
}

static bool is_answer(const redisReply *reply, size_t count)
{
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != count)
        return false;
    for (size_t i = 0; i < count; i++)
        if (reply->element[i]->type != REDIS_REPLY_INTEGER)
            return false;
    return true;
}

/* Of a command with a batch. */
static int read_batch(struct serve *serve, int tag, struct batch *batch, const redisReply *reply)
{
    int err = -EPROTO;
    if (tag == TAG_TAKE) {
        if (reply->type == REDIS_REPLY_ARRAY && is_take(reply))
            err = took(serve, batch, reply);
    } else if (is_answer(reply, batch->count)) {
        err = 0;
        if (tag == TAG_SETTLE)
            settled(serve, batch);
        else
            renewed(serve, batch, reply);
    }
    if (err < 0)
        return err; /* the line is given up, and the batch with it */
    batch_free(batch);
    return tag == TAG_GREETING ? greeted(serve) : 0;
}

static int read_reply(struct serve *serve, const struct expected *what, const redisReply *reply)
{
    if (what->tag == TAG_FACTS) {
        tell_facts(serve, reply); /* a server may forbid it: then it says nothing */
        return 0;
    }
    int err = 0;
    if (reply->type == REDIS_REPLY_ERROR) {
        pthread_mutex_lock(&serve->lock);
        err = weir__wire_refused(&serve->line, reply);
        pthread_mutex_unlock(&serve->lock);
    } else if (what->tag == TAG_LEAVE) {
        serve->left = true;
    } else if (what->data != NULL) {
        err = read_batch(serve, what->tag, what->data, reply);
        if (err == -EPROTO) {
            pthread_mutex_lock(&serve->lock);
            (void)weir__fail(&serve->line.failure, err, "%s answers in a way that makes no sense",
                             serve->queue->address.name);
            pthread_mutex_unlock(&serve->lock);
        }
    }
    return err;
}

int weir__line_read(struct serve *serve)
{
    pthread_mutex_lock(&serve->lock);
    enum wire_state before = serve->line.state;
    int err = weir__wire_step(&serve->line);
    bool ready = err == 0 && serve->line.state == WIRE_READY;
    pthread_mutex_unlock(&serve->lock);
    if (err < 0 || !ready)
        return err;
    if (before != WIRE_READY)
        err = send_renewal(serve, TAG_GREETING);
    while (err == 0) {
        struct expected what;
        redisReply *reply;
        pthread_mutex_lock(&serve->lock);
        int got = weir__wire_next(&serve->line, &what, &reply);
        pthread_mutex_unlock(&serve->lock);
        if (got <= 0)
            return got;
        err = read_reply(serve, &what, reply);
        freeReplyObject(reply);
    }
    return err;
}

void weir__line_broken(struct serve *serve)
{
    while (!list_empty(&serve->batches)) {
        struct batch *batch = container_of(serve->batches.next, struct batch, link);
        pthread_mutex_lock(&serve->lock);
        for (size_t i = 0; i < batch->count; i++) {
            struct job *job = batch->jobs[i];
            if (job->state != JOB_SETTLING)
                continue;
            job->state = JOB_ENDED;
            list_append(&serve->ended, &job->queue);
        }
        pthread_mutex_unlock(&serve->lock);
        batch_free(batch);
    }
    pthread_mutex_lock(&serve->lock);
    weir__wire_close(&serve->line);
    pthread_mutex_unlock(&serve->lock);
    serve->line_up = false;
    serve->taking = false;
}
