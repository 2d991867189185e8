/* SPDX-License-Identifier: MIT */
/* feed.h - makes jobs of the input and submits them. */
#ifndef CLI_FEED_H
#define CLI_FEED_H

#include "run.h"

/* Until the input has ended, or the run is to stop. Returns 0; a negative errno if the input cannot
 * be read, after it has complained. */
int feed(struct run *run);

/* --dry-run: prints the commands instead. Returns as feed. */
int feed_dry(struct run *run);

#endif
