/* SPDX-License-Identifier: MIT */
/* select.c - waits on several channels for the first thing that can be done.
 *
 * All channels are locked at once, each one once, in the order of their addresses, so that two
 * selects never wait for each other's locks in a circle. With the locks the cases are tried in
 * random order; the first that is possible happens. If none is, the call enters an arm in each
 * channel and waits as any other call does (channel_call.h): one peer claims it, once. Since its
 * arms are entered after all of its cases were tried, and all belong to the one call, a select
 * never meets itself.
 *
 * The cases for a context and for a time have no arm. They are looked at together with the arms,
 * and bound the wait: when it ends for one of them, that case has happened.
 */
#include <errno.h>

#include "base/assert.h"
#include "base/deadline.h"
#include "flow/channel.h"
#include "os/random.h"

_Static_assert(WEIR_SELECT_MAX <= UINT8_MAX, "an index of a case fits into the order");

_Static_assert(WEIR_SELECT_MAX_CONTEXTS == sizeof((struct call *)0)->also / sizeof(void *),
               "a call waits with so many");

struct selection {
    weir_select_case *cases;
    struct call call;
    unsigned channel_count;
    weir_channel *channels[WEIR_SELECT_MAX]; /* different ones, by address */
    struct arm arms[WEIR_SELECT_MAX];        /* of the cases that have a channel */
    unsigned contexts;
    unsigned context_cases[WEIR_SELECT_MAX_CONTEXTS];
    unsigned time_case; /* the earliest one */
    int64_t at;         /* of that; WEIR_FOREVER: there is none */
    int64_t end;        /* the earliest of `at` and the deadlines of the contexts */
};

/* A case that has happened. */
struct happened {
    unsigned index;
    int status;
};

/* Adds a channel, unless it is there. */
static void add_channel(struct selection *selection, weir_channel *channel)
{
    weir_channel **channels = selection->channels;
    unsigned at = selection->channel_count;
    while (at > 0 && (uintptr_t)channels[at - 1] > (uintptr_t)channel)
        at--;
    if (at > 0 && channels[at - 1] == channel)
        return;
    for (unsigned i = selection->channel_count++; i > at; i--)
        channels[i] = channels[i - 1];
    channels[at] = channel;
}

enum kind { WRONG, NEVER, SEND, RECV, CONTEXT, TIME };

static enum kind kind_of(const weir_select_case *given)
{
    bool sends = given->send != NULL, receives = given->recv != NULL;
    bool channel = given->channel != NULL || sends || receives;
    if (channel + (given->context != NULL) + (given->at != 0) > 1 || (sends && receives))
        return WRONG;
    if (given->context != NULL)
        return CONTEXT;
    if (given->at != 0)
        return given->at == WEIR_FOREVER ? NEVER : TIME;
    if (given->channel == NULL)
        return NEVER;
    if (!sends && !receives && weir__channel_element_size(given->channel) != 0)
        return WRONG;
    return sends ? SEND : RECV;
}

static void add_arm(struct selection *selection, const weir_select_case *given, unsigned index,
                    bool sends)
{
    selection->arms[selection->call.n++] = (struct arm){
        .sends = sends,
        .index = index,
        .element = sends ? (void *)given->send : given->recv,
        .call = &selection->call,
        .channel = given->channel,
    };
    add_channel(selection, given->channel);
}

/* False: there are too many. */
static bool add_context(struct selection *selection, weir_context *ctx, unsigned index)
{
    if (selection->contexts == WEIR_SELECT_MAX_CONTEXTS)
        return false;
    selection->context_cases[selection->contexts] = index;
    selection->call.also[selection->contexts++] = ctx;
    selection->end = earlier(selection->end, weir_context_deadline(ctx));
    return true;
}

static void add_time(struct selection *selection, int64_t at, unsigned index)
{
    if (at >= selection->at)
        return;
    selection->at = at;
    selection->time_case = index;
    selection->end = earlier(selection->end, at);
}

static int prepare(struct selection *selection, weir_select_case cases[], size_t n)
{
    if (cases == NULL || n == 0 || n > WEIR_SELECT_MAX)
        return -EINVAL;
    selection->cases = cases;
    selection->channel_count = selection->contexts = 0;
    selection->at = selection->end = WEIR_FOREVER;
    selection->call = (struct call){.arms = selection->arms};
    for (unsigned i = 0; i < n; i++) {
        enum kind kind = kind_of(&cases[i]);
        if (kind == WRONG)
            return -EINVAL;
        if (kind == SEND || kind == RECV)
            add_arm(selection, &cases[i], i, kind == SEND);
        else if (kind == TIME)
            add_time(selection, cases[i].at, i);
        else if (kind == CONTEXT && !add_context(selection, cases[i].context, i))
            return -EINVAL;
    }
    return 0;
}

static void lock_all(struct selection *selection)
{
    for (unsigned i = 0; i < selection->channel_count; i++)
        weir__channel_lock(selection->channels[i]);
}

static void unlock_all(struct selection *selection)
{
    for (unsigned i = selection->channel_count; i > 0; i--)
        weir__channel_unlock(selection->channels[i - 1]);
}

/* What has happened without a peer. Returns how many, at most one of each context and a time. */
static unsigned look(const struct selection *selection,
                     struct happened ret[WEIR_SELECT_MAX_CONTEXTS + 1])
{
    unsigned n = 0;
    for (unsigned i = 0; i < selection->contexts; i++) {
        int err = weir_context_err(selection->call.also[i]);
        if (err != 0)
            ret[n++] = (struct happened){selection->context_cases[i], err};
    }
    if (selection->at != WEIR_FOREVER && selection->at <= weir_now())
        ret[n++] = (struct happened){selection->time_case, 0};
    return n;
}

/* Tries the arms, and what else may have happened, in random order, each order with the same
 * chance. */
static bool try_all_locked(struct selection *selection, struct happened *ret,
                           struct call **ret_peer)
{
    struct happened others[WEIR_SELECT_MAX_CONTEXTS + 1];
    uint8_t order[WEIR_SELECT_MAX + WEIR_SELECT_MAX_CONTEXTS + 1];
    unsigned arms = selection->call.n, n = arms + look(selection, others);
    for (unsigned i = 0; i < n; i++)
        order[i] = (uint8_t)i;
    for (unsigned i = 0; i < n; i++) {
        unsigned other = i + random_below(n - i), picked = order[other];
        order[other] = order[i];
        if (picked >= arms) {
            *ret = others[picked - arms];
            return true;
        }
        const struct arm *arm = &selection->arms[picked];
        *ret = (struct happened){arm->index, weir__channel_try_locked(arm, ret_peer)};
        if (ret->status != -EAGAIN)
            return true;
    }
    return false;
}

/* Takes out what is still entered. `but` is a channel that may be gone, or NULL. */
static void leave_all(struct selection *selection, const weir_channel *but)
{
    for (unsigned i = 0; i < selection->call.n; i++) {
        struct arm *arm = &selection->arms[i];
        if (arm->channel == but)
            continue;
        weir__channel_lock(arm->channel);
        weir__channel_leave_locked(arm);
        weir__channel_unlock(arm->channel);
    }
}

/* The wait has ended with `err`, no peer has come, and the select's own deadline is not why. A
 * deadline of the cases that ended it has come, though the clock may lag behind. */
static struct happened find_happened(const struct selection *selection, int err)
{
    for (unsigned i = 0; i < selection->contexts; i++) {
        const weir_context *ctx = selection->call.also[i];
        int over = weir_context_err(ctx);
        if (over == 0 && err == -ETIMEDOUT && weir_context_deadline(ctx) == selection->end)
            over = -ETIMEDOUT;
        if (over != 0)
            return (struct happened){selection->context_cases[i], over};
    }
    return (struct happened){selection->time_case, 0};
}

/* With all locks, which it releases: waits for a peer, a context or a time. */
static int wait_unlock(struct selection *selection, weir_context *ctx, int64_t deadline,
                       struct happened *ret)
{
    struct call *call = &selection->call;
    call->ctx = ctx;
    for (unsigned i = 0; i < call->n; i++)
        weir__channel_enter_locked(&selection->arms[i]);
    unlock_all(selection);
    int err = weir__channel_wait(TELL("weir_select", selection->cases), call, ctx,
                                 earlier(deadline, selection->end));
    int64_t bound = earlier(deadline, weir_context_deadline(ctx));
    leave_all(selection, err == 0 ? selection->cases[call->index].channel : NULL);
    if (err == 0)
        *ret = (struct happened){call->index, call->status};
    else if (err == CALL_CONTEXT_OVER || (err == -ETIMEDOUT && selection->end <= bound))
        *ret = find_happened(selection, err);
    else
        return err;
    return 0;
}

/* Why a select for which nothing has happened does not wait, or 0. */
static int refuse_wait(const struct selection *selection, bool waits, const weir_context *ctx,
                       int64_t deadline)
{
    if (!waits)
        return -EAGAIN;
    if (selection->call.n == 0 && selection->contexts == 0 && selection->at == WEIR_FOREVER &&
        ctx == NULL && deadline == WEIR_FOREVER)
        return -EDEADLK;
    return deadline != WEIR_FOREVER && deadline <= weir_now() ? -ETIMEDOUT : 0;
}

static int tell(weir_select_case cases[], const struct happened *happened)
{
    cases[happened->index].status = happened->status;
    return (int)happened->index;
}

static int run(weir_select_case cases[], size_t n, bool waits, weir_context *ctx, int64_t deadline)
{
    struct selection selection;
    struct happened happened = {0, 0};
    struct call *peer = NULL;
    int err = prepare(&selection, cases, n);
    if (err != 0)
        return err;
    lock_all(&selection);
    err = weir_context_err(ctx); /* with the locks: a cancel before a peer came is seen */
    if (err == 0 && !try_all_locked(&selection, &happened, &peer)) {
        err = refuse_wait(&selection, waits, ctx, deadline);
        if (err == 0) {
            err = wait_unlock(&selection, ctx, deadline, &happened);
            return err != 0 ? err : tell(cases, &happened);
        }
    }
    unlock_all(&selection);
    if (err != 0)
        return err;
    channel_let_go(peer);
    return tell(cases, &happened);
}

int weir_select(weir_select_case cases[], size_t n)
{
    return run(cases, n, true, NULL, WEIR_FOREVER);
}

int weir_try_select(weir_select_case cases[], size_t n)
{
    return run(cases, n, false, NULL, WEIR_FOREVER);
}

int weir_select_until(weir_select_case cases[], size_t n, weir_context *ctx, int64_t deadline)
{
    return run(cases, n, true, ctx, deadline);
}
