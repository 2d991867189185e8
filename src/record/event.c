/* SPDX-License-Identifier: MIT */
/* event.c - noting events, and the end of it.
 *
 * A thread that notes something is inside: it raises a counter, then looks whether a trace is on,
 * and lowers the counter when it is through. The end of a trace clears the word that says that it
 * is on, then waits until each counter was 0 once. Both steps of either side are sequentially
 * consistent: a thread that comes in after its counter was looked at finds no trace. So nobody is
 * inside any more, what was noted happens-before the end, and the memory can be read and freed.
 *
 * The counters are static, so they may be touched at any time. A thread keeps to one of them, and
 * shares it only if there are more threads than counters; each is a cache line of its own.
 *
 * Only the thread that ends the trace ever waits here: asleep, until the last one inside, which
 * finds that the trace is over, wakes it.
 *
 * fork: the child has one thread, which is not inside. The trace is off there; its memory is freed
 * when the child begins one of its own.
 */
#include "record/event.h"

#include <errno.h>
#include <string.h>

#include "base/sizes.h"
#include "os/alloc.h"
#include "os/fork.h"
#include "os/thread.h"
#include "weir/clock.h"

struct door {
    _Alignas(CACHE_LINE) atomic(uint32_t) inside;
};

atomic(uint32_t) weir__trace;

static struct door doors[TRACE_DOORS];
static struct park last_one = PARK_INIT; /* where the end of a trace sleeps */
static atomic(uint32_t) doors_given, traces, pools_made;
static atomic(uint64_t) without_ring; /* events lost because there was no ring for the thread */
static atomic(uint64_t) lost_before;  /* of the last recording, since it was released */
static struct recording recording;

static void reset_after_fork(void)
{
    if (load_rlx(&weir__trace) == 0) { /* a thread of the parent may just be making or freeing it */
        recording.memory = NULL;
        recording.rings = NULL;
    }
    store_rlx(&weir__trace, 0); /* all of them: the child has one thread */
    for (size_t i = 0; i < TRACE_DOORS; i++)
        store_rlx(&doors[i].inside, 0);
    weir__park_init(&last_one);
}

__attribute__((constructor)) static void watch_forks(void)
{
    (void)weir__at_fork_child(reset_after_fork); /* fails only if memory ends while loading */
}

/* Inside. */

static struct door *own_door(void)
{
    struct self *self = this_thread();
    if (unlikely(self->door == 0))
        self->door = add_rlx(&doors_given, 1) % TRACE_DOORS + 1; /* any will do */
    return &doors[self->door - 1];
}

static void leave(struct door *door)
{
    sub_seqcst(&door->inside, 1); /* pairs with wait_until_out: what was noted, too */
    /* pairs with weir__recording_end: either it sees this thread gone, or is seen here */
    if (unlikely(load_seqcst(&weir__trace) == 0)) {
        add_rel(&last_one.word, 1); /* that it has left: pairs with wait_until_out */
        (void)weir__park_wake(&last_one, PARK_ALL);
    }
}

/* The number of the trace, or 0 if none is on; then this thread is not inside. */
static uint32_t enter(struct door *door)
{
    add_seqcst(&door->inside, 1); /* pairs with wait_until_out */
    /* pairs with weir__recording_begin, weir__recording_end */
    uint32_t trace = load_seqcst(&weir__trace);
    if (unlikely(trace == 0))
        leave(door);
    return trace;
}

/* The first event of a thread: takes a ring, if there is one left. */
static COLD void take_ring(struct self *self, uint32_t trace)
{
    weir_assert(recording.rings != NULL);
    self->trace = trace;
    self->events = NULL;
    uint32_t index = add_rlx(&recording.used, 1); /* nobody else gets that number */
    if (index >= recording.threads) {
        store_rlx(&recording.used, recording.threads); /* so that it does not wrap */
        return;
    }
    struct events *events = &recording.rings[index];
    events->all = &recording.memory[(size_t)index * recording.events];
    events->thread = weir__thread_id();
    weir__thread_read_name(events->name, sizeof events->name);
    self->events = events;
}

/* The caller's ring, for a thread that is inside; NULL: it has none. */
static struct events *own_events(uint32_t trace)
{
    struct self *self = this_thread();
    if (unlikely(self->trace != trace))
        take_ring(self, trace);
    if (unlikely(self->events == NULL))
        add_rlx(&without_ring, 1); /* a count by itself */
    return self->events;
}

/* Pools. */

void weir__trace_pool_init(struct trace_pool *pool, const char *name, uint32_t capacity)
{
    pool->capacity = capacity;
    pool->number = add_rlx(&pools_made, 1) + 1; /* nobody else gets that number */
    memcpy(pool->name, name, strnlen(name, sizeof pool->name - 1));
}

/* Finds the pool in the recording, or enters it. The index + 1, or 0 if there are too many. */
static COLD uint8_t index_of(const struct trace_pool *pool)
{
    for (unsigned i = 0; i < RECORDED_POOLS; i++) {
        /* Relaxed, both: the rest is for the thread that reads the recording. */
        uint32_t number = load_rlx(&recording.pools[i].number);
        if (number == 0 && cas_rlx(&recording.pools[i].number, &number, pool->number)) {
            recording.pools[i].capacity = pool->capacity;
            memcpy(recording.pools[i].name, pool->name, sizeof pool->name);
            return (uint8_t)(i + 1);
        }
        if (number == pool->number)
            return (uint8_t)(i + 1);
    }
    return 0;
}

static uint8_t own_index_of(struct events *events, const struct trace_pool *pool)
{
    if (events->pool != pool->number) {
        events->pool_index = index_of(pool);
        events->pool = pool->number;
    }
    return events->pool_index;
}

static bool left_out(const struct trace_pool *pool)
{
    return recording.only != 0 && pool->number != recording.only;
}

/* Noting. */

static struct event *append(struct events *events, enum event_kind kind)
{
    struct event *event = &events->all[events->next];
    if (++events->next == recording.events)
        events->next = 0;
    store_rlx(&events->written, load_rlx(&events->written) + 1); /* its own; counts for others */
    event->kind = (uint8_t)kind;
    return event;
}

static struct event *note(struct events *events, enum event_kind kind,
                          const struct trace_pool *pool, uintptr_t what, int64_t value)
{
    struct event *event = append(events, kind);
    event->pool = pool != NULL ? own_index_of(events, pool) : 0;
    event->what = what;
    event->flow = 0;
    event->position = NO_POSITION;
    event->value = value;
    event->at = weir_now();
    return event;
}

/* {pool:9, generation:20, slot:24} of the claim of a slot (pool/slot.h): as an exact number in a
 * double, which is what a reader of JSON may have. What is left out repeats only after a million
 * uses of one slot, and after 512 pools. */
static uint64_t flow_of(const struct trace_pool *pool, uint64_t claim)
{
    uint64_t slot = claim >> 1 & 0xffffff, generation = claim >> 25 & 0xfffff;
    return (uint64_t)(pool->number & 0x1ff) << 44 | generation << 24 | slot;
}

/* The ring of a thread that is inside. NULL: it is not. */
static struct events *begin(struct door *door)
{
    uint32_t trace = enter(door);
    if (unlikely(trace == 0))
        return NULL;
    struct events *events = own_events(trace);
    if (unlikely(events == NULL))
        leave(door);
    return events;
}

void weir__note(enum event_kind kind, const struct trace_pool *pool, uintptr_t what, int64_t value)
{
    struct door *door = own_door();
    struct events *events = begin(door);
    if (events == NULL)
        return;
    if (pool != NULL ? !left_out(pool) : events->muted == 0)
        (void)note(events, kind, pool, what, value);
    leave(door);
}

void weir__note_submit_end(const struct trace_pool *pool, int err)
{
    struct self *self = this_thread();
    struct door *door = own_door();
    struct events *events = begin(door);
    if (events == NULL)
        return;
    if (!left_out(pool)) {
        struct event *event = note(events, EVENT_SUBMIT_END, pool, 0, err);
        if (err == 0 && self->put.claim != 0) {
            event->flow = flow_of(pool, self->put.claim);
            event->position = self->put.position;
        }
    }
    self->put.claim = 0;
    leave(door);
}

/* What this thread took from the queue last, once. */
static struct passed_job take_taken(void)
{
    struct self *self = this_thread();
    struct passed_job taken = self->taken;
    self->taken.claim = 0;
    return taken;
}

static void add_taken(struct event *event, const struct trace_pool *pool, struct passed_job taken)
{
    if (taken.claim == 0)
        return;
    event->flow = flow_of(pool, taken.claim);
    event->position = taken.position;
}

static void add_name(struct events *events, const char *name)
{
    struct event *event = append(events, EVENT_NAME);
    size_t length = strnlen(name, EVENT_TEXT - 1);
    memcpy(event->text, name, length);
    event->text[length] = '\0';
}

void weir__note_run(const struct trace_pool *pool, uintptr_t fn, const char *name,
                    int64_t submitted)
{
    struct passed_job taken = take_taken(); /* also if it is left out: it is not the next run's */
    struct door *door = own_door();
    struct events *events = begin(door);
    if (events == NULL)
        return;
    if (left_out(pool)) {
        events->muted++;
    } else {
        struct event *event = note(events, EVENT_RUN, pool, fn, -1);
        if (submitted != 0)
            event->value = submitted < event->at ? event->at - submitted : 0;
        add_taken(event, pool, taken);
        if (name != NULL)
            add_name(events, name);
    }
    leave(door);
}

void weir__note_run_end(const struct trace_pool *pool, unsigned end, int status)
{
    struct door *door = own_door();
    struct events *events = begin(door);
    if (events == NULL)
        return;
    if (!left_out(pool))
        (void)note(events, EVENT_RUN_END, pool, end, status);
    else if (events->muted > 0) /* else the run began before the trace */
        events->muted--;
    leave(door);
}

void weir__note_unstarted(const struct trace_pool *pool, unsigned end, int status)
{
    struct passed_job taken = take_taken(); /* as in weir__note_run */
    struct door *door = own_door();
    struct events *events = begin(door);
    if (events == NULL)
        return;
    if (!left_out(pool))
        add_taken(note(events, EVENT_UNSTARTED, pool, end, status), pool, taken);
    leave(door);
}

/* Recording. */

static uint64_t lost_now(void)
{
    uint64_t lost = load_rlx(&without_ring); /* counts by themselves, as the next ones */
    for (uint32_t i = 0; i < recorded_threads(&recording); i++) {
        uint64_t written = load_rlx(&recording.rings[i].written);
        lost += written > recording.events ? written - recording.events : 0;
    }
    return lost;
}

int weir__recording_begin(uint32_t events, uint32_t threads, uint32_t only)
{
    weir__recording_release(); /* what a parent process has left behind */
    memset(&recording, 0, sizeof recording);
    recording.rings = weir__alloc(threads, sizeof *recording.rings);
    recording.memory = weir__alloc_untouched(threads, (size_t)events * sizeof(struct event));
    if (recording.rings == NULL || recording.memory == NULL) {
        weir__recording_release();
        return -ENOMEM;
    }
    recording.events = events;
    recording.threads = threads;
    recording.only = only;
    store_rlx(&without_ring, 0); /* published by the next step, as is the recording */
    uint32_t trace = 0;
    while (trace == 0)                   /* it has wrapped */
        trace = add_rlx(&traces, 1) + 1; /* unique is all that it must be */
    store_rel(&weir__trace, trace);      /* the recording: pairs with enter */
    return 0;
}

static void wait_until_out(struct door *door)
{
    for (;;) {
        uint32_t seen = load_acq(&last_one.word); /* pairs with leave; before the look */
        if (load_seqcst(&door->inside) == 0)      /* pairs with enter, leave */
            return;
        (void)weir__park_wait(&last_one, seen, WEIR_FOREVER);
    }
}

struct recording *weir__recording_end(void)
{
    (void)xchg_seqcst(&weir__trace, 0); /* pairs with enter, leave */
    for (size_t i = 0; i < TRACE_DOORS; i++)
        wait_until_out(&doors[i]);
    store_rlx(&lost_before, lost_now()); /* nobody is inside */
    return &recording;
}

void weir__recording_release(void)
{
    weir__free(recording.memory);
    weir__free(recording.rings);
    recording.memory = NULL;
    recording.rings = NULL;
}

uint64_t weir__recording_lost(void)
{
    struct door *door = own_door();
    if (enter(door) == 0)
        return load_rlx(&lost_before); /* of the last one; a count by itself */
    uint64_t lost = lost_now();
    leave(door);
    return lost;
}
