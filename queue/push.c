/* SPDX-License-Identifier: MIT */
/* push.c - adds jobs, by portions.
 *
 * A portion is one run of the script, which is told its number: after a broken connection it is
 * sent again, and the server answers what it answered before.
 */
#include <hiredis/hiredis.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/options.h"
#include "handle.h"

#define FIRST_OPTIONS_SIZE sizeof(weir_push_options)
#define PORTION 256
#define PORTION_BYTES ((size_t)1024 * 1024)
#define FIRST_PAUSE WEIR_MS(5)
#define LONGEST_PAUSE WEIR_MS(200)

struct push {
    weir_queue *queue;
    const weir_message *messages;
    size_t count, next; /* next: the first that was not dealt with */
    weir_push_options options;
    weir_push_counts counts;
    weir_context *ctx;
    int64_t deadline;
};

static int check(const weir_message messages[], size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const weir_message *message = &messages[i];
        if (message->size > WEIR_QUEUE_BODY_MAX)
            return -EMSGSIZE;
        if (message->body == NULL && message->size > 0)
            return -EINVAL;
        size_t key = message->key != NULL ? strnlen(message->key, WEIR_QUEUE_KEY_MAX + 1) : 1;
        if (key == 0 || key > WEIR_QUEUE_KEY_MAX)
            return -EINVAL;
    }
    return 0;
}

static int settle(weir_push_options *options, const weir_push_options *given)
{
    int err = read_options(options, sizeof *options, FIRST_OPTIONS_SIZE, given);
    if (err < 0)
        return err;
    if (options->delay < 0 || options->at < 0 || (options->delay > 0 && options->at > 0) ||
        options->backoff_first < 0 || options->backoff_max < 0)
        return -EINVAL;
    if (options->remember == 0)
        options->remember = WEIR_S(3600);
    if (options->remember < 0)
        options->remember = 0;
    return 0;
}

/* The words of the next portion. Returns how many messages are in it. */
static size_t fill(struct push *push, struct args *args)
{
    const weir_push_options *options = &push->options;
    weir__script_args(args, &weir__script_push, &push->queue->address, 9 + 2 * PORTION);
    weir__args_text(args, push->queue->client);
    weir__args_number(args, (int64_t)push->queue->pushes);
    weir__args_number(args, (int64_t)push->queue->options.limit);
    weir__args_number(args, weir__to_ms(options->remember));
    weir__args_number(args, options->retries);
    weir__args_number(args, weir__to_ms(options->backoff_first));
    weir__args_number(args, weir__to_ms(options->backoff_max));
    weir__args_number(args, weir__to_ms(options->delay));
    weir__args_number(args, weir__to_ms(options->at));
    size_t count = 0, bytes = 0;
    while (push->next + count < push->count && count < PORTION && bytes < PORTION_BYTES) {
        const weir_message *message = &push->messages[push->next + count];
        weir__args_text(args, message->key != NULL ? message->key : "");
        weir__args_add(args, message->body, message->size);
        bytes += message->size;
        count++;
    }
    return count;
}

/* Of the answer: +ID, or =ID, or =, each with a comma behind it. Returns how many there are, or
 * -EPROTO. */
static int64_t tell(struct push *push, const char *at, size_t portion)
{
    size_t count = 0;
    while (*at != '\0') {
        char id[24];
        size_t size = strcspn(at, ",");
        if (count == portion || at[size] != ',' || size > sizeof id || (*at != '+' && *at != '='))
            return weir__queue_puzzled(push->queue);
        memcpy(id, at + 1, size - 1);
        id[size - 1] = '\0';
        bool is_new = *at == '+';
        push->counts.added += is_new;
        push->counts.known += !is_new;
        if (push->options.on_pushed != NULL)
            push->options.on_pushed(&push->messages[push->next + count],
                                    is_new ? WEIR_PUSHED_NEW : WEIR_PUSHED_KNOWN,
                                    id[0] != '\0' ? id : NULL, push->options.user);
        at += size + 1;
        count++;
    }
    push->next += count;
    return (int64_t)count;
}

/* Returns how many of the portion were dealt with: less than all if the limit is reached. */
static int64_t push_portion(struct push *push, bool *ret_all)
{
    weir_queue *queue = push->queue;
    struct args args;
    redisReply *reply = NULL;
    int64_t err = weir__queue_take_turn(queue, push->ctx, push->deadline);
    if (err < 0)
        return err;
    queue->pushes++;
    size_t portion = fill(push, &args);
    err = weir__queue_run(queue, &weir__script_push, &args, push->ctx, push->deadline,
                          REDIS_REPLY_STRING, &reply);
    weir__queue_end_turn(queue);
    weir__args_destroy(&args);
    if (err < 0)
        return err;
    err = tell(push, reply->str, portion);
    freeReplyObject(reply);
    *ret_all = err == (int64_t)portion;
    return err;
}

static int push_all(struct push *push)
{
    int64_t pause = FIRST_PAUSE;
    while (push->next < push->count) {
        bool all = false;
        int64_t done = push_portion(push, &all);
        if (done < 0)
            return (int)done;
        if (done > 0)
            pause = FIRST_PAUSE;
        if (all)
            continue;
        int64_t until = weir_after(pause);
        if (until > push->deadline)
            until = push->deadline;
        int err = weir_sleep_until(push->ctx, until);
        if (err == 0 && weir_now() >= push->deadline)
            err = -ETIMEDOUT;
        if (err < 0) {
            struct failure failure;
            (void)weir__fail(&failure, err, "the queue is full: its limit is %" PRIu64 " jobs",
                             push->queue->options.limit);
            return weir__fail_queue(push->queue, &failure);
        }
        pause = 2 * pause < LONGEST_PAUSE ? 2 * pause : LONGEST_PAUSE;
    }
    return 0;
}

int weir_queue_push(weir_queue *queue, const weir_message messages[], size_t n,
                    const weir_push_options *options, weir_push_counts *ret, weir_context *ctx,
                    int64_t deadline)
{
    int err = weir__queue_enter(queue);
    if (err < 0)
        return err;
    struct push push = {
        .queue = queue, .messages = messages, .count = n, .ctx = ctx, .deadline = deadline};
    err = messages == NULL && n > 0 ? -EINVAL : settle(&push.options, options);
    if (err == 0)
        err = check(messages, n);
    if (err < 0) {
        weir__queue_leave(queue);
        return weir__fail_code(queue, err);
    }
    err = push_all(&push);
    push.counts.left_out = n - push.next;
    for (size_t i = push.next; i < n && push.options.on_pushed != NULL; i++)
        push.options.on_pushed(&messages[i], WEIR_PUSHED_LEFT_OUT, NULL, push.options.user);
    if (ret != NULL)
        *ret = push.counts;
    weir__queue_leave(queue);
    return err;
}
