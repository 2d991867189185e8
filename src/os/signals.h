/* SPDX-License-Identifier: MIT */
/* signals.h - signals that are taken over until the first of them arrives.
 *
 * What a signal does belongs to the process, so one set at a time can be taken over.
 */
#ifndef WEIR_OS_SIGNALS_H
#define WEIR_OS_SIGNALS_H

#include <semaphore.h>
#include <signal.h>
#include <sys/types.h>

#include "base/atomic.h"

enum { SIGNALS_MAX = 32 };

struct signals {
    pid_t process;
    unsigned n;
    int numbers[SIGNALS_MAX];
    sem_t wake;          /* of weir__signals_wait */
    atomic(int) arrived; /* the first one; 0; or OPENING, see signals.c */
};

/* Takes over those that are not ignored. Returns 0; -EBUSY (others are taken over); -EINVAL (one
 * cannot be taken over). */
int weir__signals_open(struct signals *signals, const int numbers[], unsigned n);

/* Blocks until one has arrived, and returns its number; or until the close: 0. Meanwhile the
 * calling thread, which blocks them otherwise, can receive them. */
int weir__signals_wait(struct signals *signals);

/* From here on they do what they did before. Wakes the thread that waits. Once. */
void weir__signals_close(struct signals *signals);

/* After the close, when no thread waits. */
void weir__signals_destroy(struct signals *signals);

/* Nobody will learn of what has arrived: after the close, it does what it did before. */
void weir__signals_disown(const struct signals *signals);

#endif
