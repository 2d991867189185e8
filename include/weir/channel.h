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

/* How many elements wait to be received now; how many it can keep; and whether it is closed (1).
 * 0 for NULL. Blocks for a short internal lock only. */
WEIR_API size_t weir_channel_count(const weir_channel *channel);
WEIR_API size_t weir_channel_capacity(const weir_channel *channel);
WEIR_API int weir_channel_is_closed(const weir_channel *channel);

/* One of the things that a select may do. */
typedef struct weir_select_case {
    weir_channel *channel; /* NULL: this case never happens */
    const void *send;      /* the element to send, or NULL */
    void *recv;            /* where the element received goes, or NULL; one of the two is set */
    int status;            /* of the case that happened: 0, or -EPIPE if its channel is closed */
} weir_select_case;

/* The most cases of one select. */
#define WEIR_SELECT_MAX 64

/* Makes one of the cases happen, and no other: one that can happen at once, each with the same
 * chance; if there is none it waits, and the first one to become possible happens. A case on a
 * closed channel can happen: nothing is sent or received, and its status is -EPIPE. (To leave such
 * a case out, set its channel to NULL.) A channel may be in several cases; a send and a recv of the
 * same select never meet. try_select sees all channels at one instant.
 * Blocks until a case has happened; at least for a short internal lock on each channel.
 * Returns the index of the case that happened, whose status is set and whose element was sent or
 * received; the others are untouched. -EINVAL (no cases or more than WEIR_SELECT_MAX; a case that
 * has both of send and recv, or neither); -EDEADLK (no case has a channel, and nothing else bounds
 * the wait); try_: -EAGAIN; _until: -ETIMEDOUT, -ECANCELED. */
WEIR_API WEIR_NODISCARD int weir_select(weir_select_case cases[], size_t n);
WEIR_API WEIR_NODISCARD int weir_try_select(weir_select_case cases[], size_t n);
WEIR_API WEIR_NODISCARD int weir_select_until(weir_select_case cases[], size_t n, weir_context *ctx,
                                              int64_t deadline);

WEIR_END_DECLS

#endif
