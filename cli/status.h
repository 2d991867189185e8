/* SPDX-License-Identifier: MIT */
/* status.h - how far the run is, in one line. */
#ifndef CLI_STATUS_H
#define CLI_STATUS_H

#include "run.h"

/* The longest that runs: its number and since when; `ret_seq` is 0 if none does. Returns how many
 * run. */
unsigned status_running(struct run *run, uint64_t *ret_seq, int64_t *ret_since);

/* Says it on standard error (SIGUSR1). */
void status_say(struct run *run);

#endif
