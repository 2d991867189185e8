/* SPDX-License-Identifier: MIT */
/* alarm.h - calls a function at a given time, from a thread that exists only while it is needed.
 *
 *     static void on_ring(struct alarm *alarm) { ... }         runs on the clock's thread
 *
 *     alarm.ring = on_ring;
 *     err = weir__alarm_set(&clock, &alarm, weir_after(WEIR_S(1)), NULL);
 *     ...
 *     if (weir__alarm_stop(&clock, &alarm))                    it will not ring
 *
 * The alarm is the owner's memory. The clock uses it from the set until a stop that returns true,
 * or until it rings: when it rings the clock does not touch it any more. A clock and its alarms
 * belong to the process that made them: a forked child makes the clock anew with
 * weir__alarm_clock_init, while it has one thread, or leaves it alone. An alarm of the parent's is
 * not set any more then.
 */
#ifndef WEIR_SYNC_ALARM_H
#define WEIR_SYNC_ALARM_H

#include "base/heap.h"
#include "os/lock.h"
#include "os/thread.h"
#include "wait/wait.h"

struct alarm {
    struct heap_node node; /* under the clock's lock; so is set_in */
    void (*ring)(struct alarm *alarm);
    uint32_t set_in; /* fork_count() of the process in which it is set; 0: it is not */
};

enum alarm_thread { THREAD_NONE, THREAD_RUNS, THREAD_LEFT };

struct alarm_clock {
    struct lock lock;
    struct heap alarms;
    unsigned held;            /* holds: the thread is wanted although no alarm is set */
    enum alarm_thread state;  /* LEFT: it must be joined */
    pthread_t thread;         /* while it runs or must be joined */
    atomic(uint32_t) changes; /* grows when the thread is to look again */
    int64_t knows;            /* when it will wake elsewhere; INT64_MIN: it does not sleep there */
    const char *name;         /* of the thread, borrowed: "<name>/timer" */
    bool for_ever;            /* never destroyed: its thread is detached instead of joined */
    weir_context *watched;    /* borrowed, or NULL: once it is over, on_over is called, */
    void (*on_over)(struct alarm_clock *clock); /* and again after each start of the thread */
};

/* An initializer for a clock that lives as long as the process. */
#define ALARM_CLOCK_FOR_EVER(called)                                                               \
    {                                                                                              \
        .lock = LOCK_INIT, .name = (called), .for_ever = true, .knows = INT64_MIN                  \
    }

void weir__alarm_clock_init(struct alarm_clock *clock, const char *name, bool for_ever);

/* Waits until the thread has left. No alarm may be set and nobody may hold the clock. Not from a
 * ring. */
void weir__alarm_clock_destroy(struct alarm_clock *clock);

/* Has alarm->ring called once, at `at` or later; alarms of the same time ring in the order in which
 * they were set. The alarm must not be set yet. Returns 0, or why no thread could be started; never
 * fails while the clock is held. Callable from a ring, also for the alarm that rings. `ret_late`:
 * whether the clock's thread sleeps for longer, or is about to, after weir__alarm_take_due; then
 * the caller has to wake it, and is the only one that is told. NULL: it need not wake for this. */
int weir__alarm_set(struct alarm_clock *clock, struct alarm *alarm, int64_t at, bool *ret_late);

/* True: it was set and will not ring. False: it is ringing (or about to), has rung, or was never
 * set. Callable from a ring. */
bool weir__alarm_stop(struct alarm_clock *clock, struct alarm *alarm);

/* Has an alarm that is set ring at `at` instead. False: it is not set; it may be ringing. Callable
 * from a ring. `ret_late`: as above. */
bool weir__alarm_move(struct alarm_clock *clock, struct alarm *alarm, int64_t at, bool *ret_late);

/* For a ring that handles several alarms: takes the next alarm that is due instead of having it
 * ring, or returns NULL and when the next one will be due (WEIR_FOREVER: none). Then the thread may
 * sleep until that time, on what the owner wakes it by. On the clock's thread only. */
struct alarm *weir__alarm_take_due(struct alarm_clock *clock, int64_t *ret_next);

/* Keeps the thread until the matching release, and starts it if need be. Returns as
 * weir__alarm_set. */
int weir__alarm_clock_hold(struct alarm_clock *clock);
void weir__alarm_clock_release(struct alarm_clock *clock);

#endif
