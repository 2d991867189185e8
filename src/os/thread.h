/* SPDX-License-Identifier: MIT */
/* thread.h - what weir keeps for each thread, and how it starts its own. */
#ifndef WEIR_OS_THREAD_H
#define WEIR_OS_THREAD_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"
#include "os/park.h"

/* Which of the tasks that a thread submits are measured: record/sample.h. */
struct sampler {
    uint32_t left;  /* tasks to come up to the next that is chosen, that one included; or 0 */
    uint32_t rest;  /* tasks of its block behind it */
    uint32_t gap;   /* what `left` was at first */
    unsigned shift; /* its block has 2^shift tasks */
    int64_t last;   /* when that was settled */
};

/* A job that goes into the queue of a pool, or comes out. */
struct passed_job {
    uint64_t claim; /* 0: none */
    uint64_t position;
};

struct self;

/* What a thread does around a sleep in a wait: `begin` says whether it is to call `end`. */
struct around_sleep {
    bool (*begin)(struct self *self);
    void (*end)(struct self *self);
};

/* One for each thread of the process, all-zero (except the park) at its start, gone at its end. */
struct self {
    struct park park;          /* where this thread sleeps when it waits for an object */
    struct frame *frame;       /* the innermost task that runs on this thread, or NULL */
    struct seat *seat;         /* the worker that this thread is, or NULL */
    struct ending *ending;     /* the innermost on_done that this thread calls, or NULL */
    struct hold *hold;         /* the innermost serial that this thread is at work on, or NULL */
    struct list *granted;      /* requests whose calls this thread makes (semaphore.c), or NULL */
    struct activity *activity; /* where it notes what it does; NULL: nothing to note */
    unsigned inline_runs;      /* within each other */
    unsigned blocking;         /* calls of weir_blocking_begin that have not ended */
    const struct around_sleep *around_sleep; /* for waits; or NULL */
    struct sampler sampler;
    uint64_t random; /* state of a generator of random numbers (random.h); 0: not yet seeded */
    int id;          /* the system's number of this thread; 0: not yet asked for */
    unsigned place;  /* that it noted something in last, if it is no worker: record/activity.c */
    /* What it notes while a trace is on (record/event.h). */
    struct events *events;        /* its ring in the trace numbered `trace`, or NULL */
    uint32_t trace, door;         /* 0: none yet */
    struct passed_job put, taken; /* the jobs that it put into a queue, and took from one, last */
};

/* initial-exec: an access costs one instruction and never allocates, even if weir was loaded late.
 */
#if defined(__GNUC__) || defined(__clang__)
__attribute__((tls_model("initial-exec")))
#endif
extern _Thread_local struct self weir__this_thread;

static inline struct self *this_thread(void)
{
    return &weir__this_thread;
}

static inline bool sleep_begin(void)
{
    struct self *self = this_thread();
    return unlikely(self->around_sleep != NULL) && self->around_sleep->begin(self);
}

/* `begun`: as sleep_begin has returned. */
static inline void sleep_end(bool begun)
{
    if (unlikely(begun))
        this_thread()->around_sleep->end(this_thread());
}

/* Starts a thread with all asynchronous signals blocked, under a name such as "weir/3". A zero
 * stack_size means the default. Returns 0 or what pthread_create returned, negated. */
int weir__thread_start(pthread_t *ret_thread, void *(*run)(void *), void *arg, size_t stack_size);

/* Does the kernel raise it for what the thread itself did? To block such a signal is undefined. */
bool weir__signal_is_synchronous(int number);

/* From now on no pthread_cancel ends the calling thread. */
void weir__thread_ignore_cancel(void);

/* Names the calling thread "<name>/<index>", "<name>/timer" or "<name>/manager", "weir/signals" or
 * "weir/ready"; the name is cut to what the system takes. */
void weir__thread_name(const char *name, unsigned index);
void weir__thread_name_timer(const char *name);
void weir__thread_name_manager(const char *name);
void weir__thread_name_signals(void);
void weir__thread_name_ready(void);

/* The number by which the system, and a debugger, knows the calling thread. */
int weir__thread_id(void);
/* The name that it has; cut to fit. */
void weir__thread_read_name(char *ret, size_t size);

int weir__process_id(void);

/* The CPU time that the calling thread has used, in ns. A system call. */
int64_t weir__thread_cpu_time(void);

/* The smallest stack that a thread can have, in bytes. */
size_t weir__stack_minimum(void);

/* Yields: another runnable thread, if there is one, gets the core. */
void weir__thread_yield(void);

/* The same where no thread depends on it: it only makes things faster, and may do nothing. */
static inline void thread_yield_hint(void)
{
    weir__thread_yield();
}

#endif
