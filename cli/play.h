/* SPDX-License-Identifier: MIT */
/* play.h - what the pool runs: a job, attempt after attempt. */
#ifndef CLI_PLAY_H
#define CLI_PLAY_H

#include "run.h"

/* Gives a job to the pool; blocks while that has enough. Returns 0, or a negative errno once the
 * run is to stop: the job is not run then, and was accounted for. */
int play_submit(struct run *run, struct job *job);

/* For the pool: a task that will not be run. */
void play_dropped(weir_task_fn *fn, void *arg, weir_state why, void *user);

/* Sets what the library needs to know to retry. */
void play_prepare(struct run *run);

#endif
