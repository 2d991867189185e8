/* SPDX-License-Identifier: MIT */
/* dump_queue.h - what is in a queue, seen from outside while tasks move. */
#ifndef WEIR_SEE_DUMP_QUEUE_H
#define WEIR_SEE_DUMP_QUEUE_H

#include "pool/pool.h"
#include "see/text.h"

enum { QUEUED_NAME = 64, QUEUED_KINDS = 16, QUEUED_FIRST = 3, QUEUED_LOOKS = 1 << 16 };

/* What a queued task is called. */
struct queued_name {
    uintptr_t fn;
    char text[QUEUED_NAME]; /* cut to fit; empty: it has none */
};

struct queued_kind {
    struct queued_name name;
    unsigned count;
};

struct queue_view {
    struct queued_kind kinds[QUEUED_KINDS]; /* the first that were met */
    unsigned kinds_used, others;            /* tasks of all other kinds */
    struct {
        struct queued_name name;
        int64_t submitted;
    } first[QUEUED_FIRST]; /* of those in lanes that are measured, from the first head on */
    unsigned first_used;
    struct {
        int64_t submitted; /* of the first in it that is measured; 0: none is */
        bool is_head;      /* and it is the oldest of all there */
    } oldest[WEIR_MAX_LANES];
    int64_t now; /* when it was looked at */
    bool cut;    /* more are queued than were looked at */
};

void weir__queue_view(const weir_pool *pool, struct queue_view *ret);

/* Is a task of the sink queued, not far from the head, or in a deque? */
bool weir__queue_has(const weir_pool *pool, const void *sink);

#endif
