/* SPDX-License-Identifier: MIT */
/* watchdog.c - ends a test in which nothing happens any more. */
#include "watchdog.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { SEATS = 64, PATIENCE = 20 };

static atomic_ulong steps;
static _Atomic(const char *) seats[SEATS];
static atomic_bool taken[SEATS];
static pthread_key_t seat_key;

static pthread_t thread;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t stopping;
static bool stopped;
static void (*diagnose_test)(void);

static void leave_seat(void *seat)
{
    _Atomic(const char *) *mine = seat;
    atomic_store(mine, NULL);
    atomic_store(&taken[mine - seats], false);
}

void progress(void)
{
    atomic_fetch_add_explicit(&steps, 1, memory_order_relaxed);
}

void doing(const char *what)
{
    progress();
    _Atomic(const char *) *mine = pthread_getspecific(seat_key);
    for (unsigned i = 0; mine == NULL && i < SEATS; i++) {
        bool no = false;
        if (atomic_compare_exchange_strong(&taken[i], &no, true)) {
            mine = &seats[i];
            (void)pthread_setspecific(seat_key, mine);
        }
    }
    if (mine != NULL)
        atomic_store_explicit(mine, what, memory_order_relaxed);
}

static void give_up(void)
{
    fprintf(stderr, "nothing has happened for a long time; the threads were in:\n");
    for (unsigned i = 0; i < SEATS; i++) {
        const char *what = atomic_load(&seats[i]);
        if (what != NULL)
            fprintf(stderr, "  %s\n", what);
    }
    diagnose_test();
    abort();
}

static void *watch(void *unused)
{
    (void)unused;
    const char *text = getenv("WEIR_STRESS_PATIENCE");
    time_t patience = text != NULL && atoi(text) > 0 ? atoi(text) : PATIENCE;
    unsigned long seen = atomic_load(&steps);
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += patience;
    (void)pthread_mutex_lock(&lock);
    while (!stopped) {
        if (pthread_cond_timedwait(&stopping, &lock, &until) == 0)
            continue;
        unsigned long now = atomic_load(&steps);
        if (now == seen)
            give_up();
        seen = now;
        (void)clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec += patience;
    }
    (void)pthread_mutex_unlock(&lock);
    return NULL;
}

void watchdog_start(void (*diagnose)(void))
{
    diagnose_test = diagnose;
    pthread_condattr_t attributes;
    if (pthread_key_create(&seat_key, leave_seat) != 0 || pthread_condattr_init(&attributes) != 0 ||
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) != 0 ||
        pthread_cond_init(&stopping, &attributes) != 0 ||
        pthread_create(&thread, NULL, watch, NULL) != 0)
        abort();
    (void)pthread_condattr_destroy(&attributes);
}

void watchdog_stop(void)
{
    (void)pthread_mutex_lock(&lock);
    stopped = true;
    (void)pthread_cond_signal(&stopping);
    (void)pthread_mutex_unlock(&lock);
    (void)pthread_join(thread, NULL);
}
