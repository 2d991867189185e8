/* SPDX-License-Identifier: MIT */
/* scheduler.h - virtual threads on one thread of the system, switched only at points.
 *
 * A point comes before every operation on shared memory, lock, park and clock. Another thread may
 * run there if the word is one that several threads use and one of them changes: which words those
 * are is learned from run to run. In between, code runs undisturbed, as it can make no difference.
 */
#ifndef WEIR_TESTS_EXPLORER_SCHEDULER_H
#define WEIR_TESTS_EXPLORER_SCHEDULER_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>

#include "arena.h"
#include "os/thread.h"

/* Times of all threads, which a machine handles as one: the explorer spends its time on them. They
 * are counts of steps, of which a run has fewer than MAX_STEPS. */
typedef uint16_t times __attribute__((vector_size(MAX_THREADS * sizeof(uint16_t))));

static inline bool times_any(times are)
{
    typedef uint64_t halves __attribute__((vector_size(sizeof(times))));
    halves two = (halves)are;
    return (two[0] | two[1]) != 0;
}

/* Of one thread, and 0 of all others. (To write one element in memory is slow, if soon after all of
 * them are read.) */
static inline times times_only(unsigned thread, uint16_t time)
{
    const times threads = {0, 1, 2, 3, 4, 5, 6, 7};
    return (times)(threads == (uint16_t)thread) & time;
}

static inline times times_later(times a, times b)
{
    times is_later = (times)(a < b);
    return (a & ~is_later) | (b & is_later);
}

/* Vector clock: how far each thread is known to be. */
struct clock {
    times at;
};

static inline void clock_join(struct clock *into, const struct clock *from)
{
    into->at = times_later(into->at, from->at);
}

enum status {
    UNUSED,
    RUNNABLE,
    AT_LOCK,  /* waits for a lock */
    AT_JOIN,  /* waits for the end of a thread */
    ASLEEP,   /* in a park */
    SETTLING, /* runs only when no other thread can */
    FROZEN,   /* never runs again */
    FINISHED,
};

struct vthread {
    struct self self;
    struct clock clock;
    enum status status;
    unsigned number;
    const void *at;   /* the lock, thread or park that it waits for */
    int64_t deadline; /* of its sleep */
    uint32_t in_line; /* its place among sleepers */
    int sleep_result;
    bool joined;
    const char *site;    /* of its last operation */
    uintptr_t stack_top; /* while it does not run: what is below is dead */
    void *(*run)(void *);
    void *arg;
    jmp_buf base, here;
    bool has_base;
};

enum { MAX_STEPS = 40000 };

extern struct vthread *current;
extern bool explores, traced;

static inline struct vthread *vthread_get(unsigned number)
{
    return (struct vthread *)arena_thread_page(number);
}

extern unsigned thread_count;

static inline unsigned vthread_count(void)
{
    return thread_count;
}

/* Ends the run as failed, with a sentence. Does not return. */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Ends the run as one that does not count. Does not return. */
_Noreturn void give_up(void);

/* One run of `body` as thread 0. Returns NULL, or why it failed. */
const char *run_once(void (*body)(void), bool trace);

/* Why the last run failed, if it did. */
const char *failure_of_run(void);

/* What was learned about shared words: forget it; use it from now on, true if there is more; take
 * every word for a shared one. */
void conflicts_forget(void);
bool conflicts_use(void);
void conflicts_assume(bool everywhere);

/* Steps of the last run; points at which another thread could run. */
uint32_t run_steps(void);
unsigned run_points(void);
/* Did a thread freeze in it? */
bool run_froze(void);

/* For the back end. */

/* Before an operation on the word at `address`. */
void point(const void *address, bool writes, const char *operation, const char *site);
/* The current thread cannot go on until its status is RUNNABLE again. */
void block(enum status status, const void *at);
/* Lets those run that wait at a lock or for a thread. */
void unblock(enum status status, const void *at);
uint32_t next_step(void);
void trace_line(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* In a run that is told step by step, while it explores. */
#define trace(...) (traced && explores ? trace_line(__VA_ARGS__) : (void)0)
struct vthread *vthread_start(void *(*run)(void *), void *arg);
void give_way(const char *site);

/* For scenarios. */

/* Between these two the order of things is explored; outside it is always the same. */
void explore_begin(void);
void explore_end(void);
static inline bool exploring(void)
{
    return explores;
}
/* In this run relaxed loads may return what is stored only later: see future.h. */
void loads_may_be_late(void);
/* Lets the others run until they are all blocked. */
void settle(void);
/* Time jumps to `instant` at any moment from now on; at most one is to come. */
void instant(int64_t instant);

/* FREEZE: the calling thread stops for ever at its n-th point within such a region. */
void freeze_at(unsigned n);
void freezable_begin(void);
void freezable_end(void);
/* Has it happened? */
bool froze(void);

#endif
