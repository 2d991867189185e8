/* SPDX-License-Identifier: MIT */
/* trace_json.c - a recording in Chrome's trace event format, as an array of objects, one a line.
 *
 * Lines are in the order of time, so that what is left of a file that was cut short is the
 * beginning of the story. Each begins with what separates it from the one before: a line is whole,
 * or the last.
 *
 * An arrow has two ends: "s" in the slice of the submit, "f" where the run begins; a number that
 * both have, and the same name and category. It starts with its submit, for the run may begin
 * before the submit has returned.
 *
 * How many are queued follows from positions: the last one that was filled, less the last one that
 * was freed. So what a ring has lost makes a gap, and no error that stays. (A run is noted a moment
 * after its job was taken, so there can be more than have room; that is cut.) How many threads of a
 * pool are busy is counted, from what was open where each ring begins.
 */
#include "see/trace_json.h"

#include <errno.h>
#include <string.h>

#include "weir/task.h"

#include "os/thread.h"
#include "see/trace_order.h"

struct pool_track {
    uint64_t filled, freed; /* positions, each plus 1; 0: not known yet */
    uint64_t queued, busy;
    uint64_t queued_shown, busy_shown;
};

struct picture {
    struct json *json;
    struct recording *recording;
    const struct trace_span *span;
    struct trace_names *names;
    int process;
    struct pool_track pools[RECORDED_POOLS + 1]; /* [0]: those beyond */
};

/* Lines. */

/* {"ph":"X","name":"..."; the rest of a line, up to `args`, follows from the thread and the time.
 */
static void begin_line(struct picture *picture, const char *phase, const char *name)
{
    struct json *json = picture->json;
    weir__json_text(json, ",\n{\"ph\":\"");
    weir__json_text(json, phase);
    weir__json_text(json, "\",\"name\":");
    weir__json_string(json, name, SIZE_MAX);
}

static void put_where(struct picture *picture, int thread, int64_t at)
{
    struct json *json = picture->json;
    weir__json_text(json, ",\"pid\":");
    weir__json_number(json, picture->process);
    weir__json_text(json, ",\"tid\":");
    weir__json_number(json, thread);
    weir__json_text(json, ",\"ts\":");
    weir__json_time(json, at);
}

static void put_category(struct picture *picture, const char *category)
{
    weir__json_text(picture->json, ",\"cat\":\"");
    weir__json_text(picture->json, category);
    weir__json_text(picture->json, "\"");
}

/* Two pools may have the same name: a later one is shown with its number among them. */
static void put_pool(struct picture *picture, uint8_t pool, const char *what)
{
    char text[sizeof picture->recording->pools[0].name + 24] = "other pools";
    unsigned same = 1;
    if (pool != 0) {
        const char *name = picture->recording->pools[pool - 1].name;
        for (unsigned i = 0; i + 1 < pool; i++)
            same += strcmp(picture->recording->pools[i].name, name) == 0;
        memcpy(text, name, strlen(name) + 1);
    }
    if (same > 1) {
        size_t n = strlen(text);
        const char number[] = {' ', (char)('0' + same / 10), (char)('0' + same % 10), '\0'};
        memcpy(text + n, number, sizeof number);
    }
    memcpy(text + strlen(text), what, strlen(what) + 1);
    weir__json_string(picture->json, text, sizeof text);
}

static void put_args_of_pool(struct picture *picture, const struct event *event)
{
    weir__json_text(picture->json, ",\"args\":{\"pool\":");
    put_pool(picture, event->pool, "");
}

static void end_line(struct picture *picture)
{
    weir__json_text(picture->json, "}}");
}

/* Slices. */

static void put_slice(struct picture *picture, const struct events *events,
                      const struct event *event, const char *name, const char *category)
{
    const struct event *end = weir__trace_end_of(events, event);
    begin_line(picture, "X", name);
    put_category(picture, category);
    put_where(picture, events->thread, event->at);
    weir__json_text(picture->json, ",\"dur\":");
    int64_t ended = end != NULL ? end->at : picture->span->ended;
    weir__json_time(picture->json, ended > event->at ? ended - event->at : 0);
}

static void put_arrow(struct picture *picture, const struct events *events, const char *end,
                      uint64_t flow, int64_t at)
{
    begin_line(picture, end, "queued");
    put_category(picture, "flow");
    put_where(picture, events->thread, at);
    weir__json_text(picture->json, end[0] == 'f' ? ",\"bp\":\"e\",\"id\":" : ",\"id\":");
    weir__json_number(picture->json, (int64_t)flow);
    weir__json_text(picture->json, ",\"args\":{");
    end_line(picture);
}

static void put_run(struct picture *picture, const struct events *events, const struct event *event)
{
    struct json *json = picture->json;
    const struct event *end = weir__trace_end_of(events, event);
    const char *name = weir__trace_name_of(picture->recording, events, event);
    if (name == NULL)
        name = weir__trace_function(picture->names, event->what);
    put_slice(picture, events, event, name, "task");
    put_args_of_pool(picture, event);
    if (event->value >= 0) {
        weir__json_text(json, ",\"wait_us\":");
        weir__json_time(json, event->value);
    }
    weir__json_text(json, ",\"end\":");
    if (end == NULL || end->kind != EVENT_RUN_END) {
        weir__json_text(json, end == NULL ? "\"running\"" : "\"unknown\"");
    } else {
        weir__json_string(json, weir_state_name((weir_state)end->what), SIZE_MAX);
        weir__json_text(json, ",\"status\":");
        weir__json_number(json, end->value);
    }
    end_line(picture);
    if (event->flow != 0)
        put_arrow(picture, events, "f", event->flow, event->at);
}

static void put_submit(struct picture *picture, const struct events *events,
                       const struct event *event)
{
    const struct event *end = weir__trace_end_of(events, event);
    put_slice(picture, events, event, "submit", "submit");
    put_args_of_pool(picture, event);
    weir__json_text(picture->json, ",\"task\":");
    weir__json_string(picture->json, weir__trace_function(picture->names, event->what), SIZE_MAX);
    bool ended = end != NULL && end->kind == EVENT_SUBMIT_END;
    if (ended) {
        weir__json_text(picture->json, ",\"status\":");
        weir__json_number(picture->json, end->value);
    }
    end_line(picture);
    if (ended && end->flow != 0)
        put_arrow(picture, events, "s", end->flow, event->at);
}

static void put_blocked(struct picture *picture, const struct events *events,
                        const struct event *event)
{
    put_slice(picture, events, event, (const char *)event->what, "blocked");
    weir__json_text(picture->json, ",\"args\":{\"object\":");
    weir__json_address(picture->json, (uintptr_t)event->value);
    end_line(picture);
}

static void put_own(struct picture *picture, const struct events *events, const struct event *event)
{
    put_slice(picture, events, event, (const char *)event->what, "program");
    weir__json_text(picture->json, ",\"args\":{");
    end_line(picture);
}

/* Moments. */

static const char *reason(int64_t err)
{
    switch (err) {
    case -EAGAIN:
        return "full";
    case -EPIPE:
        return "closed";
    case -ETIMEDOUT:
        return "too late";
    case -ECANCELED:
        return "cancelled";
    case -EBUSY:
        return "in use";
    case -EDEADLK:
        return "nested too deep";
    default:
        return "other";
    }
}

static void begin_moment(struct picture *picture, const struct events *events,
                         const struct event *event, const char *name)
{
    begin_line(picture, "i", name);
    put_category(picture, event->kind == EVENT_BREAKER ? "breaker" : "task");
    put_where(picture, events->thread, event->at);
    weir__json_text(picture->json, ",\"s\":\"t\"");
}

static void put_moment(struct picture *picture, const struct events *events,
                       const struct event *event)
{
    static const char *const states[] = {"breaker closed", "breaker open", "breaker half-open"};
    struct json *json = picture->json;
    if (event->kind == EVENT_BREAKER) {
        begin_moment(picture, events, event, states[event->value % 3]);
        weir__json_text(json, ",\"args\":{\"breaker\":");
        weir__json_address(json, event->what);
        end_line(picture);
        return;
    }
    begin_moment(
        picture, events, event,
        event->kind == EVENT_REJECTED
            ? "rejected"
            : (event->kind == EVENT_RETRY ? "retry" : weir_state_name((weir_state)event->what)));
    if (event->pool != 0) {
        put_args_of_pool(picture, event);
        weir__json_text(json, ",\"status\":");
    } else {
        weir__json_text(json, ",\"args\":{\"status\":");
    }
    weir__json_number(json, event->value);
    if (event->kind == EVENT_REJECTED) {
        weir__json_text(json, ",\"reason\":");
        weir__json_string(json, reason(event->value), SIZE_MAX);
    }
    end_line(picture);
}

/* Counters. */

static void put_count(struct picture *picture, const struct events *events,
                      const struct event *event)
{
    begin_line(picture, "C", (const char *)event->what);
    put_where(picture, events->thread, event->at);
    weir__json_text(picture->json, ",\"args\":{\"value\":");
    weir__json_number(picture->json, event->value);
    end_line(picture);
}

static void put_pool_count(struct picture *picture, const struct events *events,
                           const struct event *event, const char *what, uint64_t value)
{
    weir__json_text(picture->json, ",\n{\"ph\":\"C\",\"name\":");
    put_pool(picture, event->pool, what);
    put_where(picture, events->thread, event->at);
    weir__json_text(picture->json, ",\"args\":{\"value\":");
    weir__json_number(picture->json, (int64_t)value);
    end_line(picture);
}

/* What the event changes. */
static void count(struct picture *picture, struct events *events, const struct event *event)
{
    struct pool_track *track = &picture->pools[event->pool];
    if (event->kind == EVENT_RUN && events->depth++ == 0)
        track->busy++;
    if (event->kind == EVENT_RUN_END && events->depth > 0 && --events->depth == 0 &&
        track->busy > 0)
        track->busy--;
    if (event->position == NO_POSITION || event->pool == 0)
        return;
    uint64_t *end = event->kind == EVENT_SUBMIT_END ? &track->filled : &track->freed;
    if (event->position >= *end)
        *end = event->position + 1;
    if (track->freed == 0) /* nothing was taken yet: the first one that was put is the head */
        track->freed = event->position;
    uint64_t queued = track->filled > track->freed ? track->filled - track->freed : 0;
    uint64_t most = picture->recording->pools[event->pool - 1].capacity;
    track->queued = queued < most ? queued : most;
}

static void put_pool_counts(struct picture *picture, struct events *events,
                            const struct event *event)
{
    if (event->kind != EVENT_RUN && event->kind != EVENT_RUN_END &&
        event->kind != EVENT_SUBMIT_END && event->kind != EVENT_UNSTARTED)
        return;
    struct pool_track *track = &picture->pools[event->pool];
    count(picture, events, event);
    if (event->pool == 0) /* not one pool, but several */
        return;
    if (track->queued != track->queued_shown)
        put_pool_count(picture, events, event, " queued", track->queued);
    if (track->busy != track->busy_shown)
        put_pool_count(picture, events, event, " busy", track->busy);
    track->queued_shown = track->queued;
    track->busy_shown = track->busy;
}

/* All. */

static void put_event(struct picture *picture, struct events *events, const struct event *event)
{
    switch ((enum event_kind)event->kind) {
    case EVENT_RUN:
        put_run(picture, events, event);
        break;
    case EVENT_SUBMIT:
        put_submit(picture, events, event);
        break;
    case EVENT_BLOCKED:
        put_blocked(picture, events, event);
        break;
    case EVENT_OWN:
        put_own(picture, events, event);
        break;
    case EVENT_COUNT:
        put_count(picture, events, event);
        break;
    case EVENT_REJECTED:
    case EVENT_UNSTARTED:
    case EVENT_RETRY:
    case EVENT_BREAKER:
        put_moment(picture, events, event);
        break;
    default: /* ends are shown with what they end */
        break;
    }
    put_pool_counts(picture, events, event);
}

static void put_thread(struct picture *picture, const struct events *events)
{
    begin_line(picture, "M", "thread_name");
    put_where(picture, events->thread, picture->span->began);
    weir__json_text(picture->json, ",\"args\":{\"name\":");
    weir__json_string(picture->json, events->name, sizeof events->name);
    end_line(picture);
}

void weir__trace_write(struct json *json, struct trace_names *names, struct recording *recording,
                       const struct trace_span *span)
{
    struct picture picture = {.json = json,
                              .recording = recording,
                              .span = span,
                              .names = names,
                              .process = weir__process_id()};
    weir__json_text(json, "[\n{\"ph\":\"i\",\"name\":\"trace\",\"s\":\"g\"");
    put_where(&picture, picture.process, span->began);
    weir__json_text(json, ",\"args\":{\"lost\":");
    weir__json_number(json, (int64_t)span->lost);
    end_line(&picture);
    for (uint32_t i = 0; i < recorded_threads(recording); i++) {
        struct events *events = &recording->rings[i];
        weir__trace_pair(recording, events);
        picture.pools[events->pool_index].busy += events->depth > 0;
        put_thread(&picture, events);
    }
    struct events *events;
    const struct event *event;
    while (json->err == 0 && (event = weir__trace_next(recording, &events)) != NULL)
        put_event(&picture, events, event);
    weir__json_text(json, "\n]\n");
    weir__json_flush(json);
}
