/* SPDX-License-Identifier: MIT */
/* topic.c - publish against subscribers that come, go and are freed; and the lock below it. */
#include "scenario.h"

#include "sync/mutex.h"

struct work {
    weir_topic *topic;
    weir_channel *a, *b;
    int published;
    struct mutex *mutex;
    unsigned inside; /* plain: guarded by the mutex */
};

static weir_channel *new_channel(void)
{
    weir_channel *channel = NULL;
    int err = weir_channel_new(&channel, sizeof(int), 1);
    check(err == 0);
    return channel;
}

static struct work *new_work(void)
{
    struct work *work = make(sizeof *work);
    int err = weir_topic_new(&work->topic);
    check(err == 0);
    work->a = new_channel();
    work->b = new_channel();
    return work;
}

static void subscribe(struct work *work, weir_channel *channel)
{
    int err = weir_topic_subscribe(work->topic, channel);
    check(err == 0);
}

static void unsubscribe(struct work *work, weir_channel *channel)
{
    int err = weir_topic_unsubscribe(work->topic, channel);
    check(err == 0);
}

static void publish(void *arg)
{
    struct work *work = arg;
    const int number = 5;
    work->published = weir_topic_publish(work->topic, &number);
}

static void a_channel_is_freed_right_after_it_was_unsubscribed(void)
{
    struct work *work = new_work();
    subscribe(work, work->a);
    explore_begin();
    struct vthread *publisher = start(publish, work);
    int number = 0;
    int err = weir_channel_recv(work->a, &number);
    check(err == 0 && number == 5);
    unsubscribe(work, work->a);
    weir_channel_free(work->a);
    finish(publisher);
    explore_end();
    check(work->published == 1);
    weir_channel_free(work->b);
    weir_topic_free(work->topic);
    drop(work);
}

static void publish_against_subscribe_and_unsubscribe(void)
{
    struct work *work = new_work();
    subscribe(work, work->a);
    explore_begin();
    struct vthread *publisher = start(publish, work);
    subscribe(work, work->b);
    unsubscribe(work, work->a);
    finish(publisher);
    explore_end();
    size_t got = weir_channel_count(work->a) + weir_channel_count(work->b);
    check(work->published == (int)got && got >= 1);
    weir_topic_free(work->topic);
    weir_channel_free(work->a);
    weir_channel_free(work->b);
    drop(work);
}

static void enter(void *arg)
{
    struct work *work = arg;
    mutex_lock(work->mutex);
    work->inside++;
    mutex_unlock(work->mutex);
}

static void a_mutex_lets_in_one_at_a_time(void)
{
    struct work *work = make(sizeof *work);
    work->mutex = make(sizeof *work->mutex);
    explore_begin();
    struct vthread *a = start(enter, work), *b = start(enter, work);
    enter(work);
    enter(work);
    finish(a);
    finish(b);
    explore_end();
    check(work->inside == 4);
    drop(work->mutex);
    drop(work);
}

/* A thread that finds the other one done may free the mutex that both have used. */
static void a_mutex_is_freed_by_the_last_to_hold_it(void)
{
    struct work *work = make(sizeof *work);
    work->mutex = make(sizeof *work->mutex);
    explore_begin();
    struct vthread *other = start(enter, work);
    for (unsigned inside = 0; inside == 0;) {
        mutex_lock(work->mutex);
        inside = work->inside;
        mutex_unlock(work->mutex);
        if (inside == 0)
            settle();
    }
    drop(work->mutex);
    finish(other);
    explore_end();
    drop(work);
}

const struct scenario topic_scenarios[] = {
    {"a channel is freed right after it was unsubscribed",
     a_channel_is_freed_right_after_it_was_unsubscribed, false},
    {"publish against subscribe and unsubscribe", publish_against_subscribe_and_unsubscribe, false},
    {"a mutex lets in one at a time", a_mutex_lets_in_one_at_a_time, false},
    {"a mutex is freed by the last to hold it", a_mutex_is_freed_by_the_last_to_hold_it, false},
    {0},
};
