/* SPDX-License-Identifier: MIT */
/* signals.h - the signals that weir is sent: to stop, to say how far it is, to pause. */
#ifndef CLI_SIGNALS_H
#define CLI_SIGNALS_H

#include "run.h"

#include <pthread.h>
#include <signal.h>

struct signals {
    struct run *run;
    sigset_t waited_for;
    pthread_t thread;
    bool done;            /* read by the thread when it was woken to see it */
    pthread_mutex_t lock; /* guards `done` */
};

/* Blocks them, in this thread and in those that it starts. Those that weir was started to ignore
 * stay ignored. `ret_mask` is what was blocked before. */
void signals_block(sigset_t *ret_mask, sigset_t *ret_waited_for);

/* Waits for signals, and does what they ask for, until signals_end is called. Only the first thread
 * of the process may call it: orphans become its children, and it reaps them. */
void signals_wait(struct signals *signals);

/* Ends the wait. */
void signals_end(struct signals *signals);

#endif
