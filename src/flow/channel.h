/* SPDX-License-Identifier: MIT */
/* channel.h - what channels and select share: calls that wait on channels, and what ends them.
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
#ifndef WEIR_FLOW_CHANNEL_H
#define WEIR_FLOW_CHANNEL_H

#include "weir/channel.h"

#include "base/atomic.h"
#include "base/list.h"
#include "sync/mutex.h"

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
    struct call *next; /* the peer's: others that it is going to let go */
};

size_t weir__channel_element_size(const weir_channel *channel);

/* One topic more, or one less, has the channel among its subscribers. While one has, it must not be
 * freed. */
void weir__channel_subscribed(weir_channel *channel, bool is);

/* Takes, and releases, both locks: in between nothing of the channel changes. */
void weir__channel_lock(weir_channel *channel);
void weir__channel_unlock(weir_channel *channel);

/* With the locks: does what the arm would do, if that is possible at once. Returns 0; -EPIPE;
 * -EAGAIN. After 0, `*ret_peer` is a call to let go after the unlock, or NULL. */
int weir__channel_try_locked(const struct arm *arm, struct call **ret_peer);

/* With the locks: the arm waits for a peer; no longer waits, whether it did or not. */
void weir__channel_enter_locked(struct arm *arm);
void weir__channel_leave_locked(struct arm *arm);

/* Without any lock: ends the calls that were taken, `next` leading from one to the other. */
void weir__channel_let_go(struct call *call);

/* Waits until a peer has ended the call, and returns 0; or gives up, and returns what ended the
 * wait. The caller then takes out the arms that may still be entered. */
int weir__channel_wait(struct call *call, weir_context *ctx, int64_t deadline);

#endif
