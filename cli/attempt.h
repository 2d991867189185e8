/* SPDX-License-Identifier: MIT */
/* attempt.h - one attempt of a job: its process, from its start to its end. */
#ifndef CLI_ATTEMPT_H
#define CLI_ATTEMPT_H

#include "run.h"

/* Runs slot->argv, and says in job->result how it went. What it wrote is in slot->out and
 * slot->err, or was printed, as the settings say. */
void attempt_run(struct run *run, struct slot *slot, struct job *job);

#endif
