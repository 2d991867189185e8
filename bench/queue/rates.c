/* SPDX-License-Identifier: MIT */
/* rates.c - how many jobs a second go into a queue and come out of it, beside loops around hiredis
 * that keep no promise: no lease, no retry, no key, no dead list.
 *
 * Usage: rates PORT WHAT COUNT [WORKERS [BATCH]]     prints seconds
 *   push          weir_queue_push of all at once     push-one      one after the other
 *   loop-push     XADD, 256 in a pipeline            loop-push-one one after the other
 *   work          weir_queue_serve until all are done
 *   loop-work     XREADGROUP of 1, then XACK and XDEL in one pipeline
 *   loop-batch    XREADGROUP of 64, and as many of those
 */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "weir/queue.h"

#define PIPELINE 256
#define BODY "a body of forty bytes, as small jobs have"

static redisContext *server;

static void die(const char *what)
{
    fprintf(stderr, "rates: %s\n", what);
    exit(1);
}

static void check(int err, const weir_queue *queue)
{
    if (err < 0)
        die(weir_queue_error(queue));
}

static redisReply *next_reply(void)
{
    void *reply = NULL;
    if (redisGetReply(server, &reply) != REDIS_OK ||
        ((redisReply *)reply)->type == REDIS_REPLY_ERROR)
        die("the server refuses");
    return reply;
}

static void skip_replies(long count)
{
    for (long i = 0; i < count; i++)
        freeReplyObject(next_reply());
}

static void push(weir_queue *queue, long count, long portion)
{
    weir_message *messages = calloc((size_t)portion, sizeof *messages);
    for (long i = 0; i < portion; i++)
        messages[i] = (weir_message){.body = BODY, .size = sizeof BODY - 1};
    for (long done = 0; done < count; done += portion)
        check(weir_queue_push(queue, messages, (size_t)portion, NULL, NULL, NULL, WEIR_FOREVER),
              queue);
    free(messages);
}

static void loop_push(long count, long portion)
{
    for (long done = 0; done < count; done += portion) {
        for (long i = 0; i < portion; i++)
            redisAppendCommand(server, "XADD loop * body %s", BODY);
        skip_replies(portion);
    }
}

static void loop_work(long count, long portion)
{
    for (long done = 0; done < count;) {
        redisAppendCommand(server, "XREADGROUP GROUP g c COUNT %ld STREAMS loop >", portion);
        redisReply *reply = next_reply();
        redisReply *entries = reply->element[0]->element[1];
        for (size_t i = 0; i < entries->elements; i++) {
            const char *id = entries->element[i]->element[0]->str;
            redisAppendCommand(server, "XACK loop g %s", id);
            redisAppendCommand(server, "XDEL loop %s", id);
        }
        long got = (long)entries->elements;
        skip_replies(2 * got);
        done += got;
        freeReplyObject(reply);
    }
}

static int nothing(weir_context *ctx, const weir_message *message, void *arg)
{
    (void)ctx, (void)message, (void)arg;
    return 0;
}

static void work(weir_queue *queue, unsigned workers, int batch)
{
    weir_pool *pool;
    if (weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = workers)) < 0)
        die("no pool");
    check(weir_queue_serve(queue, pool, nothing, NULL,
                           WEIR_SERVE_OPTIONS(.drain = 1, .batch = batch), NULL),
          queue);
    weir_pool_free(pool);
}

int main(int argc, char **argv)
{
    if (argc < 4)
        die("usage: rates PORT WHAT COUNT [WORKERS [BATCH]]");
    char url[64];
    weir_queue *queue;
    (void)snprintf(url, sizeof url, "redis://127.0.0.1:%s/bench", argv[1]);
    check(weir_queue_open(&queue, url, NULL), NULL);
    server = redisConnect("127.0.0.1", atoi(argv[1]));
    if (server == NULL || server->err != 0)
        die("no server");
    redisAppendCommand(server, "XGROUP CREATE loop g 0 MKSTREAM");
    void *reply = NULL; /* an error if it is there already */
    if (redisGetReply(server, &reply) != REDIS_OK)
        die("no server");
    freeReplyObject(reply);
    const char *what = argv[2];
    long count = atol(argv[3]);
    int64_t begin = weir_now();
    if (strcmp(what, "push") == 0)
        push(queue, count, count);
    else if (strcmp(what, "push-one") == 0)
        push(queue, count, 1);
    else if (strcmp(what, "loop-push") == 0)
        loop_push(count, PIPELINE);
    else if (strcmp(what, "loop-push-one") == 0)
        loop_push(count, 1);
    else if (strcmp(what, "loop-work") == 0)
        loop_work(count, 1);
    else if (strcmp(what, "loop-batch") == 0)
        loop_work(count, 64);
    else if (strcmp(what, "work") == 0)
        work(queue, argc > 4 ? (unsigned)atoi(argv[4]) : 2, argc > 5 ? atoi(argv[5]) : 0);
    else
        die("no such thing to measure");
    printf("%.6f\n", (double)(weir_now() - begin) / 1e9);
    weir_queue_close(queue);
    redisFree(server);
    return 0;
}
