/* SPDX-License-Identifier: MIT */
/* weir/topic.h - broadcast: every subscriber gets a copy of what is published. A subscriber is a
 * channel.
 *
 *     err = weir_topic_subscribe(prices, mine);
 *     ...                            and elsewhere: weir_topic_publish(prices, &price)
 *     while (weir_channel_recv(mine, &price) == 0)
 *         ...
 *     err = weir_topic_unsubscribe(prices, mine);
 *     weir_channel_free(mine);
 *
 * A publisher never waits for a subscriber: one whose channel is full (of capacity 0: from which no
 * thread is receiving) misses the element, and the miss is counted. All subscribers get the
 * elements in the same order.
 *
 * Ownership: a channel stays its maker's. While it is subscribed it must not be freed; after
 * unsubscribe has returned it may be, for no publish uses it any more. It may be closed at any
 * time, and may be subscribed to several topics.
 * Thread-safety: every call but free may be made by any number of threads at once, from tasks too.
 * In a child process made by fork() a topic works as before if no other thread was inside a call.
 */
#ifndef WEIR_TOPIC_H
#define WEIR_TOPIC_H

#include "channel.h"

WEIR_BEGIN_DECLS

typedef struct weir_topic weir_topic;

/* Makes a topic without subscribers. Never blocks. Returns 0; -EINVAL (`ret` is NULL); -ENOMEM. */
WEIR_API WEIR_NODISCARD int weir_topic_new(weir_topic **ret);

/* Frees it; its channels are left as they are. NULL is fine. No other call may be under way. */
WEIR_API void weir_topic_free(weir_topic *topic);

/* From now on the channel gets what is published. The elements of a topic have the size of its
 * subscribers' elements, which must all be of one size. Blocks for a short internal lock only.
 * Returns 0; -EBUSY (it is subscribed to this topic already); -EINVAL (NULL, or the elements of the
 * other subscribers have another size); -ENOMEM. */
WEIR_API WEIR_NODISCARD int weir_topic_subscribe(weir_topic *topic, weir_channel *channel);

/* From now on it does not; its count of misses is forgotten. Blocks until a publish that is under
 * way has tried all subscribers. Returns 0; -EINVAL (NULL, or not subscribed). */
WEIR_API int weir_topic_unsubscribe(weir_topic *topic, weir_channel *channel);

/* Sends a copy of `element` to every subscriber that has room for it now. One whose channel is
 * closed neither receives nor misses it. Blocks for a short internal lock only.
 * Returns how many received it; -EINVAL (NULL, where the elements have a size).
 * Ordering: what came before happens-before the return of a recv that gets the element. */
WEIR_API int weir_topic_publish(weir_topic *topic, const void *element);

/* How many elements the channel has missed since it was subscribed; 0 if it is not. Blocks for a
 * short internal lock only. */
WEIR_API uint64_t weir_topic_missed(const weir_topic *topic, const weir_channel *channel);

/* Subscribers now; and since the topic was made: elements published, the copies of them that were
 * received, and those that were missed. */
typedef struct weir_topic_counts {
    uint64_t subscribers, published, received, missed;
} weir_topic_counts;

/* Zeroes for NULL. Blocks for a short internal lock only. */
WEIR_API void weir_topic_read_counts(const weir_topic *topic, weir_topic_counts *ret);

WEIR_END_DECLS

#endif
