/* SPDX-License-Identifier: MIT */
/* gate.h - what tests hold threads with, and what threads report to tests with.
 *
 *     static gate hold = GATE_INIT;
 *     weir_pool_submit(pool, gate_task, &hold);    the task blocks at the gate
 *     gate_await(&hold, 1);                        it is inside, the worker is busy
 *     ...                                          assert what holds meanwhile
 *     gate_open(&hold);
 *
 * All of it is a mutex and a condition variable and nothing of weir, so that a fault in the library
 * does not hide in its own tests. Every object is statically initialised, may be static or on the
 * test's stack (as long as no thread is in it), and may be used by any number of threads at once.
 *
 * Every wait gives up after patience() (see suite.h): it prints what it waited for and aborts,
 * which Check reports as a failed test. So a lost wake-up is a failure and never a hang.
 */
#ifndef WEIR_TESTS_SUPPORT_GATE_H
#define WEIR_TESTS_SUPPORT_GATE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

#include "weir/context.h"

/* Something that only grows and that can be waited for. */
typedef struct counter {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t value;
} counter;

#define COUNTER_INIT                                                                               \
    {                                                                                              \
        PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0                                     \
    }

void counter_add(counter *count, size_t n);
size_t counter_get(counter *count);
/* Waits until the value is at least `n`. */
void counter_await(counter *count, size_t n);
/* A task (weir_task_fn) that adds 1 to the counter `arg` and returns 0. */
int counter_task(weir_context *ctx, void *arg);

/* A door that is shut until it is opened, and that counts the threads that have come to it. */
typedef struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t arrived;
    bool open;
} gate;

#define GATE_INIT                                                                                  \
    {                                                                                              \
        PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, false                              \
    }

/* Counts the caller as arrived, then blocks until the gate is open. */
void gate_wait(gate *door);
void gate_open(gate *door);
/* Shuts the gate again and sets the count to 0; no thread may be at it. */
void gate_reset(gate *door);
size_t gate_arrived(gate *door);
/* Waits until at least `n` have arrived, whether they went through or not. */
void gate_await(gate *door, size_t n);
/* A task (weir_task_fn) that waits at the gate `arg` and returns 0. */
int gate_task(weir_context *ctx, void *arg);

/* A place where `size` threads meet: each blocks until all are there. Reusable at once. */
typedef struct meeting {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t size, present, round;
} meeting;

#define MEETING_INIT(n)                                                                            \
    {                                                                                              \
        PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, (n), 0, 0                             \
    }

void meeting_wait(meeting *place);
/* A task (weir_task_fn) that takes part in the meeting `arg` and returns 0. */
int meeting_task(weir_context *ctx, void *arg);

/* Numbers in the order in which they were recorded, by any thread. */
enum { RECORDER_ROOM = 4096 };

typedef struct recorder {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    size_t count;
    int numbers[RECORDER_ROOM];
} recorder;

#define RECORDER_INIT                                                                              \
    {                                                                                              \
        PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0,                                    \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }

/* Gives up when the recorder is full: a test that records that much is wrong. */
void recorder_add(recorder *log, int number);
size_t recorder_count(recorder *log);
/* The i-th number recorded, or INT_MIN if there is none. */
int recorder_at(recorder *log, size_t i);
void recorder_await(recorder *log, size_t n);

#endif
