/* SPDX-License-Identifier: MIT */
/* channel_call.h - calls that wait on channels, and what ends them.
 *
 * A call that cannot go on at once waits with an arm in each channel that it would use. A call that
 * comes to such a channel later, its peer, claims the waiting call, does its work, and lets it go.
 *
 * States of a call: WAITING -> TAKEN -> DONE, or WAITING -> GONE, by CAS; the thread that makes the
 * first step owns the end of the call.
 *   TAKEN  by a peer, which holds the locks of the channel, takes all arms of the call out of it,
 *          moves the element, sets `index` and `status`, and unlocks;
 *   DONE   then by that peer: its last access to the channel is before, to the call is this. So the
 *          call returns and may free the channel;
 *   GONE   by the caller, which gave up.
 *
 * A call keeps its arms until it has taken them out itself, or found them out, under the locks. The
 * one channel it must not touch again is that of the arm which a peer claimed.
 */
#ifndef WEIR_FLOW_CHANNEL_CALL_H
#define WEIR_FLOW_CHANNEL_CALL_H

#include "weir/channel.h"

#include "base/assert.h"
#include "base/atomic.h"
#include "base/list.h"
#include "base/tsan.h"
#include "wait/wait.h"

enum { CALL_WAITING, CALL_TAKEN, CALL_DONE, CALL_GONE };

struct arm {
    struct list link; /* these two: under the channel's locks */
    bool entered;
    bool sends;
    unsigned index; /* of the select's case */
    void *element;  /* to send (not written to then), or where to receive */
    struct call *call;
    weir_channel *channel;
};

struct call {
    atomic(uint32_t) state;
    int status; /* this and `index`: the peer's, between TAKEN and DONE */
    unsigned index;
    unsigned n; /* arms */
    struct arm *arms;
    const weir_context *ctx;
    const weir_context *also[2]; /* of a select's cases, or NULL */
    struct call *next;           /* the peer's: others that it is going to let go */
};

/* With the locks of its channel: the arm no longer waits, whether it did or not. */
void weir__channel_leave_locked(struct arm *arm);

/* With the locks of the channel whose arms they are: takes the call that has waited longest in
 * `arms`, if there is one. Its arm; NULL. */
COLD struct arm *weir__channel_take_call(struct list *arms);

/* Likewise: takes all calls that wait in `arms`, for -EPIPE, and puts them before `calls`. */
struct call *weir__channel_take_all(struct list *arms, struct call *calls);

/* Without any lock: ends the calls that were taken, `next` leading from one to the other. */
static inline void channel_let_go(struct call *call)
{
    while (call != NULL) {
        struct call *next = call->next;
        tsan_release(call);
        (void)xchg_seqcst(&call->state, CALL_DONE); /* pairs with call_done; it may be gone now */
        weir__wake_all(call);
        call = next;
    }
}

enum { CALL_CONTEXT_OVER = 1 };

/* Waits until a peer has ended the call, and returns 0; or gives up, and returns what ended the
 * wait: an error, or CALL_CONTEXT_OVER if one of `also` was cancelled. The caller then takes out
 * the arms that may still be entered. */
int weir__channel_wait(struct told told, struct call *call, weir_context *ctx, int64_t deadline);

#endif
