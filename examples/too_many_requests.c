/* SPDX-License-Identifier: MIT */
/* too_many_requests.c - a server that sheds load: 429 for a client that asks too often, 503 when
 * the server is busy.
 *
 * Each client has a limiter, so that one client cannot use up what is there for all. The pool
 * refuses what it has no room for. Both answers are given at once, by the thread that accepts
 * requests. The times are made up, so that the output is the same each time. */
#include <errno.h>
#include <stdio.h>

#include <weir.h>

struct client {
    const char *name;
    weir_limiter limiter;
};

static weir_waitgroup database = WEIR_WAITGROUP_INIT; /* a slow one; all requests wait for it */
static weir_waitgroup busy = WEIR_WAITGROUP_INIT;

static int handle(weir_context *ctx, void *arg)
{
    (void)arg;
    return weir_waitgroup_wait_until(&database, ctx, WEIR_FOREVER);
}

/* Before all others, so that the output is the same each time: the worker is busy from here on. */
static int handle_first(weir_context *ctx, void *arg)
{
    weir_waitgroup_done(&busy);
    return handle(ctx, arg);
}

static int answer(weir_pool *pool, struct client *client, int64_t now)
{
    if (weir_limiter_allow_at(&client->limiter, 1, now) != 0) /* without _at: weir_limiter_allow */
        return 429;
    return weir_pool_submit(pool, handle, NULL) != 0 ? 503 : 202;
}

static void request(weir_pool *pool, struct client *client, int ms)
{
    printf("%4d ms  %-5s  %d\n", ms, client->name, answer(pool, client, WEIR_MS(ms)));
}

static int serve(weir_pool *pool)
{
    struct client ann = {.name = "ann"}, bob = {.name = "bob"};
    int err = weir_limiter_init(&ann.limiter, 10, 3); /* ten a second, three at once */
    if (err == 0)
        err = weir_limiter_init(&bob.limiter, 10, 3);
    if (err != 0)
        return err;

    weir_waitgroup_add(&database, 1);
    weir_waitgroup_add(&busy, 1);
    err = weir_pool_submit(pool, handle_first, NULL);
    if (err != 0 || (err = weir_waitgroup_wait(&busy)) != 0)
        return err;
    for (int i = 0; i < 4; i++)
        request(pool, &ann, 0);
    request(pool, &ann, 99);
    request(pool, &ann, 100);
    request(pool, &bob, 100); /* within his rate, but the queue is full */
    weir_waitgroup_done(&database);
    err = weir_pool_drain(pool);
    request(pool, &bob, 110);
    return err != 0 ? err : weir_pool_drain(pool);
}

int main(void)
{
    weir_pool *pool;
    int err = weir_pool_new(
        &pool, WEIR_POOL_OPTIONS(.workers = 1, .capacity = 4, .overflow = WEIR_OVERFLOW_REJECT));
    if (err == 0) {
        err = serve(pool);
        weir_pool_free(pool);
    }
    if (err != 0)
        fprintf(stderr, "too_many_requests: %s\n", weir_strerror(err));
    return err != 0;
}
