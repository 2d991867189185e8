/* SPDX-License-Identifier: MIT */
/* weir/trace.h - a timeline: what each thread did and when, to be looked at in a viewer.
 *
 *     weir_trace_start(WEIR_TRACE_OPTIONS(.path = "job.json"));
 *     ...                              what is of interest
 *     weir_trace_stop();               writes the file: open it in Perfetto or chrome://tracing
 *
 * It shows, for each thread: tasks as they ran, with how long each had waited, its end and status,
 * and an arrow from its submit; submits; waits in calls of weir; tasks that were rejected, that
 * ended without a run, that are retried; changes of breakers; for each pool how many tasks were
 * queued and how many threads ran some; and what the program adds with the calls below. Tasks that
 * began before the start are not shown. The format is Chrome's trace event format; times are those
 * of weir_now, in microseconds.
 *
 * Each thread notes its events in a ring of its own, without a lock: when that is full, each new
 * event takes the place of the oldest. So a trace may be on for as long as you like, and holds what
 * came last. Nothing is written before the stop, and no thread is started. While no trace is on,
 * all of this costs a branch here and there.
 *
 * Memory: weir_trace_start reserves `threads` rings of 48 bytes an event, 3 MiB each as a rule, and
 * a thread takes one of them at its first event, so that no call on a pool allocates. Where the
 * system gives memory as it is first written to, as Linux does, only what is used counts.
 *
 * A file that was cut short, by a full disk for example, has whole events up to there, one a line;
 * with a `]` behind the last it is JSON again, and viewers mostly read it as it is.
 *
 * Thread-safety: every call may be made by any number of threads at once, also in a task. Not for
 * signal handlers. After fork(), in the child: no trace is on; the parent's goes on.
 */
#ifndef WEIR_TRACE_H
#define WEIR_TRACE_H

#include "dump.h"

WEIR_BEGIN_DECLS

typedef struct weir_trace_options {
    size_t size;           /* filled by WEIR_TRACE_OPTIONS or weir_trace_options_init */
    const char *path;      /* the file to write: made or emptied at the start; or else */
    weir_write_fn *write;  /* is given the text piece by piece, by weir_trace_stop */
    void *arg;             /* for `write` */
    unsigned events;       /* of each thread, at most 2^24; 0: 65536. A run takes two, or three with
                             a name; a submit two, and a call that blocks */
    unsigned threads;      /* that note events, those that have ended too, at most 4096; what others
                             do is lost; 0: 64, and one for each CPU that this process may use */
    const weir_pool *pool; /* to be noted, and not others; 0: all. What tasks of other pools do is
                              left out, what threads do outside of tasks is not */
} weir_trace_options;

/* A pointer to options with the fields named set and the others default (C only). */
#define WEIR_TRACE_OPTIONS(...)                                                                    \
    (&(weir_trace_options){.size = sizeof(weir_trace_options), __VA_ARGS__})
/* The same for C++ and for options that are filled step by step. */
WEIR_API void weir_trace_options_init(weir_trace_options *options);
/* What is wrong with them, or NULL: see weir_pool_options_error. */
WEIR_API const char *weir_trace_options_error(const weir_trace_options *options);

/* Begins a trace; there is one for all pools of the process.
 * Returns 0; -EBUSY (one is on, or is being written); -EINVAL (NULL; not one of `path` and `write`;
 * a field out of range; options of a size that never was); -E2BIG; -ENOMEM; -ESTALE (the pool was
 * inherited through fork()); what opening the file returned, negated. */
WEIR_API WEIR_NODISCARD int weir_trace_start(const weir_trace_options *options);

/* Ends the trace, waits for threads that are noting something just then (some 100 ns if they run),
 * and writes it, on the calling thread, which takes as long as the file or `write` does; pools go
 * on meanwhile. Tasks that are still running are shown up to here. The trace is over whatever is
 * returned.
 * Returns 0; -EALREADY (none is on, or another thread is ending it); what `write` returned; what
 * writing the file returned, negated (-ENOSPC, ...). Ordering: what a thread noted before it
 * happens-before the stop is written. */
WEIR_API WEIR_NODISCARD int weir_trace_stop(void);

/* Events since the last start that were noted and had no place, or lost it to newer ones; also
 * after the stop. Never blocks. */
WEIR_API uint64_t weir_trace_lost(void);

/* The program's own: a slice of the calling thread's time, from begin to the end that belongs to
 * it, within a task or outside; and a number that changes over time. Slices nest; one that is still
 * open where its task ends, ends there. Nothing if no trace is on. Never block.
 * Ownership: names are kept by address, so they are static, or live until the stop. NULL: "". */
WEIR_API void weir_trace_begin(const char *name);
WEIR_API void weir_trace_end(void);
WEIR_API void weir_trace_count(const char *name, int64_t value);

WEIR_END_DECLS

#endif
