/* SPDX-License-Identifier: MIT */
/* event.h - what threads note about themselves while a trace is on (weir/trace.h).
 *
 * Each thread has a ring of events of its own, in which the newest win. It takes one at its first
 * event from memory that was reserved when the trace began, by one atomic addition: no thread
 * allocates, locks or waits in order to note something. While no trace is on, a hook is one load of
 * a word that does not change, and a branch.
 *
 * The hooks below know nothing of pools but a struct trace_pool in each. What a thread took from
 * the queue last, or put there, is kept in the thread from one hook to the next: so a job carries
 * nothing for the trace but the time of its submit.
 */
#ifndef WEIR_RECORD_EVENT_H
#define WEIR_RECORD_EVENT_H

#include "base/heap.h"
#include "os/thread.h"
#include "record/tracing.h"

/* Of each pool, and constant: what its events are noted under. */
struct trace_pool {
    uint32_t number; /* from 1 on, no two pools of a process have the same */
    uint32_t capacity;
    char name[16];
};

enum event_kind {
    EVENT_VOID,
    EVENT_RUN,        /* what: fn, if no name follows; value: how long it waited, or -1 */
    EVENT_RUN_END,    /* what: the weir_state; value: the status */
    EVENT_SUBMIT,     /* what: fn */
    EVENT_SUBMIT_END, /* value: 0 or the error */
    EVENT_BLOCKED,    /* what: the name of the call; value: the address of the object */
    EVENT_BLOCKED_END,
    EVENT_OWN, /* the program's own; what: the name */
    EVENT_OWN_END,
    EVENT_COUNT,     /* what: the name; value */
    EVENT_REJECTED,  /* value: the error */
    EVENT_UNSTARTED, /* what: the weir_state; value: the status */
    EVENT_RETRY,     /* value: what the attempt returned */
    EVENT_BREAKER,   /* what: the breaker; value: its new state */
    EVENT_NAME,      /* of the event before it: text */
};

enum { EVENT_TEXT = 32 };

#define NO_POSITION UINT64_MAX

/* Events that begin something are odd ones out: `partner` is for the thread that reads them. */
struct event {
    int64_t at;
    uint8_t kind;
    uint8_t pool; /* its index in the recording + 1, or 0 */
    uint32_t partner;
    union {
        struct {
            uintptr_t what;
            uint64_t flow;     /* names the job from its submit to its run, or 0 */
            uint64_t position; /* in the queue that was filled or freed, or NO_POSITION */
            int64_t value;
        };
        char text[EVENT_TEXT];
    };
};

_Static_assert(sizeof(struct event) == 48 || sizeof(void *) != 8, "as weir/trace.h says");

/* What one thread has noted. All but `written` is its own as long as the trace is on. */
struct events {
    _Alignas(CACHE_LINE) atomic(uint64_t) written; /* events ever */
    struct event *all;
    uint32_t next;  /* where the next one goes */
    uint32_t muted; /* runs of pools that are left out, within each other */
    uint32_t pool;  /* the number of the pool that this thread noted last, and its index + 1 */
    uint8_t pool_index;
    int thread; /* its number */
    char name[16];
    /* Of the thread that reads them: the next one, how many are left, the runs that are open. */
    uint32_t at, left, depth;
    struct heap_node turn; /* by the time of the next one */
};

/* Hooks. */

/* `pool` is NULL where none is concerned. */
void weir__note(enum event_kind kind, const struct trace_pool *pool, uintptr_t what, int64_t value);
void weir__note_submit_end(const struct trace_pool *pool, int err);
/* `name`: of the task, or NULL; copied, cut to EVENT_TEXT - 1 bytes. `submitted`: when, or 0. */
void weir__note_run(const struct trace_pool *pool, uintptr_t fn, const char *name,
                    int64_t submitted);
void weir__note_run_end(const struct trace_pool *pool, unsigned end, int status);
void weir__note_unstarted(const struct trace_pool *pool, unsigned end, int status);

/* Calls a function above if a trace is on; named without its prefix. */
#define TRACE(call, ...) (trace_on() ? weir__##call(__VA_ARGS__) : (void)0)

/* A job was queued, or taken from the queue, by this thread: for its next submit_end, or its next
 * run or unstarted. A position of NO_POSITION: its ticket stays behind. */
static inline void trace_put(uint64_t claim, uint64_t position)
{
    if (trace_on())
        this_thread()->put = (struct passed_job){claim, position};
}

static inline void trace_taken(uint64_t claim, uint64_t position)
{
    if (trace_on())
        this_thread()->taken = (struct passed_job){claim, position};
}

/* Names a pool. */
void weir__trace_pool_init(struct trace_pool *pool, const char *name, uint32_t capacity);

/* Recording: for see/trace.c, one thread at a time. */

enum { RECORDED_POOLS = 64 };

struct recording {
    uint32_t events, threads; /* of each thread; threads that can have a ring */
    uint32_t only;            /* the number of the pool to note, or 0: all */
    atomic(uint32_t) used;    /* threads that have asked for a ring */
    struct events *rings;
    struct event *memory;
    struct {
        atomic(uint32_t) number;
        uint32_t capacity;
        char name[16];
    } pools[RECORDED_POOLS];
    struct heap turns; /* rings with events left, for the thread that reads them */
};

/* Begins to note. 0, or -ENOMEM. */
int weir__recording_begin(uint32_t events, uint32_t threads, uint32_t only);
/* Ends it, and waits until no thread is inside a hook: some 100 ns, if the system lets it run.
 * What was noted can be read then, until the release. */
struct recording *weir__recording_end(void);
void weir__recording_release(void);
/* Events that were noted and are not there any more, or found no ring, since the last begin. */
uint64_t weir__recording_lost(void);

static inline uint32_t recorded_threads(const struct recording *recording)
{
    uint32_t used = load_rlx(&recording->used); /* all threads have left */
    return used < recording->threads ? used : recording->threads;
}

#endif
