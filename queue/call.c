/* SPDX-License-Identifier: MIT */
/* call.c - calls that wait for their reply on the queue's shared connection. */
#include <hiredis/hiredis.h>
#include <poll.h>
#include <sys/eventfd.h>

#include "handle.h"

#define FIRST_PAUSE WEIR_MS(20)
#define LONGEST_PAUSE WEIR_MS(500)

static void ring(void *arg)
{
    weir_queue *queue = arg;
    (void)eventfd_write(queue->wake, 1);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* For poll: in milliseconds, rounded up. */
static int poll_time(int64_t until)
{
    if (until == WEIR_FOREVER)
        return -1;
    int64_t left = until - weir_now();
    return left <= 0 ? 0 : (int)(earlier(left, WEIR_S(1000)) / 1000000 + 1);
}

/* Sleeps until there is something to do for the wire. Returns 0, or that it is time to give up. */
static int wait_for_wire(weir_queue *queue, weir_context *ctx, int64_t deadline)
{
    int err = weir_context_err(ctx);
    if (err < 0)
        return err;
    deadline = earlier(deadline, weir_context_deadline(ctx));
    if (weir_now() >= deadline)
        return -ETIMEDOUT;
    struct pollfd fds[2] = {
        {.fd = queue->wire.fd, .events = weir__wire_events(&queue->wire)},
        {.fd = queue->wake, .events = POLLIN},
    };
    int64_t until = earlier(deadline, weir__wire_deadline(&queue->wire));
    (void)poll(fds, 2, poll_time(until)); /* whatever it returns, the caller looks */
    eventfd_t count;
    if (fds[1].revents != 0)
        (void)eventfd_read(queue->wake, &count);
    return 0;
}

/* Connects, sends, and waits for the reply. */
static int exchange(weir_queue *queue, const struct args *args, weir_context *ctx, int64_t deadline,
                    redisReply **ret)
{
    struct wire *wire = &queue->wire;
    bool sent = false;
    int err = 0;
    if (wire->state == WIRE_CLOSED)
        err = weir__wire_open(wire);
    while (err == 0) {
        err = weir__wire_step(wire);
        if (err == 0 && wire->state == WIRE_READY && !sent) {
            sent = true;
            err = weir__wire_send(wire, 0, NULL, 0, args);
            if (err == 0)
                err = weir__wire_flush(wire);
        }
        struct expected what;
        if (err == 0)
            err = weir__wire_next(wire, &what, ret);
        if (err == 0) {
            int over = wait_for_wire(queue, ctx, deadline);
            if (over < 0) {
                /* The reply may yet come, and would be taken for that of the next call. */
                weir__wire_close(wire);
                return weir__fail(&wire->failure, over, "%s", weir_strerror(over));
            }
        }
    }
    return err < 0 ? err : 0;
}

/* The same, for a reply that is no error. */
static int exchange_well(weir_queue *queue, const struct args *args, weir_context *ctx,
                         int64_t deadline, redisReply **ret)
{
    redisReply *reply;
    int err = exchange(queue, args, ctx, deadline, &reply);
    if (err < 0)
        return err;
    if (reply->type == REDIS_REPLY_ERROR) {
        err = weir__wire_refused(&queue->wire, reply);
        freeReplyObject(reply);
        /* Another server may have taken its place, at the same address. */
        if (err == -EROFS)
            weir__wire_close(&queue->wire);
        return err;
    }
    *ret = reply;
    return 0;
}

int weir__queue_ask(weir_queue *queue, const struct args *args, weir_context *ctx, int64_t deadline,
                    redisReply **ret)
{
    int64_t give_up = weir_after(queue->options.patience), pause = FIRST_PAUSE;
    weir_context_hook hook = WEIR_CONTEXT_HOOK_INIT;
    int err = weir_context_err(ctx);
    if (err == 0 && ctx != NULL)
        err = weir_context_on_done(ctx, &hook, ring, queue);
    if (err < 0)
        return weir__fail_code(queue, err);
    for (;;) {
        err = exchange_well(queue, args, ctx, deadline, ret);
        int64_t now = weir_now();
        if (err == 0 || err == -ENOEXEC || !weir__is_transient(err) || now >= give_up ||
            now >= deadline || weir_context_err(ctx) != 0)
            break;
        if (weir_sleep_until(ctx, earlier(weir_after(pause), deadline)) < 0)
            break;
        pause = earlier(2 * pause, LONGEST_PAUSE);
    }
    (void)weir_context_hook_stop(&hook);
    /* A script that the server does not have is sent: no failure of the caller's. */
    return err < 0 && err != -ENOEXEC ? weir__fail_queue(queue, &queue->wire.failure) : err;
}

void weir__script_args(struct args *args, const struct script *script,
                       const struct address *address, size_t room)
{
    weir__args_init(args, room + 4);
    weir__args_text(args, "EVALSHA");
    weir__args_text(args, script->sha);
    weir__args_text(args, "1");
    weir__args_text(args, address->prefix);
}

int weir__queue_puzzled(weir_queue *queue)
{
    struct failure failure;
    (void)weir__fail(&failure, -EPROTO, "%s answers in a way that makes no sense",
                     queue->address.name);
    return weir__fail_queue(queue, &failure);
}

int weir__queue_run(weir_queue *queue, const struct script *script, const struct args *args,
                    weir_context *ctx, int64_t deadline, int type, redisReply **ret)
{
    if (args->failed)
        return weir__fail_code(queue, -ENOMEM);
    redisReply *reply;
    int err = weir__queue_ask(queue, args, ctx, deadline, &reply);
    if (err == -ENOEXEC) {
        /* The server has not seen the script yet. */
        args->words[0] = "EVAL";
        args->sizes[0] = 4;
        args->words[1] = script->text;
        args->sizes[1] = script->size;
        err = weir__queue_ask(queue, args, ctx, deadline, &reply);
    }
    if (err < 0)
        return err;
    if (reply->type != type) {
        freeReplyObject(reply);
        return weir__queue_puzzled(queue);
    }
    *ret = reply;
    return 0;
}

int weir__queue_take_turn(weir_queue *queue, weir_context *ctx, int64_t deadline)
{
    int err = weir_semaphore_acquire_until(&queue->turn, 1, ctx, deadline);
    return err < 0 ? weir__fail_code(queue, err) : 0;
}

void weir__queue_end_turn(weir_queue *queue)
{
    weir_semaphore_release(&queue->turn, 1);
}

int weir__queue_do(weir_queue *queue, const struct script *script, struct args *args, int type,
                   redisReply **ret)
{
    int err = weir__queue_take_turn(queue, NULL, WEIR_FOREVER);
    if (err == 0) {
        err = weir__queue_run(queue, script, args, NULL, WEIR_FOREVER, type, ret);
        weir__queue_end_turn(queue);
    }
    weir__args_destroy(args);
    return err;
}
