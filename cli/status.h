/* SPDX-License-Identifier: MIT */
/* status.h - how far the run is, in one line. */
#ifndef CLI_STATUS_H
#define CLI_STATUS_H

#include "run.h"

/* What runs longest, "" if nothing does, and since when. `label` has room for LABEL_SIZE bytes, or
 * is NULL. Returns how many run. */
unsigned status_running(struct run *run, char *label, int64_t *ret_since);

/* Says it on standard error (SIGUSR1). */
void status_say(struct run *run);

#endif
