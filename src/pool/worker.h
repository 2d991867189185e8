/* SPDX-License-Identifier: MIT */
/* worker.h - the threads of a pool. */
#ifndef WEIR_POOL_WORKER_H
#define WEIR_POOL_WORKER_H

#include "pool/run.h"
#include "pool/size.h"

struct crew;

struct worker {
    struct seat seat;
    struct activity activity;
    struct crew *crew;
    pthread_t thread;
    pthread_t predecessor; /* a thread that died in a task, to be joined by its replacement */
    struct share share;    /* if the size may change */
    unsigned index;
    bool has_predecessor;
    bool replaces; /* the thread: one that died in a task */
};

struct crew {
    struct host *host;
    struct size *size; /* or NULL: it does not change */
    struct worker *workers;
    unsigned count; /* of these, with a thread or without */
    int (*on_start)(unsigned index, void *user);
    void (*on_stop)(unsigned index, void *user);
    size_t stack_size;
    char name[16];
    pthread_t manager; /* of a pool whose size may change; constant once the pool is made */
    atomic(const struct self *) managing; /* that thread; or NULL */
    unsigned starts;          /* threads that were started for workers that replace none */
    atomic(unsigned) started; /* of these: those whose on_start has returned */
    atomic(int) start_error;  /* the first non-zero value it returned */
    atomic(unsigned) alive;   /* workers that have not left, and the manager */
};

/* Starts its thread. 0, or what pthread_create said, negated. */
int weir__worker_start(struct worker *worker);

/* The calling thread, a worker or the manager, leaves: its last access to the crew. */
void weir__crew_out(struct crew *crew);

/* For the manager: starts a worker in a seat that is empty, and waits until it has begun. 0, or why
 * there is none. */
int weir__crew_add(struct crew *crew, unsigned seat);
/* Starts the manager (manager.c). 0, or what pthread_create said, negated. */
int weir__manager_start(struct crew *crew);

/* Starts `first` of `count` workers, once the other fields are set. Returns 0 when all of them run
 * and on_start has returned on each; -ENOMEM, what pthread_create said, negated, or what on_start
 * returned, and then none is left. The memory goes with weir__crew_free either way. */
int weir__crew_start(struct crew *crew, unsigned first, unsigned count);
/* The manager could not be started: ends them. */
void weir__crew_give_up(struct crew *crew);
void weir__crew_free(struct crew *crew);

/* Blocks until all workers have left; the phase of the queue is STOPPING. 0 or -ETIMEDOUT. */
int weir__crew_wait(struct told told, struct crew *crew, int64_t deadline);
/* Joins them, once. */
void weir__crew_join(struct crew *crew);

/* Is the calling thread the manager? */
bool weir__crew_manages(const struct crew *crew);

/* How many there are, now. Is there one with this number, or about to be? */
unsigned weir__crew_workers(const struct crew *crew);
bool weir__crew_has(const struct crew *crew, unsigned index);

/* The worker that the calling thread is, of whatever pool, or NULL. */
struct worker *weir__own_worker(void);

#endif
