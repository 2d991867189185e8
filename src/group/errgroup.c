/* SPDX-License-Identifier: MIT */
/* errgroup.c - a group of tasks in which the first error stops the rest.
 *
 * `active` counts members from before they are submitted until they have ended; with a limit it is
 * raised only while it is below, by CAS. A member's end records its error, cancels the group if it
 * is one, and then lowers `active`: at zero that is the members' last access to the group, which
 * the waiter may free (give_place -> no_members). They run under the group's context, which they
 * have no references to; the memory, which is the context's, goes with the last one.
 *
 * Waiters: for the end under the group's address, for a place under that of `limit`. Both help:
 * they run queued members meanwhile (pool/help.c). A thread inside a member must not wait for a
 * place, which may be its own; it runs the new member inline, which pauses the one that called.
 */
#include "weir/errgroup.h"

#include <errno.h>

#include "base/deadline.h"
#include "base/options.h"
#include "os/alloc.h"
#include "pool/help.h"
#include "pool/submit.h"
#include "sync/mutex.h"

enum { MAX_KEEP = 1 << 20 };

struct weir_errgroup {
    weir_context
        context;      /* first; over when the group is; the memory goes with its last reference */
    struct sink sink; /* of the members */
    weir_pool *pool;
    uint32_t fork;
    unsigned keep_errors;
    atomic(uint32_t) stopped; /* by weir_errgroup_stop, before anything else ended it */
    atomic(uint32_t) limit;
    atomic(uint64_t) active;  /* more than a line behind what all members read of the context */
    atomic(queue_mark) first; /* no member is before it */
    atomic(int) error;        /* the first; 0: none yet */
    struct mutex lock;        /* for what follows */
    size_t failed;            /* how many */
    weir_errgroup_failure failures[]; /* the first keep_errors */
};

static bool stale(const weir_errgroup *group)
{
    return group->fork != fork_count();
}

static weir_errgroup *group_of(struct sink *sink)
{
    return container_of(sink, weir_errgroup, sink);
}

void weir_errgroup_options_init(weir_errgroup_options *options)
{
    if (options != NULL)
        *options = (weir_errgroup_options){.size = sizeof *options};
}

static int read_errgroup_options(weir_errgroup_options *ret, const weir_errgroup_options *given)
{
    size_t first = offsetof(weir_errgroup_options, keep_errors) + sizeof ret->keep_errors;
    return read_options(ret, sizeof *ret, first, given);
}

static const char *wrong_field(const weir_errgroup_options *options)
{
    return options->keep_errors > MAX_KEEP ? "keep_errors: above 2^20" : NULL;
}

const char *weir_errgroup_options_error(const weir_errgroup_options *given)
{
    weir_errgroup_options options;
    int err = read_errgroup_options(&options, given);
    return options_error(err, wrong_field(&options));
}

/* Places and ends. */

static bool take_place(weir_errgroup *group)
{
    uint64_t active = load_seqcst(&group->active); /* pairs with give_place */
    uint32_t limit;
    do
        /* Pairs with weir_errgroup_set_limit. */
        if ((limit = load_seqcst(&group->limit)) != 0 && active >= limit)
            return false;
    while (!cas_acq(&group->active, &active, active + 1)); /* pairs with give_place */
    tsan_acquire(group);
    return true;
}

static void give_place(weir_errgroup *group)
{
    const void *limit = &group->limit;
    tsan_release(group);
    /* From here on only addresses. Pairs with no_members, take_place. */
    if (sub_seqcst(&group->active, 1) == 1)
        wake_waiters(group);
    wake_waiters(limit);
}

static void record_failure(weir_errgroup *group, const struct job *job, int status)
{
    mutex_lock(&group->lock);
    if (group->failed == 0)
        store_rlx(&group->error, status); /* published by the cancellation, see outcome */
    if (group->failed < group->keep_errors)
        group->failures[group->failed] = (weir_errgroup_failure){job->fn, job->arg, status};
    group->failed++;
    mutex_unlock(&group->lock);
    weir_context_cancel(&group->context, status);
}

static weir_context *members_context(struct sink *sink)
{
    return &group_of(sink)->context;
}

static void member_ended(struct sink *sink, const struct job *job, weir_state end, int status)
{
    weir_errgroup *group = group_of(sink);
    /* What never started, or gave up, because the group is over is a consequence of that. */
    int over = end != WEIR_TASK_DONE ? weir_context_err(&group->context) : 0;
    bool gave_up = end != WEIR_TASK_FAILED || status == -ECANCELED || status == over;
    if (end != WEIR_TASK_DONE && !(gave_up && over != 0))
        record_failure(group, job, status);
    give_place(group);
}

static const struct sink_ops member_ops = {
    .tells_on_drop = true,
    .context = members_context,
    .ended = member_ended,
};

/* Life. */

int weir_errgroup_new(weir_errgroup **ret, weir_pool *pool, weir_context *parent,
                      const weir_errgroup_options *given)
{
    if (ret == NULL || pool == NULL)
        return -EINVAL;
    weir_errgroup_options options;
    int err = read_errgroup_options(&options, given);
    if (err == 0 && wrong_field(&options) != NULL)
        err = -EINVAL;
    if (err != 0)
        return err;
    if (pool_stale(pool))
        return -ESTALE;
    unsigned keep = options.keep_errors != 0 ? options.keep_errors : 1;
    weir_errgroup *group = weir__alloc_unaligned(sizeof *group + keep * sizeof group->failures[0]);
    err = weir__context_new_at((weir_context *)group, parent, WEIR_FOREVER);
    if (err != 0)
        return err;
    store_rlx(&group->sink.ops, &member_ops); /* nobody else knows the group yet */
    group->pool = pool;
    group->fork = fork_count();
    group->keep_errors = keep;
    store_rlx(&group->limit, options.limit);
    *ret = group;
    return 0;
}

weir_context *weir_errgroup_context(weir_errgroup *group)
{
    return group != NULL ? &group->context : NULL;
}

int weir_errgroup_set_limit(weir_errgroup *group, unsigned limit)
{
    if (group == NULL)
        return -EINVAL;
    if (stale(group))
        return -ESTALE;
    (void)xchg_seqcst(&group->limit, limit); /* pairs with take_place */
    wake_waiters(&group->limit);
    return 0;
}

/* go. */

struct member_place {
    weir_errgroup *group;
    bool taken;
};

static bool place_or_over(void *arg)
{
    struct member_place *place = arg;
    weir_errgroup *group = place->group;
    return weir_context_err(&group->context) != 0 || weir__refusal(group->pool) != 0 ||
           (place->taken = take_place(group));
}

/* Waits for a place under the limit, running queued members meanwhile. */
static int wait_for_place(weir_errgroup *group, weir_context *ctx, int64_t deadline)
{
    struct member_place place = {group, false};
    struct host *host = &group->pool->host;
    const weir_context *also[2] = {&group->context, host->context};
    int64_t until = earlier(deadline, weir_context_deadline(&group->context));
    until = earlier(until, weir_context_deadline(host->context));
    int err = weir__wait_helping(TELL("weir_errgroup_go", group), helped(host), &group->sink,
                                 &group->limit, load_rlx(&group->first), place_or_over, &place, ctx,
                                 also, until);
    if (place.taken)
        return 0;
    int why = weir_context_err(&group->context);
    if (why == 0)
        why = weir__refusal(group->pool);
    return why != 0 ? why : err;
}

static int submit_member(weir_errgroup *group, const struct job *job, enum submit_mode mode,
                         weir_context *ctx, int64_t deadline)
{
    int err;
    if (!take_place(group)) {
        if ((err = weir__refusal(group->pool)) != 0)
            return err;
        if (mode == SUBMIT_TRY)
            return -EAGAIN;
        if (weir__inside_sink(&group->sink)) {
            add_rlx(&group->active, 1); /* before the member that we are gives its place */
            err = weir__run_inline(group->pool, job);
            if (err != 0)
                give_place(group);
            return err;
        }
        if ((err = wait_for_place(group, ctx, deadline)) != 0)
            return err;
    }
    err = weir__submit(group->pool, job, mode, ctx, deadline);
    if (err != 0) {
        give_place(group);
    } else { /* only addresses: it may be done */
        weir__wake_all(helper_key(group));
        weir__wake_all(helper_key(&group->limit));
    }
    return err;
}

static int go(weir_errgroup *group, weir_task_fn *fn, void *arg, enum submit_mode mode,
              weir_context *ctx, int64_t deadline)
{
    if (group == NULL || fn == NULL)
        return -EINVAL;
    if (stale(group))
        return -ESTALE;
    int err;
    if ((err = weir_context_err(ctx)) != 0 || (err = context_err(&group->context)) != 0)
        return count_rejected(group->pool, 0, err);
    queue_mark end = queue_mark_end(&group->pool->queue); /* see waitgroup_tasks.c */
    if (load_rlx(&group->active) == 0)
        store_rlx(&group->first, end);
    struct job job = {.fn = fn,
                      .arg = arg,
                      .sink = &group->sink,
                      .start_by = weir_context_deadline(&group->context)};
    return count_rejected(group->pool, 0, submit_member(group, &job, mode, ctx, deadline));
}

int weir_errgroup_go(weir_errgroup *group, weir_task_fn *fn, void *arg)
{
    return go(group, fn, arg, SUBMIT_POLICY, NULL, WEIR_FOREVER);
}

int weir_errgroup_try_go(weir_errgroup *group, weir_task_fn *fn, void *arg)
{
    return go(group, fn, arg, SUBMIT_TRY, NULL, WEIR_FOREVER);
}

int weir_errgroup_go_until(weir_errgroup *group, weir_task_fn *fn, void *arg, weir_context *ctx,
                           int64_t deadline)
{
    return go(group, fn, arg, SUBMIT_POLICY, ctx, deadline);
}

/* Waiting. */

static bool no_members(void *arg)
{
    uint64_t active = load_seqcst(&((weir_errgroup *)arg)->active); /* pairs with give_place */
    tsan_acquire(arg);
    return active == 0;
}

/* The context first: a thread that sees it cancelled sees the error, or the stop, that it was
 * cancelled for; the cancellation publishes both, as give_place does what members left. */
static int outcome(const weir_errgroup *group)
{
    int over = weir_context_err(&group->context);
    int err = load_rlx(&group->error);
    return err != 0 || load_rlx(&group->stopped) != 0 ? err : over;
}

int weir_errgroup_wait_until(weir_errgroup *group, weir_context *ctx, int64_t deadline)
{
    if (group == NULL)
        return -EINVAL;
    if (stale(group))
        return -ESTALE;
    if (weir__inside_sink(&group->sink))
        return -EDEADLK;
    int err = weir__wait_helping(TELL("weir_errgroup_wait", group), helped(&group->pool->host),
                                 &group->sink, group, load_rlx(&group->first), no_members, group,
                                 ctx, NULL, deadline);
    return err != 0 ? err : outcome(group);
}

int weir_errgroup_wait(weir_errgroup *group)
{
    return weir_errgroup_wait_until(group, NULL, WEIR_FOREVER);
}

int weir_errgroup_try_wait(weir_errgroup *group)
{
    if (group == NULL)
        return -EINVAL;
    if (stale(group))
        return -ESTALE;
    return no_members(group) ? outcome(group) : -EAGAIN;
}

int weir_errgroup_stop(weir_errgroup *group)
{
    if (group == NULL)
        return -EINVAL;
    if (stale(group))
        return -ESTALE;
    if (weir_context_err(&group->context) == 0)
        store_rlx(&group->stopped, 1); /* published by the cancellation; never taken back */
    weir_context_cancel(&group->context, 0);
    return weir_errgroup_wait(group);
}

/* Copies at most n failures, and of what the caller wants. Returns how many members have failed. */
static size_t copy_failures(const weir_errgroup *given, weir_errgroup_failure ret_failures[],
                            int ret_codes[], size_t n)
{
    weir_errgroup *group = (weir_errgroup *)given;
    if (group == NULL || stale(group))
        return 0;
    mutex_lock(&group->lock);
    size_t failed = group->failed, kept = failed < group->keep_errors ? failed : group->keep_errors;
    for (size_t i = 0; i < n && i < kept; i++) {
        if (ret_failures != NULL)
            ret_failures[i] = group->failures[i];
        if (ret_codes != NULL)
            ret_codes[i] = group->failures[i].code;
    }
    mutex_unlock(&group->lock);
    return failed;
}

size_t weir_errgroup_failures(const weir_errgroup *group, weir_errgroup_failure ret_failures[],
                              size_t n)
{
    return copy_failures(group, ret_failures, NULL, n);
}

size_t weir_errgroup_errors(const weir_errgroup *group, int ret_codes[], size_t n)
{
    return copy_failures(group, NULL, ret_codes, n);
}

uint64_t weir_errgroup_active(const weir_errgroup *group)
{
    return group != NULL && !stale(group) ? load_rlx(&group->active) : 0; /* to look at */
}

unsigned weir_errgroup_limit(const weir_errgroup *group)
{
    return group != NULL && !stale(group) ? load_rlx(&group->limit) : 0; /* likewise */
}

void weir_errgroup_free(weir_errgroup *group)
{
    if (group == NULL)
        return;
    bool inside = weir__inside_sink(&group->sink);
    if (stale(group) && inside)
        return; /* the child goes on inside a member, whose context this is */
    if (!stale(group)) {
        if (inside)
            weir__misuse("weir_errgroup_free", "a member cannot free its own group.");
        if (!no_members(group) || context_shared(&group->context))
            (void)weir_errgroup_stop(group);
    }
    weir_context_unref(&group->context);
}
