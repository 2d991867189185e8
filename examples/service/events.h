/* SPDX-License-Identifier: MIT */
/* events.h - GET /events: server-sent events, one for each new document. */
#ifndef EVENTS_H
#define EVENTS_H

#include <stddef.h>
#include <stdint.h>

#include <weir.h>

struct events;
struct service;

int events_new(struct events **ret, size_t subscribers, int64_t heartbeat);
void events_free(struct events *events);

/* Tells all readers. A slow one misses it. Never waits for one. */
void events_publish(struct events *events, int64_t id, size_t size);

/* Wakes those who have heard nothing for long. To be called now and then. */
void events_beat(struct events *events);

/* Ends all streams, and takes no more of them. */
void events_close(struct events *events);

const weir_topic *events_topic(const struct events *events);
int add_events(struct service *service);

#endif
