/* SPDX-License-Identifier: MIT */
/* signal_context.c - a context that a signal cancels.
 *
 * A handler must not take locks, so it wakes a thread that makes the cancellation. The signals are
 * given back once: by that thread, before it cancels, so that a thread which finds the context over
 * can take them over again; or by a hook, if the context is over for another reason, which wakes
 * the thread. Either waits until the other one is through with it. The thread frees what the three
 * share: after the hook has returned or was stopped, and with no handler inside (os/signals.c).
 */
#include "weir/signals.h"

#include "os/alloc.h"
#include "os/signals.h"
#include "os/thread.h"
#include "wait/wait.h"

enum { TAKEN_OVER, GIVING_BACK, GIVEN_BACK };

struct source {
    struct signals signals;
    atomic(uint32_t) state;
    weir_context *ctx; /* a reference */
    weir_context_hook over;
};

static bool given_back(void *arg)
{
    return load_seqcst(&((struct source *)arg)->state) == GIVEN_BACK; /* pairs with give_back */
}

/* Once it has returned, the signals can be taken over again. */
static void give_back(void *arg)
{
    struct source *source = arg;
    uint32_t state = TAKEN_OVER;
    if (cas_rlx(&source->state, &state, GIVING_BACK)) { /* only decides who does it */
        weir__signals_close(&source->signals);
        (void)xchg_seqcst(&source->state, GIVEN_BACK); /* pairs with given_back */
        weir__wake_all(source);
    } else {
        (void)weir__wait_until(TELL_NOTHING, source, given_back, source, NULL, NULL, WEIR_FOREVER);
    }
}

/* No handler and no hook uses the signals afterwards. */
static void source_close(struct source *source)
{
    (void)weir_context_hook_stop(&source->over);
    give_back(source);
    weir__signals_destroy(&source->signals);
}

static void *source_main(void *arg)
{
    struct source *source = arg;
    (void)pthread_detach(pthread_self());
    weir__thread_name_signals();
    int number = weir__signals_wait(&source->signals);
    if (number != 0) {
        give_back(source);
        weir_context_cancel(source->ctx, number);
    }
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
    pthread_t thread;
    if (err == 0)
        err = weir__thread_start(&thread, source_main, source, 0);
    if (err != 0) {
        source_close(source);
        weir__signals_disown(&source->signals);
    }
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
