/* SPDX-License-Identifier: MIT */
/* interrupt.h - SIGINT and SIGTERM turned into a cancelled context. */
#ifndef CHECKSUM_INTERRUPT_H
#define CHECKSUM_INTERRUPT_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include <weir.h>

#include "terminal.h"

struct interrupt {
    pthread_t thread;
    sigset_t signals;
    weir_context *ctx;
    struct terminal *terminal;
    int pipe[2];          /* its read end is readable once a signal has come */
    atomic_int signal;    /* the first that came, or 0 */
    atomic_bool finished; /* interrupt_stop has been called */
};

/* From now on the first SIGINT or SIGTERM cancels `ctx`, and the second ends the process as it
 * would have without this. Blocks both signals in the calling thread and so in those it starts
 * later: call it before there are others. Returns 0 or a negative errno. */
int interrupt_start(struct interrupt *interrupt, weir_context *ctx, struct terminal *terminal);
void interrupt_stop(struct interrupt *interrupt);

/* A descriptor that is readable once a signal has come. */
int interrupt_fd(const struct interrupt *interrupt);

/* The first signal that came, or 0. */
int interrupt_signal(struct interrupt *interrupt);

#endif
