/* SPDX-License-Identifier: MIT */
#include "see/trace_order.h"

#include "base/list.h"

/* Begins and ends follow each other in enum event_kind. */
static bool is_begin(const struct event *event)
{
    return event->kind == EVENT_RUN || event->kind == EVENT_SUBMIT ||
           event->kind == EVENT_BLOCKED || event->kind == EVENT_OWN;
}

static bool is_end(const struct event *event)
{
    return event->kind == EVENT_RUN_END || event->kind == EVENT_SUBMIT_END ||
           event->kind == EVENT_BLOCKED_END || event->kind == EVENT_OWN_END;
}

static uint32_t after(const struct recording *recording, uint32_t index)
{
    return index + 1 < recording->events ? index + 1 : 0;
}

static void rewind_to_oldest(const struct recording *recording, struct events *events)
{
    uint64_t written = load_rlx(&events->written); /* its thread has left */
    bool wrapped = written > recording->events;
    events->at = wrapped ? events->next : 0;
    events->left = wrapped ? recording->events : (uint32_t)written;
}

/* The beginning that an end belongs to: its index + 1, or 0. `open`: the innermost one that is
 * open; `partner` of each is the one around it. */
static uint32_t beginning_of(const struct events *events, const struct event *end, uint32_t open)
{
    while (open != 0 && events->all[open - 1].kind != end->kind - 1) {
        bool within_a_run = events->all[open - 1].kind == EVENT_RUN && end->kind != EVENT_RUN_END;
        if (within_a_run || end->kind == EVENT_OWN_END)
            return 0; /* one too many: it does not end what weir has begun */
        open = events->all[open - 1].partner;
    }
    return open;
}

/* Closes all that is open, up to `outermost`, at the event `end`, an index + 1, or nowhere. Returns
 * what is open then. */
static uint32_t close_to(struct events *events, uint32_t open, uint32_t outermost, uint32_t end)
{
    uint32_t closed;
    do {
        closed = open;
        open = events->all[closed - 1].partner;
        events->all[closed - 1].partner = end;
    } while (closed != outermost && open != 0);
    return open;
}

static bool is_shown(const struct event *event)
{
    return event->kind != EVENT_NAME &&
           (event->kind == EVENT_RUN_END || !is_end(event) || event->partner != 0);
}

/* Passes over what is not shown, and lines the ring up for its next event, if there is one. */
static void line_up(struct recording *recording, struct events *events)
{
    while (events->left > 0 && !is_shown(&events->all[events->at])) {
        events->at = after(recording, events->at);
        events->left--;
    }
    if (events->left > 0)
        heap_add(&recording->turns, &events->turn, events->all[events->at].at);
}

void weir__trace_pair(struct recording *recording, struct events *events)
{
    uint32_t open = 0;
    rewind_to_oldest(recording, events);
    events->depth = 0;
    for (uint32_t at = events->at, left = events->left; left > 0;
         left--, at = after(recording, at)) {
        struct event *event = &events->all[at];
        if (is_begin(event)) {
            event->partner = open;
            open = at + 1;
        } else if (is_end(event)) {
            uint32_t begin = beginning_of(events, event, open);
            event->partner = begin != 0;
            if (begin != 0)
                open = close_to(events, open, begin, at + 1);
            else if (event->kind == EVENT_RUN_END) {
                events->depth++;
                events->pool_index = event->pool;
            }
        }
    }
    if (open != 0)
        (void)close_to(events, open, 0, 0);
    line_up(recording, events);
}

const struct event *weir__trace_end_of(const struct events *events, const struct event *begin)
{
    return begin->partner != 0 ? &events->all[begin->partner - 1] : NULL;
}

const char *weir__trace_name_of(const struct recording *recording, const struct events *events,
                                const struct event *event)
{
    uint32_t next = after(recording, (uint32_t)(event - events->all));
    bool named = next != events->next && events->all[next].kind == EVENT_NAME;
    return named ? events->all[next].text : NULL;
}

const struct event *weir__trace_next(struct recording *recording, struct events **ret)
{
    struct heap_node *first = recording->turns.first;
    if (first == NULL)
        return NULL;
    heap_remove(&recording->turns, first);
    struct events *events = container_of(first, struct events, turn);
    const struct event *event = &events->all[events->at];
    events->at = after(recording, events->at);
    events->left--;
    line_up(recording, events);
    *ret = events;
    return event;
}
