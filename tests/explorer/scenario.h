/* SPDX-License-Identifier: MIT */
/* scenario.h - what scenarios are made of.
 *
 * A scenario is a function that runs as thread 0. It makes what it needs, calls explore_begin(),
 * starts its threads, joins them, and checks; between explore_begin() and explore_end() every order
 * is tried. Afterwards all threads must have ended and all memory must be freed.
 */
#ifndef WEIR_TESTS_EXPLORER_SCENARIO_H
#define WEIR_TESTS_EXPLORER_SCENARIO_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "scheduler.h"
#include "weir.h"

struct scenario {
    const char *name;
    void (*body)(void);
    bool freezes; /* it marks where a thread may be frozen, and is run for each point there */
};

/* The scenarios of one file, ended by one without a name. */
extern const struct scenario pool_scenarios[], task_scenarios[], group_scenarios[],
    ring_scenarios[], shutdown_scenarios[], time_scenarios[], semaphore_scenarios[],
    alarm_scenarios[], parallel_scenarios[], completion_scenarios[], channel_scenarios[],
    timer_scenarios[], hook_scenarios[], topic_scenarios[], limits_scenarios[], lease_scenarios[],
    freeze_scenarios[], freelist_scenarios[], eventcount_scenarios[], quiet_scenarios[],
    room_scenarios[], latch_scenarios[], stop_scenarios[], activity_scenarios[], names_scenarios[],
    signals_scenarios[], pipeline_scenarios[], chain_scenarios[], metrics_scenarios[],
    watchdog_scenarios[], trace_scenarios[], slot_scenarios[], follow_scenarios[],
    ready_scenarios[], gate_scenarios[], serial_scenarios[], descriptor_scenarios[],
    reactor_scenarios[], lanes_scenarios[], deque_scenarios[], local_scenarios[], size_scenarios[];

#define SCENARIO_TEXT_(x) #x
#define SCENARIO_TEXT(x) SCENARIO_TEXT_(x)
/* Ends the run as failed unless the condition holds. */
#define check(condition)                                                                           \
    ((condition) ? (void)0                                                                         \
                 : fail("%s does not hold at " __FILE__ ":" SCENARIO_TEXT(__LINE__), #condition))

struct ring;

/* Threads of a scenario. */
struct vthread *start(void (*run)(void *), void *arg);
void finish(struct vthread *thread);

/* A pool whose workers are asleep. */
weir_pool *new_pool(const weir_pool_options *options);
/* The same; its ring begins its third lap after one more push. Its laps count. */
weir_pool *new_worn_pool(const weir_pool_options *options);
/* The scenario is about handing over: it fails unless the ring makes two laps. See laps.h. */
void count_laps(const weir_pool *pool);
void count_ring_laps(const struct ring *ring);
/* Frees it, and checks it as check_counts does. */
void end_pool(weir_pool *pool);
/* Of a pool that was shut down: checks that every task had one end, and that no slot is lost. */
void check_counts(const weir_pool *pool);

/* Memory that can be freed under the library's eyes. */
void *make(size_t size);
void drop(void *memory);

/* A task that counts its runs in the unsigned at `arg`; plain, so that two at once are a race. */
int count_run(weir_context *ctx, void *arg);

#endif
