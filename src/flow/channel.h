/* SPDX-License-Identifier: MIT */
/* channel.h - what select and topics use of channels; the calls that wait are in channel_call.h. */
#ifndef WEIR_FLOW_CHANNEL_H
#define WEIR_FLOW_CHANNEL_H

#include "weir/channel.h"

#include "flow/channel_call.h"

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

/* With the locks: the arm waits for a peer, until it is taken out (channel_call.h). */
void weir__channel_enter_locked(struct arm *arm);

#endif
