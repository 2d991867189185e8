/* SPDX-License-Identifier: MIT */
/* waits.c - what a wake and a cancel cost beside others that wait: a few, or a hundred thousand. So
 * many threads do not fit into a system, so waiters are entered without threads, by the functions
 * that the library itself uses; a wake counts instead of waking. */
#include <stdint.h>
#include <stdlib.h>

#include <weir.h>

#include "common.h"
#include "wait/wait.h"

enum { FEW = 100, MANY = 100000, ROUNDS = 9, CANCELS = 100 };

static size_t woken;

static void count(struct sleeper *sleeper)
{
    (void)sleeper;
    woken++;
}

static void *allocate(size_t n, size_t size)
{
    void *memory = calloc(n, size);
    bench_require(memory != NULL, "there is no memory");
    return memory;
}

/* Each waits for an address of its own; all are woken one after the other. */
static void wake_round(void *arg, double ret_values[])
{
    size_t n = *(const size_t *)arg;
    struct waiter *waiters = allocate(n, sizeof *waiters);
    woken = 0;
    int64_t begin = bench_now();
    for (size_t i = 0; i < n; i++) {
        waiters[i].node.key = &waiters[i];
        waiters[i].sleeper.wake = count;
        weir__waiter_add(&waiters[i]);
    }
    int64_t entered = bench_now();
    for (size_t i = 0; i < n; i++)
        weir__wake_all(&waiters[i]);
    int64_t end = bench_now();
    bench_check(woken == n, "not all were woken");
    free(waiters);
    ret_values[0] = (double)(entered - begin) / (double)n;
    ret_values[1] = (double)(end - entered) / (double)n;
}

static weir_context *new_context(weir_context *parent)
{
    weir_context *ctx = NULL;
    bench_require(weir_context_new(&ctx, parent, WEIR_FOREVER) == 0, "a context could not be made");
    return ctx;
}

static void nothing(void *arg)
{
    (void)arg;
}

static void watch(struct watch *watch, weir_context *ctx)
{
    const weir_context *const contexts[3] = {ctx, NULL, NULL};
    weir__watch_begin(watch, contexts, NULL, count);
}

/* A context with one waiter and one hook is cancelled, while others wait with contexts of their own
 * and have hooks. */
static void cancel_round(void *arg, double ret_values[])
{
    size_t n = *(const size_t *)arg;
    struct watch *watches = allocate(n, sizeof *watches);
    weir_context_hook *hooks = allocate(n, sizeof *hooks);
    weir_context **contexts = allocate(n, sizeof(weir_context *));
    for (size_t i = 0; i < n; i++) {
        contexts[i] = new_context(NULL);
        watch(&watches[i], contexts[i]);
        bench_require(weir_context_on_done(contexts[i], &hooks[i], nothing, NULL) == 0,
                      "a hook could not be set");
    }
    int64_t total = 0;
    woken = 0;
    for (unsigned i = 0; i < CANCELS; i++) {
        weir_context *parent = new_context(NULL), *ctx = new_context(parent);
        struct watch own;
        weir_context_hook hook = WEIR_CONTEXT_HOOK_INIT;
        watch(&own, ctx);
        bench_require(weir_context_on_done(ctx, &hook, nothing, NULL) == 0,
                      "a hook could not be set");
        int64_t begin = bench_now();
        weir_context_cancel(parent, 0);
        total += bench_now() - begin;
        weir__watch_end(&own);
        weir_context_unref(ctx);
        weir_context_unref(parent);
    }
    bench_check(woken == CANCELS, "each cancel has one waiter");
    for (size_t i = 0; i < n; i++) {
        weir__watch_end(&watches[i]);
        (void)weir_context_hook_stop(&hooks[i]);
        weir_context_unref(contexts[i]);
    }
    free(watches);
    free(hooks);
    free(contexts);
    ret_values[0] = (double)total / CANCELS;
}

int main(int argc, char **argv)
{
    bench_begin(argc, argv);
    size_t few = FEW, many = bench_scaled(MANY);
    /* Memory that is in no cache makes the difference; a walk over all would make it a thousand. */
    const struct contender wakes[] = {
        {.name = "a hundred", .round = wake_round, .arg = &few},
        {.name = "a hundred thousand",
         .round = wake_round,
         .arg = &many,
         .goals = {{RATIO_AT_MOST, 10.0}, {RATIO_AT_MOST, 10.0}},
         .limits = {{RATIO_AT_MOST, 40.0}, {RATIO_AT_MOST, 40.0}}},
    };
    bench_compare(&(struct comparison){
        .title = "waits for addresses of their own, woken one by one",
        .metrics = {"enter, ns", "wake, ns", NULL},
        .contenders = wakes,
        .n = 2,
        .against = &wakes[0],
        .rounds = ROUNDS,
    });
    const struct contender cancels[] = {
        {.name = "beside a hundred", .round = cancel_round, .arg = &few},
        {.name = "beside a hundred thousand",
         .round = cancel_round,
         .arg = &many,
         .goals = {{RATIO_AT_MOST, 3.0}},
         .limits = {{RATIO_AT_MOST, 20.0}}},
    };
    bench_compare(&(struct comparison){
        .title = "a context with one waiter and one hook is cancelled",
        .metrics = {"cancel, ns", NULL},
        .contenders = cancels,
        .n = 2,
        .against = &cancels[0],
        .rounds = ROUNDS,
    });
    return bench_end();
}
