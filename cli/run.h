/* SPDX-License-Identifier: MIT */
/* run.h - everything that a run of `weir run` consists of.
 *
 * One thread reads the input and submits a job for each record; the pool's workers run them, an
 * attempt at a time, in a slot; the thread of main() waits for signals and reaps orphans. A job
 * goes feed.c -> the pool's queue -> play.c -> attempt.c -> output.c, log.c, tally.c. Locks: each
 * part has its own, held for that part alone; order_lock before lock in struct output.
 */
#ifndef CLI_RUN_H
#define CLI_RUN_H

#include "input.h"
#include "joblog.h"
#include "log.h"
#include "output.h"
#include "process.h"
#include "restraint.h"
#include "resume.h"
#include "seeing.h"
#include "settings.h"
#include "slots.h"
#include "stop.h"
#include "tally.h"
#include "template.h"
#include "weir.h"

/* What may wait to start, in units of job.h: 4 MB. */
#define QUEUE_WEIGHT 4096

struct run {
    const struct settings *settings;
    struct template command;
    struct template tag; /* of no words: none */
    struct input *input;
    struct bin bin;
    int64_t begun;

    unsigned n_slots;
    struct slots slots;
    struct stop stop;
    struct launcher launcher;
    struct tally tally;
    struct output output;
    struct joblog joblog;
    struct resume resume;
    struct log log;
    struct restraint restraint;
    struct seeing seeing;
    bool needs_shown; /* the command as text is needed for a log, or by -v */
    weir_pool *pool;
    uint64_t n_submitted;

    weir_retry_options retry;
    weir_semaphore weight; /* of jobs that wait to start: memory does not grow with the input */
    weir_semaphore live;   /* --retries: jobs that have not ended */

    weir_semaphore allowed;       /* -j FILE: a permit for each slot that the file allows */
    pthread_mutex_t allowed_lock; /* guards the next two */
    unsigned wanted;              /* what the file said last */
    unsigned withheld;            /* permits that nobody has, nor may have */
    unsigned cpus;
};

/* Runs `weir run` with these words behind it. Returns the exit status. */
int run_main(int n_words, char *const words[]);

#endif
