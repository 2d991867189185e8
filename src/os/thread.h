/* SPDX-License-Identifier: MIT */
/* thread.h - what weir keeps for each thread, and how it starts its own. */
#ifndef WEIR_OS_THREAD_H
#define WEIR_OS_THREAD_H

#include <pthread.h>
#include <stddef.h>

#include "os/park.h"

/* One for each thread of the process, all-zero (except the park) at its start, gone at its end. */
struct self {
    struct park park;      /* where this thread sleeps when it waits for an object */
    struct frame *frame;   /* the innermost task that runs on this thread, or NULL */
    struct seat *seat;     /* the worker that this thread is, or NULL */
    struct ending *ending; /* the innermost on_done that this thread calls, or NULL */
    unsigned inline_runs;  /* within each other */
    uint64_t random;       /* state of a generator of random numbers; 0: not yet seeded */
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

/* Starts a thread with all asynchronous signals blocked, under a name such as "weir/3". A zero
 * stack_size means the default. Returns 0 or what pthread_create returned, negated. */
int weir__thread_start(pthread_t *ret_thread, void *(*run)(void *), void *arg, size_t stack_size);

/* Does the kernel raise it for what the thread itself did? To block such a signal is undefined. */
bool weir__signal_is_synchronous(int number);

/* Names the calling thread "<name>/<index>" or "<name>/timer" or "weir/signals"; the name is cut to
 * what the system takes. */
void weir__thread_name(const char *name, unsigned index);
void weir__thread_name_timer(const char *name);
void weir__thread_name_signals(void);

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
