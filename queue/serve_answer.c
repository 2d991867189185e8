/* SPDX-License-Identifier: MIT */
/* serve_answer.c - what the server answers on the line, and what follows from it. */
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "serve.h"
#include "server_facts.h"

/* A worker looks for jobs that often, also if it gets no word of any. */
#define LONGEST_WAIT WEIR_S(5)
#define LONGEST_DRAIN_WAIT WEIR_MS(200)

static void batch_free(struct serve *serve, struct batch *batch)
{
    pthread_mutex_lock(&serve->lock);
    list_remove(&batch->link);
    pthread_mutex_unlock(&serve->lock);
    free(batch);
}

static void job_gone(struct serve *serve, struct job *job)
{
    list_remove(&job->hand);
    serve->in_hand--;
    weir__job_free(job);
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
    for (size_t i = 0; i < batch->count; i++) {
        if (strcmp(weir__job_result(batch->jobs[i]), "done") != 0)
            serve->take_at = 0; /* it, or word of when it is due, is there at the next take */
        job_gone(serve, batch->jobs[i]);
    }
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
    pthread_mutex_lock(&serve->lock);
    serve->line_up = true;
    pthread_mutex_unlock(&serve->lock);
    serve->take_at = 0;
    serve->renew_at = weir_after(serve->options.renew);
    if (!serve->told_up) {
        serve->told_up = true;
        weir__serve_tell(serve, WEIR_SERVE_CONNECTED, serve->queue->address.name, NULL);
    }
    if (serve->warned || serve->options.on_event == NULL)
        return 0;
    serve->warned = true;
    return weir__line_ask_facts(serve);
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
    batch_free(serve, batch);
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
        err = weir__line_renew(serve, TAG_GREETING);
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
    pthread_mutex_lock(&serve->lock);
    weir__wire_close(&serve->line);
    serve->line_up = false;
    while (!list_empty(&serve->batches)) {
        struct batch *batch = container_of(serve->batches.next, struct batch, link);
        for (size_t i = 0; i < batch->count; i++) {
            struct job *job = batch->jobs[i];
            if (job->state != JOB_SETTLING)
                continue;
            job->state = JOB_ENDED;
            list_append(&serve->ended, &job->queue);
        }
        list_remove(&batch->link);
        free(batch);
    }
    pthread_mutex_unlock(&serve->lock);
    serve->taking = false;
}
