/* SPDX-License-Identifier: MIT */
/* pipeline.c - items that go through stages on the caller and on those workers that come free.
 *
 * Participants are the caller and helpers, jobs of the pool with the pipeline as their sink, as in
 * parallel.c: `active` counts helpers from before they are submitted until they have ended; at most
 * one is queued and has not started (`invited`). A participant takes a token that is READY
 * (stages.h) through one stage after the other, until it waits at a gate, then the next one. A
 * helper leaves when nothing is READY. The caller sleeps then, until something is (a thread that
 * leaves a token READY wakes it) or no helper is left: then nothing is HELD or READY, so no token
 * waits either, and the pipeline is at its end.
 *
 * No READY token is forgotten: a participant looks before it leaves, and the caller never leaves
 * before the end. Nor does one wait beside an idle worker: a thread that leaves a token READY, or
 * finds one more, asks for a helper, and one that is just leaving is not taken for one that will
 * look (stages.h, I3).
 *
 * A stopped pipeline: its context is over. A participant that finds that calls no stage any more,
 * and drops all items (drop_all). An item whose stage ended its thread is lost, and may hold up
 * others; then the caller drops those.
 */
#include "weir/pipeline.h"

#include <errno.h>

#include "base/options.h"
#include "base/unwind.h"
#include "group/stages.h"
#include "pool/help.h"
#include "pool/submit.h"

enum { MAX_IN_FLIGHT = 1 << 20, IN_FLIGHT_FOR_EACH = 4 };

struct pipeline {
    struct sink sink; /* of the helpers; first */
    weir_pool *pool;
    weir_context *parent; /* a reference, or NULL */
    weir_context context; /* what the stages see */
    struct stages stages;
    weir_pipeline_options options;
    queue_mark first; /* no helper is before it */
    bool returned;    /* the caller's part did; if not, its thread is dying */
    int over;         /* why the context was over at the end, or 0 */
    atomic(uint32_t) active;
    atomic(uint32_t) invited;
    atomic(int) error; /* the first */
};

/* Participants. */

static void record_error(struct pipeline *line, int status)
{
    int none = 0;
    if (cas_rlx(&line->error, &none, status)) /* published by leave */
        weir_context_cancel(&line->context, status);
}

static void leave(struct pipeline *line)
{
    tsan_release(line);
    if (sub_seqcst(&line->active, 1) == 1) /* from here on only addresses; pairs with no_helpers */
        wake_waiters(line);
}

static void helper_ended(struct sink *sink, const struct job *job, weir_state end, int status)
{
    struct pipeline *line = (struct pipeline *)sink;
    (void)job;
    if (end == WEIR_TASK_FAILED) /* a stage ended the thread */
        record_error(line, status);
    else if (end != WEIR_TASK_DONE) { /* it never started */
        weir__stages_leave(&line->stages);
        store_rlx(&line->invited, 0);
    }
    leave(line);
}

/* Nothing: it is a helper of this file's making. */
static void helper_submitted(struct sink *sink, weir_task_fn **ret_fn, void **ret_arg)
{
    (void)sink;
    *ret_fn = NULL;
    *ret_arg = NULL;
}

static const struct sink_ops helper_ops = {.submitted = helper_submitted, .ended = helper_ended};

static int help(weir_context *ctx, void *arg);

/* Something is READY: wakes the caller, and queues a helper if one can be of use. Never blocks;
 * that there is no room is no error. */
static void call_for_help(struct pipeline *line)
{
    weir_pool *pool = line->pool;
    wake_waiters(line);
    uint32_t none = 0;
    if (load_rlx(&line->invited) != 0 || /* it is still to look: stages.h, I3 */
        queue_full(&pool->queue) || weir__refusal(pool) != 0 || !cas_rlx(&line->invited, &none, 1))
        return;
    if (!weir__stages_join(&line->stages)) {
        store_rlx(&line->invited, 0);
        return;
    }
    add_rlx(&line->active, 1); /* before this thread leaves, or the caller looks */
    struct job job = {.fn = help, .arg = line, .sink = &line->sink, .start_by = WEIR_FOREVER};
    if (weir__submit(pool, &job, SUBMIT_TRY, NULL, WEIR_FOREVER) == 0) {
        weir__wake_all(helper_key(line)); /* the caller, if it waits, may have to run it */
        return;
    }
    weir__stages_leave(&line->stages);
    store_rlx(&line->invited, 0);
    leave(line); /* not the last: this thread is the caller, or active */
}

/* In a child process there are no helpers: waiting for them would have no end. */
static void check_fork(const struct pipeline *line)
{
    if (pool_stale(line->pool))
        weir__misuse("fork", "a pipeline that forked must not go on in the child.");
}

/* Stopping. */

static void drop_item(const struct pipeline *line, const struct token *token)
{
    if (token->item != NULL && line->options.on_drop != NULL)
        line->options.on_drop(token->item, line->options.user);
}

static void drop_all(struct pipeline *line)
{
    struct list tokens;
    weir__stages_drain(&line->stages, &tokens);
    while (!list_empty(&tokens)) {
        struct token *token = container_of(tokens.next, struct token, link);
        list_remove(&token->link);
        drop_item(line, token);
    }
}

/* Taking part. */

/* False: the pipeline is over, or ends with this. */
static bool call_stage(struct pipeline *line, struct token *token)
{
    const weir_stage *stage = &line->stages.stages[token->stage];
    if (token->stage > 0 && token->item == NULL)
        return true; /* its item goes no further */
    if (weir_context_err(&line->context) != 0)
        return false;
    int err = stage->fn(&line->context, &token->item, stage->arg);
    check_fork(line);
    if (err != 0)
        record_error(line, err);
    return err == 0;
}

static void take_part(struct pipeline *line, bool helper)
{
    bool more;
    struct token *token = weir__stages_take(&line->stages, helper, &more);
    if (more)
        call_for_help(line);
    while (token != NULL) {
        if (!call_stage(line, token)) {
            drop_item(line, token);
            drop_all(line);
            return;
        }
        token = weir__stages_advance(&line->stages, token, helper, &more);
        if (more)
            call_for_help(line);
    }
}

static int help(weir_context *ctx, void *arg)
{
    struct pipeline *line = arg;
    (void)ctx; /* over only if the pipeline's is: it has no parent but the pool's */
    store_rlx(&line->invited, 0); /* before it looks: stages.h, I3 */
    take_part(line, true);
    return 0;
}

/* The caller. */

static bool no_helpers(void *arg)
{
    uint32_t active = load_seqcst(&((struct pipeline *)arg)->active); /* pairs with leave */
    tsan_acquire(arg);
    return active == 0;
}

static bool may_go_on(void *arg)
{
    return stages_ready(&((struct pipeline *)arg)->stages) || no_helpers(arg);
}

/* Runs helpers that have not started meanwhile. */
static void wait_for(struct pipeline *line, bool (*done)(void *arg))
{
    (void)weir__wait_helping(TELL("weir_pipeline_run", line), &line->pool->host, &line->sink, line,
                             line->first, done, line, NULL, NULL, WEIR_FOREVER);
}

static void end_pipeline(struct pipeline **guarded)
{
    struct pipeline *line = *guarded;
    check_fork(line);
    if (!line->returned)
        record_error(line, -ECANCELED);
    wait_for(line, no_helpers);
    line->over = weir_context_err(&line->context);
    drop_all(line); /* what participants have left since, or before they died */
    weir__context_end(&line->context);
    weir_context_unref(line->parent);
    weir__stages_destroy(&line->stages);
}

static void run(struct pipeline *line)
{
    struct pipeline *guarded ON_LEAVE(end_pipeline) = line;
    do {
        take_part(guarded, false);
        wait_for(guarded, may_go_on);
    } while (stages_ready(&guarded->stages) || !no_helpers(guarded));
    guarded->returned = true;
}

void weir_pipeline_options_init(weir_pipeline_options *options)
{
    if (options != NULL)
        *options = (weir_pipeline_options){.size = sizeof *options};
}

static int read_pipeline_options(weir_pipeline_options *ret, const weir_pipeline_options *given)
{
    return read_options(ret, sizeof *ret, offsetof(weir_pipeline_options, user) + sizeof ret->user,
                        given);
}

static const char *wrong_field(const weir_pipeline_options *options)
{
    return options->in_flight > MAX_IN_FLIGHT ? "in_flight: above 2^20" : NULL;
}

const char *weir_pipeline_options_error(const weir_pipeline_options *given)
{
    weir_pipeline_options options;
    int err = read_pipeline_options(&options, given);
    return options_error(err, wrong_field(&options));
}

static int read_arguments(struct pipeline *line, const weir_stage stages[], size_t n,
                          const weir_pipeline_options *given)
{
    weir_pipeline_options *options = &line->options;
    int err = read_pipeline_options(options, given);
    if (err == 0 && wrong_field(options) != NULL)
        err = -EINVAL;
    if (err != 0)
        return err;
    if (n == 0 || n > WEIR_PIPELINE_MAX_STAGES)
        return -EINVAL;
    for (size_t i = 0; i < n; i++)
        if (stages[i].fn == NULL || (unsigned)stages[i].mode > WEIR_STAGE_PARALLEL)
            return -EINVAL;
    line->stages.stages = stages;
    line->stages.n = (unsigned)n;
    unsigned workers = weir__crew_workers(&line->pool->crew);
    line->stages.most = workers - (own_seat(&line->pool->queue) != NULL ? 1 : 0);
    if (options->in_flight == 0)
        options->in_flight = IN_FLIGHT_FOR_EACH * ((size_t)line->stages.most + 1);
    return 0;
}

/* All participants have left. */
static int outcome(const struct pipeline *line)
{
    int err = load_rlx(&line->error);
    return err == 0 && !stages_finished(&line->stages) ? line->over : err;
}

int weir_pipeline_run_until(weir_pool *pool, const weir_stage stages[], size_t n,
                            const weir_pipeline_options *options, weir_context *ctx,
                            int64_t deadline)
{
    if (pool == NULL || stages == NULL)
        return -EINVAL;
    struct pipeline line = {.sink = {&helper_ops}, .pool = pool};
    int err = read_arguments(&line, stages, n, options);
    if (err != 0)
        return err;
    if (pool_stale(pool))
        return -ESTALE;
    if ((err = weir_context_err(ctx)) != 0 || (err = weir__refusal(pool)) != 0)
        return err;
    line.parent = weir_context_ref(ctx);
    if (ctx != NULL && line.parent == NULL)
        return -ENOMEM;
    if ((err = weir__stages_init(&line.stages, line.options.in_flight)) != 0) {
        weir_context_unref(line.parent);
        return err;
    }
    line.first = queue_mark_end(&pool->queue); /* before any helper is pushed */
    weir__context_begin(&line.context, line.parent, pool->host.context, deadline, NULL);
    run(&line);
    return outcome(&line);
}

int weir_pipeline_run(weir_pool *pool, const weir_stage stages[], size_t n,
                      const weir_pipeline_options *options)
{
    return weir_pipeline_run_until(pool, stages, n, options, NULL, WEIR_FOREVER);
}
