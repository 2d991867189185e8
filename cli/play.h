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

/* The parts of an attempt, for jobs that come from elsewhere. */

/* Blocks until it may start. Returns 0; a negative errno once the run is to stop. */
int play_wait_for_start(struct run *run, struct job *job, uint64_t *ret_ticket);

/* Makes the job's command and runs it. */
void play_attempt(struct run *run, struct slot *slot, struct job *job);

/* Ends a job of which no command can be made. */
void play_hopeless(struct run *run, struct slot *slot, struct job *job, const char *why);

/* How it went: 0, an exit code, or one of these. */
enum { CODE_SIGNAL = 256, CODE_TIMEOUT, CODE_HOPELESS, CODE_STOPPED };
int play_code(const struct result *result);

/* Whether a job that ended with this code is to be tried again. */
bool play_is_retryable(int code, const struct settings *settings);

/* Prints, logs and counts the job. Gives up the worker's hold on it. */
void play_finish(struct run *run, struct slot *slot, struct job *job);

/* Counts a job that will not be run, or not again. Gives up one hold on it. */
void play_leave_out(struct run *run, struct job *job);

/* Sets what the library needs to know to retry. */
void play_prepare(struct run *run);

#endif
