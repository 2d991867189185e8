/* SPDX-License-Identifier: MIT */
/* signal_context.c - a context that a signal cancels.
 *
 * A handler must not take locks, so it wakes a thread that makes the cancellation. When the context
 * is over, for whatever reason, a hook gives the signals back, which wakes the thread too. The
 * thread frees what the three share: after the hook has returned or was stopped, and with no
 * handler inside (os/signals.c).
 */
#include "weir/signals.h"

#include "os/alloc.h"
#include "os/signals.h"
#include "os/thread.h"

struct source {
    struct signals signals;
    weir_context *ctx; /* a reference */
    weir_context_hook over;
};

static void give_back(void *source)
{
    weir__signals_close(&((struct source *)source)->signals);
}

/* The context is over, or will never be. A hook that was stopped before it ran leaves the signals
 * to the caller: that happens also if another thread is just cancelling the context. */
static void source_close(struct source *source)
{
    if (weir_context_hook_stop(&source->over) == 0)
        weir__signals_close(&source->signals);
    weir__signals_destroy(&source->signals);
}

static void *source_main(void *arg)
{
    struct source *source = arg;
    (void)pthread_detach(pthread_self());
    weir__thread_name_signals();
    weir__signals_unblock(&source->signals);
    int number = weir__signals_wait(&source->signals);
    if (number != 0)
        weir_context_cancel(source->ctx, number); /* calls the hook, unless it is over already */
    source_close(source);
    weir_context_unref(source->ctx);
    weir__free(source);
    return NULL;
}

/* Takes the signals over and has them given back. */
static int source_open(struct source *source, const int signals[], unsigned n)
{
    int err = weir__signals_open(&source->signals, signals, n);
    if (err != 0)
        return err;
    err = weir_context_on_done(source->ctx, &source->over, give_back, source);
    if (err != 0) {
        weir__signals_close(&source->signals);
        weir__signals_destroy(&source->signals);
        return err;
    }
    pthread_t thread;
    err = weir__thread_start(&thread, source_main, source, 0);
    if (err != 0)
        source_close(source);
    return err;
}

int weir_context_from_signals(weir_context **ret, weir_context *parent, const int signals[],
                              size_t n)
{
    static const int usual[] = {SIGINT, SIGTERM};
    if (ret == NULL || (signals == NULL) != (n == 0) || n > SIGNALS_MAX)
        return -EINVAL;
    struct source *source = weir__alloc(1, sizeof *source);
    if (source == NULL)
        return -ENOMEM;
    weir_context *ctx;
    int err = weir_context_new(&ctx, parent, WEIR_FOREVER);
    if (err == 0) {
        source->ctx = weir_context_ref(ctx);
        err = source_open(source, signals != NULL ? signals : usual,
                          signals != NULL ? (unsigned)n : 2);
        if (err != 0) {
            weir_context_unref(source->ctx);
            weir_context_unref(ctx);
        }
    }
    if (err != 0)
        weir__free(source);
    else
        *ret = ctx;
    return err;
}
