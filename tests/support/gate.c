/* SPDX-License-Identifier: MIT */
/* gate.c - gates, counters, meetings and recorders.
 *
 * Each object's lock guards all its fields; every change is broadcast.
 */
#include "support/gate.h"

#include <limits.h>
#include <time.h>

#include "support/suite.h"

/* Waits for a change until `deadline`; then gives up, naming `what`. */
static void wait_for_change(pthread_cond_t *changed, pthread_mutex_t *lock, int64_t deadline,
                            const char *what)
{
    const struct timespec end = {.tv_sec = (time_t)(deadline / WEIR_S(1)),
                                 .tv_nsec = (long)(deadline % WEIR_S(1))};
    int err = pthread_cond_clockwait(changed, lock, CLOCK_MONOTONIC, &end);
    if (err != 0)
        give_up(what);
}

void counter_add(counter *count, size_t n)
{
    (void)pthread_mutex_lock(&count->lock);
    count->value += n;
    (void)pthread_cond_broadcast(&count->changed);
    (void)pthread_mutex_unlock(&count->lock);
}

size_t counter_get(counter *count)
{
    (void)pthread_mutex_lock(&count->lock);
    size_t value = count->value;
    (void)pthread_mutex_unlock(&count->lock);
    return value;
}

void counter_await(counter *count, size_t n)
{
    int64_t deadline = patience();
    (void)pthread_mutex_lock(&count->lock);
    while (count->value < n)
        wait_for_change(&count->changed, &count->lock, deadline,
                        "a counter did not become as large as the test expects");
    (void)pthread_mutex_unlock(&count->lock);
}

int counter_task(weir_context *ctx, void *arg)
{
    (void)ctx;
    counter_add(arg, 1);
    return 0;
}

void gate_wait(gate *door)
{
    int64_t deadline = patience();
    (void)pthread_mutex_lock(&door->lock);
    door->arrived++;
    (void)pthread_cond_broadcast(&door->changed);
    while (!door->open)
        wait_for_change(&door->changed, &door->lock, deadline,
                        "a thread was left at a gate that nobody opened");
    (void)pthread_mutex_unlock(&door->lock);
}

void gate_open(gate *door)
{
    (void)pthread_mutex_lock(&door->lock);
    door->open = true;
    (void)pthread_cond_broadcast(&door->changed);
    (void)pthread_mutex_unlock(&door->lock);
}

void gate_reset(gate *door)
{
    (void)pthread_mutex_lock(&door->lock);
    door->open = false;
    door->arrived = 0;
    (void)pthread_mutex_unlock(&door->lock);
}

size_t gate_arrived(gate *door)
{
    (void)pthread_mutex_lock(&door->lock);
    size_t arrived = door->arrived;
    (void)pthread_mutex_unlock(&door->lock);
    return arrived;
}

void gate_await(gate *door, size_t n)
{
    int64_t deadline = patience();
    (void)pthread_mutex_lock(&door->lock);
    while (door->arrived < n)
        wait_for_change(&door->changed, &door->lock, deadline,
                        "fewer threads arrived at a gate than the test expects");
    (void)pthread_mutex_unlock(&door->lock);
}

int gate_task(weir_context *ctx, void *arg)
{
    (void)ctx;
    gate_wait(arg);
    return 0;
}

void meeting_wait(meeting *place)
{
    int64_t deadline = patience();
    (void)pthread_mutex_lock(&place->lock);
    size_t round = place->round;
    if (++place->present == place->size) {
        place->present = 0;
        place->round++;
        (void)pthread_cond_broadcast(&place->changed);
    }
    while (place->round == round)
        wait_for_change(&place->changed, &place->lock, deadline,
                        "fewer threads came to a meeting than the test expects");
    (void)pthread_mutex_unlock(&place->lock);
}

int meeting_task(weir_context *ctx, void *arg)
{
    (void)ctx;
    meeting_wait(arg);
    return 0;
}

void recorder_add(recorder *log, int number)
{
    (void)pthread_mutex_lock(&log->lock);
    if (log->count == RECORDER_ROOM)
        give_up("a recorder is full");
    log->numbers[log->count++] = number;
    (void)pthread_cond_broadcast(&log->changed);
    (void)pthread_mutex_unlock(&log->lock);
}

size_t recorder_count(recorder *log)
{
    (void)pthread_mutex_lock(&log->lock);
    size_t count = log->count;
    (void)pthread_mutex_unlock(&log->lock);
    return count;
}

int recorder_at(recorder *log, size_t i)
{
    (void)pthread_mutex_lock(&log->lock);
    int number = i < log->count ? log->numbers[i] : INT_MIN;
    (void)pthread_mutex_unlock(&log->lock);
    return number;
}

void recorder_await(recorder *log, size_t n)
{
    int64_t deadline = patience();
    (void)pthread_mutex_lock(&log->lock);
    while (log->count < n)
        wait_for_change(&log->changed, &log->lock, deadline,
                        "fewer numbers were recorded than the test expects");
    (void)pthread_mutex_unlock(&log->lock);
}
