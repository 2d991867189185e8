/* SPDX-License-Identifier: MIT */
/* thread.h - virtual threads in the place of the system's. */
#ifndef WEIR_OS_THREAD_H
#define WEIR_OS_THREAD_H

#include <pthread.h>
#include <stddef.h>

#include "os/park.h"

struct sampler {
    uint32_t left, rest, gap;
    unsigned shift;
    int64_t last;
};

struct passed_job {
    uint64_t claim, position;
};

struct self;

struct around_sleep {
    bool (*begin)(struct self *self);
    void (*end)(struct self *self);
};

struct self {
    struct park park;
    struct frame *frame;
    struct seat *seat;
    struct ending *ending;
    struct list *granted;
    struct hold *hold;
    struct activity *activity;
    unsigned inline_runs, blocking;
    const struct around_sleep *around_sleep;
    struct sampler sampler;
    uint64_t random;
    int id;
    unsigned place;
    struct events *events;
    uint32_t trace, door;
    struct passed_job put, taken;
};

struct self *virtual_self(void);
pthread_t virtual_thread(void);
int virtual_join(pthread_t thread, void **ret_result);
int virtual_detach(pthread_t thread);

#define pthread_self virtual_thread
#define pthread_join virtual_join
#define pthread_detach virtual_detach

static inline struct self *this_thread(void)
{
    return virtual_self();
}

static inline bool sleep_begin(void)
{
    struct self *self = this_thread();
    return self->around_sleep != NULL && self->around_sleep->begin(self);
}

static inline void sleep_end(bool begun)
{
    if (begun)
        this_thread()->around_sleep->end(this_thread());
}

int weir__thread_start(pthread_t *ret_thread, void *(*run)(void *), void *arg, size_t stack_size);
void weir__thread_ignore_cancel(void);
void weir__thread_name(const char *name, unsigned index);
void weir__thread_name_timer(const char *name);
void weir__thread_name_manager(const char *name);
void weir__thread_name_signals(void);
void weir__thread_name_ready(void);
int weir__thread_id(void);
int64_t weir__thread_cpu_time(void);
int weir__process_id(void);
void weir__thread_read_name(char *ret, size_t size);
size_t weir__stack_minimum(void);
void weir__thread_yield(void);

/* The thread continues: to let others run first would leave out schedules. */
static inline void thread_yield_hint(void)
{
}

#endif
