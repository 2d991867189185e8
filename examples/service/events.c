/* SPDX-License-Identifier: MIT */
/* events.c - GET /events: server-sent events, one for each new document.
 *
 * A reader is a channel that is subscribed to the topic, and a connection. MHD asks for more text
 * when the socket has room. When there is none the connection is suspended; whoever publishes
 * resumes it.
 *
 * States: AWAKE -> ASLEEP by the loop's thread, after it has suspended the connection; ASLEEP ->
 * AWAKE by whoever wins a compare-and-swap, who then resumes it. The loop's thread looks at the
 * channel once more after it has said ASLEEP, and a publisher looks at the state after it has sent:
 * so one of them sees the other. */
#include "events.h"

#include "inside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BACKLOG = 32, ASLEEP = 1, AWAKE = 0 };

struct event {
    int64_t id;
    uint64_t size;
};

struct reader {
    struct reader *next, *previous;
    struct events *events;
    struct service *service;
    struct MHD_Connection *connection;
    weir_channel *channel;
    atomic_int state;
    atomic_int_fast64_t told_at; /* when it was last told something */
    atomic_bool beat;            /* a sign of life is due */
    uint64_t missed;             /* as far as it was told of */
    char text[128];              /* what MHD has not taken yet */
    size_t length, sent;
};

struct events {
    weir_topic *topic;
    pthread_mutex_t lock; /* of the list: a reader in it is not freed */
    struct reader head;
    size_t n, most;
    int64_t heartbeat;
    atomic_bool closed;
};

int events_new(struct events **ret, size_t subscribers, int64_t heartbeat)
{
    struct events *events = calloc(1, sizeof *events);
    if (events == NULL)
        return -ENOMEM;
    int err = weir_topic_new(&events->topic);
    if (err != 0) {
        free(events);
        return err;
    }
    pthread_mutex_init(&events->lock, NULL);
    events->head.next = events->head.previous = &events->head;
    events->most = subscribers;
    events->heartbeat = heartbeat;
    *ret = events;
    return 0;
}

void events_free(struct events *events)
{
    if (events == NULL)
        return;
    weir_topic_free(events->topic);
    pthread_mutex_destroy(&events->lock);
    free(events);
}

const weir_topic *events_topic(const struct events *events)
{
    return events->topic;
}

static void wake(struct reader *reader)
{
    int asleep = ASLEEP;
    if (atomic_compare_exchange_strong(&reader->state, &asleep, AWAKE))
        loop_resume(&reader->service->loop, reader->connection);
}

void events_publish(struct events *events, int64_t id, size_t size)
{
    (void)weir_topic_publish(events->topic, &(struct event){id, size});
    pthread_mutex_lock(&events->lock);
    for (struct reader *reader = events->head.next; reader != &events->head; reader = reader->next)
        wake(reader);
    pthread_mutex_unlock(&events->lock);
}

void events_beat(struct events *events)
{
    int64_t before = weir_now() - events->heartbeat;
    pthread_mutex_lock(&events->lock);
    for (struct reader *reader = events->head.next; reader != &events->head; reader = reader->next)
        if (atomic_load(&reader->told_at) < before) {
            atomic_store(&reader->beat, true);
            wake(reader);
        }
    pthread_mutex_unlock(&events->lock);
}

void events_close(struct events *events)
{
    atomic_store(&events->closed, true);
    pthread_mutex_lock(&events->lock);
    for (struct reader *reader = events->head.next; reader != &events->head; reader = reader->next)
        wake(reader);
    pthread_mutex_unlock(&events->lock);
}

/* Fills `text` with what there is to tell. False: nothing. */
static bool next_text(struct reader *reader)
{
    struct event event;
    uint64_t missed = weir_topic_missed(reader->events->topic, reader->channel);
    int n = 0;
    if (missed != reader->missed) {
        n = snprintf(reader->text, sizeof reader->text,
                     "event: missed\ndata: {\"missed\":%llu}\n\n",
                     (unsigned long long)(missed - reader->missed));
        reader->missed = missed;
    } else if (weir_channel_try_recv(reader->channel, &event) == 0) {
        n = snprintf(reader->text, sizeof reader->text,
                     "event: document\nid: %lld\ndata: {\"id\":%lld,\"size\":%llu}\n\n",
                     (long long)event.id, (long long)event.id, (unsigned long long)event.size);
    } else if (atomic_exchange(&reader->beat, false)) {
        n = snprintf(reader->text, sizeof reader->text, ": alive\n\n");
    }
    reader->length = (size_t)n;
    reader->sent = 0;
    return n > 0;
}

static bool has_more(struct reader *reader)
{
    return weir_channel_count(reader->channel) > 0 || atomic_load(&reader->beat) ||
           atomic_load(&reader->events->closed) ||
           weir_topic_missed(reader->events->topic, reader->channel) != reader->missed;
}

static ssize_t on_room(void *arg, uint64_t position, char *buffer, size_t room)
{
    struct reader *reader = arg;
    (void)position;
    if (reader->sent == reader->length && !next_text(reader)) {
        if (atomic_load(&reader->events->closed))
            return MHD_CONTENT_READER_END_OF_STREAM;
        MHD_suspend_connection(reader->connection);
        atomic_store(&reader->state, ASLEEP);
        if (has_more(reader))
            wake(reader);
        return 0;
    }
    size_t n = reader->length - reader->sent;
    n = n < room ? n : room;
    memcpy(buffer, reader->text + reader->sent, n);
    reader->sent += n;
    atomic_store(&reader->told_at, weir_now());
    return (ssize_t)n;
}

static void on_stream_end(void *arg)
{
    struct reader *reader = arg;
    struct events *events = reader->events;
    pthread_mutex_lock(&events->lock);
    reader->previous->next = reader->next;
    reader->next->previous = reader->previous;
    events->n--;
    pthread_mutex_unlock(&events->lock);
    (void)weir_topic_unsubscribe(events->topic, reader->channel);
    weir_channel_free(reader->channel);
    free(reader);
}

static int reader_new(struct reader **ret, struct request *request)
{
    struct reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL)
        return -ENOMEM;
    struct events *events = request->service->events;
    reader->events = events;
    reader->service = request->service;
    reader->connection = request->connection;
    atomic_init(&reader->told_at, weir_now());
    atomic_init(&reader->beat, true); /* so that the head goes out at once */
    int err = weir_channel_new(&reader->channel, sizeof(struct event), BACKLOG);
    if (err == 0)
        err = weir_topic_subscribe(events->topic, reader->channel);
    if (err != 0) {
        weir_channel_free(reader->channel);
        free(reader);
        return err;
    }
    *ret = reader;
    return 0;
}

/* On the network's thread, like all that is MHD's. */
static int stream(struct request *request)
{
    struct events *events = request->service->events;
    const char *topic = request_query(request, "topic");
    struct reader *reader;
    if (topic != NULL && strcmp(topic, "documents") != 0)
        return -ENOENT;
    if (strcmp(request->method, "GET") != 0)
        return -EINVAL;
    pthread_mutex_lock(&events->lock);
    bool full = events->n >= events->most;
    pthread_mutex_unlock(&events->lock);
    if (full)
        return respond_busy(request, "too many readers");
    int err = reader_new(&reader, request);
    if (err != 0)
        return err;
    pthread_mutex_lock(&events->lock);
    reader->previous = &events->head;
    reader->next = events->head.next;
    reader->next->previous = events->head.next = reader;
    events->n++;
    pthread_mutex_unlock(&events->lock);
    request->response.stream =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 1024, on_room, reader, on_stream_end);
    if (request->response.stream == NULL) {
        on_stream_end(reader);
        return -ENOMEM;
    }
    http_keep(request);
    request->response.type = "text/event-stream";
    request->response.status = 200;
    respond_header(request, "Cache-Control", "no-store");
    return 0;
}

int add_events(struct service *service)
{
    return service_add_route(service, "GET", "/events", stream, ROUTE_INLINE);
}
