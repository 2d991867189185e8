/* SPDX-License-Identifier: MIT */
/* slots.h - the places in which jobs run: at most one in each, numbered from 1. A job gets the
 * lowest number that is free.
 */
#ifndef CLI_SLOTS_H
#define CLI_SLOTS_H

#include "capture.h"
#include "render.h"

#include <pthread.h>
#include <sys/types.h>

#define LABEL_SIZE 96
#define SLOT_VARIABLES 4

struct slot {
    unsigned number;

    /* Guarded by the lock. `pid` is set while the process has not been reaped, so that a signal
     * never goes to another one of the same number. */
    pthread_mutex_t lock;
    pid_t pid;
    int order;    /* SIGTERM, SIGKILL: what every job here is to get; 0: none. It only grows. */
    bool no_kill; /* the order was SIGTERM, and SIGKILL will come as an order too */
    bool lost;    /* the job that runs is to end, whatever becomes of the others */
    uint64_t seq; /* of the job that runs; 0: none */
    int64_t since;
    char label[LABEL_SIZE]; /* its command, cut; for the bar */

    int nudge; /* can be read once there is an order, or the time-out has changed */

    /* The worker's that has the slot. */
    bool taken; /* guarded by the lock of struct slots */
    struct argv argv;
    struct buffer shown; /* the command as a shell would take it */
    struct buffer name;  /* what the log calls the job, if that is something else */
    struct capture out, err;
    struct buffer tail; /* the end of its errors, if it is kept although they were printed */
    int results[2];     /* --results with --line-buffer: its files, or -1 */
    char **environment;
    size_t id_at; /* where WEIR_ID is in it, which a job of no queue has not */
    char variables[SLOT_VARIABLES][64];
    char id[64];
};

struct slots {
    pthread_mutex_t lock;
    struct slot *all;
    unsigned n;
};

/* Returns 0 or a negative errno. */
int slots_init(struct slots *slots, unsigned n);
void slots_destroy(struct slots *slots);

/* There is always one: no more workers run jobs than there are slots. */
struct slot *slots_take(struct slots *slots);
void slots_give(struct slots *slots, struct slot *slot);

/* The environment of an attempt. `id`: what the queue calls the job; NULL: there is none. */
char **slot_environment(struct slot *slot, uint64_t seq, unsigned attempt, const char *id);

/* Ends the job that runs there, and only that one: SIGTERM, and SIGKILL after a time. */
void slot_end_job(struct slot *slot);

/* How many processes there are. */
unsigned slots_running(struct slots *slots);

/* Sends a signal to every job that runs. An `order` (SIGTERM, SIGKILL) holds for those that are
 * just starting, too. `no_kill`: SIGTERM is not followed by SIGKILL after a time. */
void slots_signal(struct slots *slots, int signal, bool order, bool no_kill);

/* Has every worker look at its time-out again. */
void slots_nudge(struct slots *slots);

#endif
