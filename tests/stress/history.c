/* SPDX-License-Identifier: MIT */
/* history.c - a search for one order that explains a history. */
#include "history.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEEN_ROOM = 1 << 16 };

/* What was tried: which operations are done, and what is queued, oldest in the low byte. */
struct position {
    uint64_t done, queued;
};

struct seen {
    struct position position;
    uint32_t stamp; /* of the history in which it was entered: so the table need not be cleared */
};

static struct seen table[SEEN_ROOM];
static uint32_t stamp;
static size_t entered;

/* True if the position is new. */
static bool enter(struct position p)
{
    uint64_t hash = (p.done * UINT64_C(0x9E3779B97F4A7C15)) ^ p.queued;
    hash *= UINT64_C(0xD1B54A32D192ED03);
    for (size_t i = hash >> 40;; i++) {
        struct seen *at = &table[i % SEEN_ROOM];
        if (at->stamp != stamp) {
            if (++entered > SEEN_ROOM / 2) {
                fprintf(stderr, "a history has too many possible orders to be searched\n");
                abort();
            }
            *at = (struct seen){p, stamp};
            return true;
        }
        if (at->position.done == p.done && at->position.queued == p.queued)
            return false;
    }
}

static size_t length(uint64_t queued)
{
    size_t n = 0;
    for (; queued != 0; queued >>= 8)
        n++;
    return n;
}

/* Does a queue that holds `queued` return what the operation returned? Then that is updated. */
static bool apply(const history *h, const operation *o, uint64_t *queued)
{
    size_t n = length(*queued);
    if (o->is_push) {
        if (!o->succeeded)
            return n == h->capacity;
        if (n == h->capacity)
            return false;
        *queued |= (uint64_t)o->value << (8 * n);
        return true;
    }
    if (!o->succeeded)
        return n == 0;
    if (o->newest) {
        if (n == 0 || *queued >> (8 * (n - 1)) != o->value)
            return false;
        *queued -= (uint64_t)o->value << (8 * (n - 1));
        return true;
    }
    if ((*queued & 0xff) != o->value)
        return false;
    *queued >>= 8;
    return true;
}

static bool precedes(const operation *a, const operation *b)
{
    return a->returned < b->called;
}

/* The pop that returned what a push put in, or the other way round; -1: there is none. */
static int partner(const history *h, size_t i)
{
    const operation *o = &h->operations[i];
    for (size_t j = 0; j < h->count && o->succeeded; j++) {
        const operation *other = &h->operations[j];
        if (other->succeeded && other->is_push != o->is_push && other->value == o->value)
            return (int)j;
    }
    return -1;
}

static bool is_deque(const history *h)
{
    for (size_t i = 0; i < h->count; i++)
        if (h->operations[i].newest)
            return true;
    return false;
}

/* Which operations must come before the i-th: those that returned before it was called, and what
 * follows from the order of a queue, in which each value is once: first in, first out. The latter
 * is not needed for the result, but leaves few orders to be searched. */
static uint64_t find_earlier(const history *h, size_t i)
{
    const operation *o = &h->operations[i];
    int mine = partner(h, i);
    uint64_t earlier = o->after >= 0 ? UINT64_C(1) << o->after : 0;
    if (!o->is_push && mine >= 0)
        earlier |= UINT64_C(1) << mine;
    for (size_t j = 0; j < h->count; j++) {
        const operation *other = &h->operations[j];
        int theirs = partner(h, j);
        bool by_queue = !is_deque(h) && mine >= 0 && theirs >= 0 && other->is_push == o->is_push &&
                        precedes(&h->operations[theirs], &h->operations[mine]);
        if (precedes(other, o) || by_queue)
            earlier |= UINT64_C(1) << j;
    }
    return earlier;
}

/* The recursion is as deep as the history is long, at most HISTORY_ROOM. */
static bool search(const history *h, const uint64_t earlier[], struct position p)
{
    bool all = true;
    if (!enter(p))
        return false;
    for (size_t i = 0; i < h->count; i++) {
        if (p.done >> i & 1)
            continue;
        all = false;
        struct position next = {p.done | UINT64_C(1) << i, p.queued};
        if ((earlier[i] & ~p.done) == 0 && apply(h, &h->operations[i], &next.queued) &&
            search(h, earlier, next))
            return true;
    }
    return all;
}

bool history_is_linearizable(const history *h)
{
    if (++stamp == 0) { /* stamps of 2^32 histories ago would be taken for ours */
        memset(table, 0, sizeof table);
        stamp = 1;
    }
    entered = 0;
    uint64_t earlier[HISTORY_ROOM];
    for (size_t i = 0; i < h->count; i++)
        earlier[i] = find_earlier(h, i);
    return search(h, earlier, (struct position){0, 0});
}

static int by_call(const void *a, const void *b)
{
    const operation *left = a, *right = b;
    return (left->called > right->called) - (left->called < right->called);
}

void history_print(const history *h)
{
    history sorted = *h;
    qsort(sorted.operations, sorted.count, sizeof sorted.operations[0], by_call);
    fprintf(stderr, "capacity %zu\n", h->capacity);
    for (size_t i = 0; i < sorted.count; i++) {
        const operation *o = &sorted.operations[i];
        fprintf(stderr, "  [%" PRIu64 ", %" PRIu64 "] %s ", o->called, o->returned,
                o->is_push ? "push" : (o->newest ? "take" : "pop"));
        if (o->is_push || o->succeeded)
            fprintf(stderr, "%u%s\n", o->value, o->succeeded ? "" : ": full");
        else
            fprintf(stderr, ": empty\n");
    }
}
