/* SPDX-License-Identifier: MIT */
/* channel_call.c - a call that waits on channels: the claim of it by a peer, and its end.
 *
 * Locks: it takes none. The caller holds those of the channel whose arms are removed or looked
 * through; a call is waited for without any. Its state alone decides which thread ends a call.
 *
 * Arms of calls that were taken on another channel, or gave up, or have a context that is over, of
 * their own or among their cases, may be in the lists: they are removed when they come to the head.
 * A cancel that came before the peer therefore wins.
 *
 * Orders. channel_let_go publishes the element, index and status to the caller (call_done). The
 * locks order everything else.
 */
#include "flow/channel_call.h"

#include <errno.h>

#include "base/pace.h"
#include "os/thread.h"

void weir__channel_leave_locked(struct arm *arm)
{
    if (arm->entered)
        list_remove(&arm->link);
    arm->entered = false;
}

static bool context_of_case_over(const struct call *call)
{
    return weir_context_err(call->also[0]) != 0 || weir_context_err(call->also[1]) != 0;
}

COLD struct arm *weir__channel_take_call(struct list *arms)
{
    while (!list_empty(arms)) {
        struct arm *arm = container_of(arms->next, struct arm, link);
        struct call *call = arm->call;
        weir__channel_leave_locked(arm);
        uint32_t waiting = CALL_WAITING;
        /* pairs with weir__channel_wait; relaxed would do: it only decides who is first. The locks
         * order what this call gets, call_done what the other one gets. */
        if (weir_context_err(call->ctx) != 0 || context_of_case_over(call) ||
            !cas_acqrel(&call->state, &waiting, CALL_TAKEN))
            continue;
        for (unsigned i = 0; i < call->n; i++)
            if (call->arms[i].channel == arm->channel)
                weir__channel_leave_locked(&call->arms[i]);
        call->index = arm->index;
        call->status = 0;
        call->next = NULL;
        return arm;
    }
    return NULL;
}

struct call *weir__channel_take_all(struct list *arms, struct call *calls)
{
    struct arm *arm;
    while ((arm = weir__channel_take_call(arms)) != NULL) {
        arm->call->status = -EPIPE;
        arm->call->next = calls;
        calls = arm->call;
    }
    return calls;
}

static bool call_done(void *arg)
{
    const struct call *call = arg;
    bool done = load_seqcst(&call->state) == CALL_DONE; /* pairs with channel_let_go */
    if (done)
        tsan_acquire(call);
    return done;
}

static bool call_ended(void *arg)
{
    return call_done(arg) || context_of_case_over(arg);
}

int weir__channel_wait(struct told told, struct call *call, weir_context *ctx, int64_t deadline)
{
    int64_t end = weir_now() + CHANNEL_YIELD_NS;
    if (end > deadline)
        end = deadline;
    while (weir_now() < end) {
        if (call_done(call))
            return 0;
        weir__thread_yield();
    }
    int err = weir__wait_until(told, call, call_ended, call, ctx, call->also, deadline);
    if (err == 0 && call_done(call))
        return 0;
    if (err == 0)
        err = CALL_CONTEXT_OVER;
    uint32_t waiting = CALL_WAITING;
    /* pairs with weir__channel_take_call; relaxed would do: the lock that is taken next orders what
     * follows */
    if (cas_acqrel(&call->state, &waiting, CALL_GONE))
        return err;
    /* It is soon DONE. */
    return weir__wait_until(told, call, call_done, call, NULL, NULL, WEIR_FOREVER);
}
