/* SPDX-License-Identifier: MIT */
/* serve_ear.c - where a worker with nothing to do waits for word that there are jobs.
 *
 * The word is a token in a list: it wakes one worker, which passes it on if there is more than it
 * takes. A word that is lost, with a worker or a connection, costs a few seconds at most: every
 * worker looks by itself that often. So nothing here is an error.
 */
#include <hiredis/hiredis.h>
#include <stdio.h>

#include "serve.h"

#define LISTEN_SECONDS 5

static int listen_once(struct serve *serve)
{
    char key[256], seconds[16];
    struct args args;
    (void)snprintf(key, sizeof key, "%swake", serve->queue->address.prefix);
    (void)snprintf(seconds, sizeof seconds, "%d", LISTEN_SECONDS);
    weir__args_init(&args, 3);
    weir__args_text(&args, "BLPOP");
    weir__args_text(&args, key);
    weir__args_text(&args, seconds);
    int err = weir__wire_send(&serve->ear, 0, NULL, WEIR_S(LISTEN_SECONDS), &args);
    weir__args_destroy(&args);
    serve->listening = err == 0;
    return err == 0 ? weir__wire_flush(&serve->ear) : err;
}

/* Word came when there is no room any more: another worker may have some. */
static void pass_on(struct serve *serve)
{
    char key[256];
    struct args args;
    (void)snprintf(key, sizeof key, "%swake", serve->queue->address.prefix);
    weir__args_init(&args, 3);
    weir__args_text(&args, "LPUSH");
    weir__args_text(&args, key);
    weir__args_text(&args, "1");
    if (weir__wire_send(&serve->ear, 0, NULL, 0, &args) == 0)
        (void)weir__wire_flush(&serve->ear);
    weir__args_destroy(&args);
}

static int hear(struct serve *serve)
{
    int err = weir__wire_step(&serve->ear);
    struct expected what;
    redisReply *reply;
    while (err == 0 && weir__wire_next(&serve->ear, &what, &reply) == 1) {
        if (reply->type == REDIS_REPLY_ERROR)
            err = weir__wire_refused(&serve->ear, reply);
        serve->listening = serve->listening && what.extra == 0;
        if (reply->type == REDIS_REPLY_ARRAY && serve->in_hand < serve->most_in_hand)
            serve->take_at = 0;
        else if (reply->type == REDIS_REPLY_ARRAY)
            pass_on(serve);
        freeReplyObject(reply);
    }
    return err;
}

void weir__ear_step(struct serve *serve)
{
    bool wanted = serve->idle && serve->in_hand < serve->most_in_hand && !serve->taking;
    int err = 0;
    if (serve->stopping || !serve->line_up) {
        weir__wire_close(&serve->ear);
        serve->listening = false;
        return;
    }
    if (serve->ear.state == WIRE_CLOSED) {
        serve->listening = false;
        if (!wanted || weir_now() < serve->ear_again.at)
            return;
        err = weir__wire_open(&serve->ear);
    }
    if (err == 0)
        err = hear(serve);
    if (err == 0 && wanted && !serve->listening && serve->ear.state == WIRE_READY) {
        serve->ear_again.pause = 0;
        err = listen_once(serve);
    }
    if (err < 0) {
        weir__wire_close(&serve->ear);
        serve->listening = false;
        weir__again_later(&serve->ear_again);
    }
}
