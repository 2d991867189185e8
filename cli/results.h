/* SPDX-License-Identifier: MIT */
/* results.h - --results DIR: what each job wrote and how it ended, in DIR/SEQ. */
#ifndef CLI_RESULTS_H
#define CLI_RESULTS_H

#include "run.h"

/* Makes the folder. Returns 0; a negative errno after it has complained. */
int results_prepare(const struct settings *settings);

/* Makes the files of an attempt: what comes from the pipes goes there. Returns 0; a negative
 * errno after it has complained. */
int results_open(struct run *run, struct slot *slot, struct job *job);

/* --line-buffer: output is printed as it comes, and written here besides. */
void results_tee(struct slot *slot, bool is_out, const char *data, size_t size);

/* Says how the attempt ended. */
void results_close(struct run *run, struct slot *slot, struct job *job);

#endif
