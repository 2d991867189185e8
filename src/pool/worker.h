/* SPDX-License-Identifier: MIT */
/* worker.h - the threads of a pool. */
#ifndef WEIR_POOL_WORKER_H
#define WEIR_POOL_WORKER_H

#include "pool/run.h"

struct crew;

struct worker {
    struct seat seat;
    struct activity activity;
    struct crew *crew;
    pthread_t thread;
    pthread_t predecessor; /* a thread that died in a task, to be joined by its replacement */
    unsigned index;
    bool has_predecessor;
};

struct crew {
    struct host *host;
    struct worker *workers;
    unsigned count;
    int (*on_start)(unsigned index, void *user);
    void (*on_stop)(unsigned index, void *user);
    size_t stack_size;
    char name[16];
    atomic(unsigned) started; /* workers whose on_start has returned */
    atomic(int) start_error;  /* the first non-zero value it returned */
    atomic(unsigned) alive;   /* workers that have not left */
};

/* Starts `count` workers, once the other fields are set. Returns 0 when all of them run and
 * on_start has returned on each; -ENOMEM, what pthread_create said, negated, or what on_start
 * returned, and then none is left. The memory goes with weir__crew_free either way. */
int weir__crew_start(struct crew *crew, unsigned count);
void weir__crew_free(struct crew *crew);

/* Blocks until all workers have left; the phase of the queue is STOPPING. 0 or -ETIMEDOUT. */
int weir__crew_wait(struct told told, struct crew *crew, int64_t deadline);
/* Joins them, once. */
void weir__crew_join(struct crew *crew);

/* The worker that the calling thread is, of whatever pool, or NULL. */
struct worker *weir__own_worker(void);

#endif
