/* SPDX-License-Identifier: MIT */
/* weir/channel.h - bounded channels of fixed-size elements, and waiting for several at once.
 *
 *     weir_channel *lines;
 *     err = weir_channel_new(&lines, sizeof(struct line), 100);
 *     ...
 *     while (weir_channel_recv(lines, &line) == 0)     until it is closed and empty
 *         ...
 *
 * A channel keeps up to `capacity` elements, first in, first out. With capacity 0 it keeps none: a
 * send waits for a recv, and hands its element over (a rendezvous). Calls that wait on a channel
 * are served in the order in which they began to wait; in a stream of elements a call may spin for
 * some microseconds before it waits. The elements of one sender arrive in the order in which they
 * were sent. A call that ends without success has neither taken nor left an element.
 *
 * After a close no more is sent: sends fail; receivers get what is still there, then they fail too.
 *
 * Ownership: the channel copies elements in and out, byte by byte; memory for `capacity` of them is
 * allocated by new, and none afterwards. Elements of size 0 are signals: `element` and
 * `ret_element` may be NULL then. Free it when it is no longer used: a thread that received the
 * last element may free it, even while the send of that element is still returning.
 * Thread-safety: every call but free may be made by any number of threads at once, from tasks too
 * (a task that waits keeps its worker).
 * In a child process made by fork() a channel works as before if every other thread inside a call
 * was waiting; the waiters are not in the child. It can be freed there in any case.
 */
#ifndef WEIR_CHANNEL_H
#define WEIR_CHANNEL_H

#include "context.h"

WEIR_BEGIN_DECLS

typedef struct weir_channel weir_channel;

/* Makes a channel. Never blocks. Returns 0; -EINVAL (`ret` is NULL, or no memory could ever hold so
 * many elements); -ENOMEM. */
WEIR_API WEIR_NODISCARD int weir_channel_new(weir_channel **ret, size_t element_size,
                                             size_t capacity);

/* Frees it, with the elements that were not received. Need not be closed. NULL is fine. Never
 * blocks. Misuse that aborts: a thread waits on it, or it is subscribed to a topic. */
WEIR_API void weir_channel_free(weir_channel *channel);

/* Sends a copy of `element`. Blocks while the channel is full; a rendezvous, until it was received.
 * Returns 0; -EPIPE (it is closed, or was while this waited); -EINVAL (NULL); try_: -EAGAIN;
 * _until: -ETIMEDOUT, -ECANCELED.
 * Ordering: what came before a send happens-before the return of the recv that gets its element;
 * what came before a recv happens-before the return of a send that it made room for. */
WEIR_API WEIR_NODISCARD int weir_channel_send(weir_channel *channel, const void *element);
WEIR_API WEIR_NODISCARD int weir_channel_try_send(weir_channel *channel, const void *element);
WEIR_API WEIR_NODISCARD int weir_channel_send_until(weir_channel *channel, const void *element,
                                                    weir_context *ctx, int64_t deadline);

/* Receives the oldest element. Blocks while there is none; a rendezvous, until one is sent.
 * Returns 0; -EPIPE (it is closed, and empty); -EINVAL (NULL); try_: -EAGAIN; _until: -ETIMEDOUT,
 * -ECANCELED. Unless it returns 0, `ret_element` is untouched. */
WEIR_API WEIR_NODISCARD int weir_channel_recv(weir_channel *channel, void *ret_element);
WEIR_API WEIR_NODISCARD int weir_channel_try_recv(weir_channel *channel, void *ret_element);
WEIR_API WEIR_NODISCARD int weir_channel_recv_until(weir_channel *channel, void *ret_element,
                                                    weir_context *ctx, int64_t deadline);

/* Closes it and wakes all that wait on it: they get -EPIPE. Blocks for a short internal lock only.
 * Returns 0; -EALREADY (it is closed); -EINVAL (`channel` is NULL).
 * Ordering: what came before close happens-before the return of a call that found it closed. */
WEIR_API int weir_channel_close(weir_channel *channel);

/* Counts senders, so that the last one closes the channel: add as many as there will be before they
 * begin, and let each say that it is done, also if it failed. Neither needs a task or a thread of
 * its own. add_senders: 0; -EPIPE (closed: the sender has nothing to do, and is not counted);
 * -EOVERFLOW; -EINVAL (`channel` is NULL, or n is 0). sender_done: 0, also if it is closed already;
 * -EINVAL (NULL). Misuse that aborts: more senders are done than were added.
 * Ordering: as weir_channel_close, for what every sender did before it was done. */
WEIR_API WEIR_NODISCARD int weir_channel_add_senders(weir_channel *channel, size_t n);
WEIR_API int weir_channel_sender_done(weir_channel *channel);

/* How many elements wait to be received now; how many it can keep; and whether it is closed (1).
 * 0 for NULL. Blocks for a short internal lock only. */
WEIR_API size_t weir_channel_count(const weir_channel *channel);
WEIR_API size_t weir_channel_capacity(const weir_channel *channel);
WEIR_API int weir_channel_is_closed(const weir_channel *channel);

/* One of the things that a select may wait for: a send, a recv, the end of a context, or a time.
 * Fields that a case does not need stay 0. A case of which all are 0 never happens. */
typedef struct weir_select_case {
    weir_channel *channel; /* to send to, or to receive from */
    const void *send;      /* the element to send, or NULL */
    void *recv;            /* where the element received goes, or NULL */
    int status;            /* of the case that happened: 0; -EPIPE: the channel is closed; of a
                              context, its err */
    weir_context *context; /* the case happens when it is over */
    int64_t at;            /* the case happens when this time has come (see weir_after) */
} weir_select_case;

/* The most cases of one select; and the most of them for contexts. */
#define WEIR_SELECT_MAX 64
#define WEIR_SELECT_MAX_CONTEXTS 2

/* Makes one of the cases happen, and no other: one that can happen at once, each with the same
 * chance; if there is none it waits, and the first one to become possible happens. A case on a
 * closed channel can happen: nothing is sent or received, and its status is -EPIPE. (To leave a
 * case out, set its channel or context to NULL, or its time to WEIR_FOREVER.) A channel may be in
 * several cases; a send and a recv of the same select never meet. A case on a channel of signals
 * (element size 0) without `send` and `recv` receives. try_select sees all channels at one instant.
 * Blocks until a case has happened; at least for a short internal lock on each channel.
 * Returns the index of the case that happened, whose status is set and whose element was sent or
 * received; the others are untouched. -EINVAL (no cases or more than WEIR_SELECT_MAX, too many
 * contexts; a case that is more than one of the four, or that has a channel of elements and neither
 * `send` nor `recv`); -EDEADLK (no case can ever happen, and nothing else bounds the wait); try_:
 * -EAGAIN; _until: -ETIMEDOUT, -ECANCELED, for its own deadline and context only. */
WEIR_API WEIR_NODISCARD int weir_select(weir_select_case cases[], size_t n);
WEIR_API WEIR_NODISCARD int weir_try_select(weir_select_case cases[], size_t n);
WEIR_API WEIR_NODISCARD int weir_select_until(weir_select_case cases[], size_t n, weir_context *ctx,
                                              int64_t deadline);

WEIR_END_DECLS

#endif
