/* SPDX-License-Identifier: MIT */
/* topic.c - a list of channels that all get what is published.
 *
 * Locks: the topic's guards the list and the counts of misses. It is held while an element is sent
 * to each subscriber in turn, so that all of them get elements in one order, and so that no publish
 * still uses a channel once it was unsubscribed. A channel's lock is taken under it, never the
 * other way round; a publish waits for nothing else.
 */
#include "weir/topic.h"

#include <errno.h>
#include <limits.h>

#include "base/assert.h"
#include "base/list.h"
#include "flow/channel.h"
#include "os/alloc.h"
#include "sync/mutex.h"

struct subscription {
    struct list link;
    weir_channel *channel;
    uint64_t missed;
};

struct weir_topic {
    struct mutex lock;
    unsigned count;                       /* of subscriptions */
    size_t element_size;                  /* of all subscribers; 0 without any */
    uint64_t published, received, missed; /* elements; copies of them, by all subscribers */
    struct list subscriptions;
};

int weir_topic_new(weir_topic **ret)
{
    if (ret == NULL)
        return -EINVAL;
    weir_topic *topic = weir__alloc(1, sizeof *topic);
    if (topic == NULL)
        return -ENOMEM;
    list_init(&topic->subscriptions);
    *ret = topic;
    return 0;
}

void weir_topic_free(weir_topic *topic)
{
    if (topic == NULL)
        return;
    struct list *next;
    for (struct list *at = topic->subscriptions.next; at != &topic->subscriptions; at = next) {
        next = at->next;
        struct subscription *subscription = container_of(at, struct subscription, link);
        weir__channel_subscribed(subscription->channel, false);
        weir__free(subscription);
    }
    weir__free(topic);
}

static struct subscription *find_locked(const weir_topic *topic, const weir_channel *channel)
{
    struct list *at = topic->subscriptions.next;
    for (; at != &topic->subscriptions; at = at->next) {
        struct subscription *subscription = container_of(at, struct subscription, link);
        if (subscription->channel == channel)
            return subscription;
    }
    return NULL;
}

static int subscribe_locked(weir_topic *topic, struct subscription *subscription)
{
    size_t size = weir__channel_element_size(subscription->channel);
    if (find_locked(topic, subscription->channel) != NULL)
        return -EBUSY;
    if (topic->count == 0)
        topic->element_size = size;
    if (size != topic->element_size)
        return -EINVAL;
    weir_assert(topic->count < INT_MAX); /* each has walked the list: so many would take ages */
    list_append(&topic->subscriptions, &subscription->link);
    topic->count++;
    weir__channel_subscribed(subscription->channel, true);
    return 0;
}

int weir_topic_subscribe(weir_topic *topic, weir_channel *channel)
{
    if (topic == NULL || channel == NULL)
        return -EINVAL;
    struct subscription *subscription = weir__alloc(1, sizeof *subscription);
    if (subscription == NULL)
        return -ENOMEM;
    subscription->channel = channel;
    mutex_lock(&topic->lock);
    int err = subscribe_locked(topic, subscription);
    mutex_unlock(&topic->lock);
    if (err != 0)
        weir__free(subscription);
    return err;
}

int weir_topic_unsubscribe(weir_topic *topic, weir_channel *channel)
{
    if (topic == NULL || channel == NULL)
        return -EINVAL;
    mutex_lock(&topic->lock);
    struct subscription *subscription = find_locked(topic, channel);
    if (subscription != NULL) {
        list_remove(&subscription->link);
        weir__channel_subscribed(channel, false);
        if (--topic->count == 0)
            topic->element_size = 0;
    }
    mutex_unlock(&topic->lock);
    weir__free(subscription);
    return subscription != NULL ? 0 : -EINVAL;
}

int weir_topic_publish(weir_topic *topic, const void *element)
{
    if (topic == NULL)
        return -EINVAL;
    mutex_lock(&topic->lock);
    int received = element == NULL && topic->element_size != 0 ? -EINVAL : 0;
    struct list *at = topic->subscriptions.next;
    for (; received >= 0 && at != &topic->subscriptions; at = at->next) {
        struct subscription *subscription = container_of(at, struct subscription, link);
        int err = weir_channel_try_send(subscription->channel, element);
        if (err == 0) {
            received++;
        } else if (err == -EAGAIN) {
            subscription->missed++;
            topic->missed++;
        }
    }
    if (received >= 0) {
        topic->published++;
        topic->received += (uint64_t)received;
    }
    mutex_unlock(&topic->lock);
    return received;
}

uint64_t weir_topic_missed(const weir_topic *topic, const weir_channel *channel)
{
    if (topic == NULL)
        return 0;
    struct mutex *lock = (struct mutex *)&topic->lock;
    mutex_lock(lock);
    const struct subscription *subscription = find_locked(topic, channel);
    uint64_t missed = subscription != NULL ? subscription->missed : 0;
    mutex_unlock(lock);
    return missed;
}

void weir_topic_read_counts(const weir_topic *topic, weir_topic_counts *ret)
{
    if (ret == NULL)
        return;
    *ret = (weir_topic_counts){0};
    if (topic == NULL)
        return;
    struct mutex *lock = (struct mutex *)&topic->lock;
    mutex_lock(lock);
    *ret = (weir_topic_counts){topic->count, topic->published, topic->received, topic->missed};
    mutex_unlock(lock);
}
