/* SPDX-License-Identifier: MIT */
/* signals.h - signals that a scenario raises: see src/os/signals.h for the promises. */
#ifndef WEIR_OS_SIGNALS_H
#define WEIR_OS_SIGNALS_H

#include <signal.h>

#include "os/park.h"

enum { SIGNALS_MAX = 32 };

struct signals {
    struct park wake;
    atomic(int) arrived;
};

int weir__signals_open(struct signals *signals, const int numbers[], unsigned n);
int weir__signals_wait(struct signals *signals);
void weir__signals_close(struct signals *signals);
void weir__signals_destroy(struct signals *signals);
void weir__signals_disown(const struct signals *signals);

/* A signal of the set arrives, on this thread. False: the set is closed, or was not the first. */
bool virtual_signal(int number);

#endif
