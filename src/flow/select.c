/* SPDX-License-Identifier: MIT */
/* select.c - waits on several channels for the first thing that can be done.
 *
 * All channels are locked at once, each one once, in the order of their addresses, so that two
 * selects never wait for each other's locks in a circle. With the locks the cases are tried in
 * random order; the first that is possible happens. If none is, the call enters an arm in each
 * channel and waits as any other call does (channel_call.h): one peer claims it, once. Since its
 * arms are entered after all of its cases were tried, and all belong to the one call, a select
 * never meets itself.
 */
#include <errno.h>

#include "base/assert.h"
#include "flow/channel.h"
#include "os/random.h"

_Static_assert(WEIR_SELECT_MAX <= UINT8_MAX, "an index of a case fits into the order");

struct selection {
    weir_select_case *cases;
    struct call call;
    unsigned channel_count;
    weir_channel *channels[WEIR_SELECT_MAX]; /* different ones, by address */
    struct arm arms[WEIR_SELECT_MAX];        /* of the cases that have a channel */
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

static int prepare(struct selection *selection, weir_select_case cases[], size_t n)
{
    if (cases == NULL || n == 0 || n > WEIR_SELECT_MAX)
        return -EINVAL;
    for (size_t i = 0; i < n; i++)
        if ((cases[i].send != NULL) == (cases[i].recv != NULL))
            return -EINVAL;
    selection->cases = cases;
    selection->channel_count = 0;
    selection->call = (struct call){.arms = selection->arms};
    for (size_t i = 0; i < n; i++) {
        if (cases[i].channel == NULL)
            continue;
        bool sends = cases[i].send != NULL;
        selection->arms[selection->call.n++] = (struct arm){
            .sends = sends,
            .index = (unsigned)i,
            .element = sends ? (void *)cases[i].send : cases[i].recv,
            .call = &selection->call,
            .channel = cases[i].channel,
        };
        add_channel(selection, cases[i].channel);
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

/* Tries the arms in random order, each order with the same chance. Returns the arm that happened,
 * with its status, or NULL. */
static const struct arm *try_all_locked(struct selection *selection, int *ret_status,
                                        struct call **ret_peer)
{
    unsigned n = selection->call.n;
    uint8_t order[WEIR_SELECT_MAX];
    for (unsigned i = 0; i < n; i++)
        order[i] = (uint8_t)i;
    for (unsigned i = 0; i < n; i++) {
        unsigned other = i + random_below(n - i);
        const struct arm *arm = &selection->arms[order[other]];
        order[other] = order[i];
        *ret_status = weir__channel_try_locked(arm, ret_peer);
        if (*ret_status != -EAGAIN)
            return arm;
    }
    return NULL;
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

/* With all locks, which it releases: waits for a peer. */
static int wait_unlock(struct selection *selection, weir_context *ctx, int64_t deadline)
{
    struct call *call = &selection->call;
    call->ctx = ctx;
    for (unsigned i = 0; i < call->n; i++)
        weir__channel_enter_locked(&selection->arms[i]);
    unlock_all(selection);
    int err = weir__channel_wait(TELL("weir_select", selection->cases), call, ctx, deadline);
    if (err != 0) {
        leave_all(selection, NULL);
        return err;
    }
    leave_all(selection, selection->cases[call->index].channel);
    selection->cases[call->index].status = call->status;
    return (int)call->index;
}

static int run(weir_select_case cases[], size_t n, bool waits, weir_context *ctx, int64_t deadline)
{
    struct selection selection;
    int err = prepare(&selection, cases, n);
    if (err != 0)
        return err;
    lock_all(&selection);
    err = weir_context_err(ctx); /* with the locks: a cancel before a peer came is seen */
    struct call *peer = NULL;
    int status = 0;
    const struct arm *arm = err == 0 ? try_all_locked(&selection, &status, &peer) : NULL;
    if (err == 0 && arm == NULL) {
        if (!waits)
            err = -EAGAIN;
        else if (selection.call.n == 0 && ctx == NULL && deadline == WEIR_FOREVER)
            err = -EDEADLK;
        else if (deadline != WEIR_FOREVER && deadline <= weir_now())
            err = -ETIMEDOUT;
        else
            return wait_unlock(&selection, ctx, deadline);
    }
    unlock_all(&selection);
    if (err != 0)
        return err;
    channel_let_go(peer);
    cases[arm->index].status = status;
    return (int)arm->index;
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
