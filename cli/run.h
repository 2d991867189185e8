/* SPDX-License-Identifier: MIT */
/* run.h - everything that a run of `weir run` consists of.
 *
 * One thread reads the input and submits a job for each record; the pool's workers run them, an
 * attempt at a time, in a slot; the thread of main() waits for signals and reaps orphans. A job
 * goes feed.c -> the pool's queue -> play.c -> attempt.c -> output.c, log.c, tally.c. The jobs of
 * `weir work` come from a server: serve.c stands in the place of feed.c and play.c. Locks: each
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

/* How much of the end of a failed job's errors is kept for the list of the dead. */
#define TAIL_SIZE ((size_t)3072)

struct run;

/* Where jobs come from. */
struct origin {
    /* Returns once there are no more jobs and all have been given to the pool, or once the run is
     * to stop: 0 or a negative errno. */
    int (*feed)(struct run *run);
    /* Says how it all ended. `err` is what `feed` returned. Returns the exit status. */
    int (*sum_up)(struct run *run, int err);
    void *user;
};

struct run {
    const struct settings *settings;
    const struct origin *origin;
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
    bool keeps_tail;  /* the end of a job's errors is wanted, also where they are printed at once */
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

/* The words behind the options: the command, and where the values begin. */
struct line {
    char *const *words;
    int n_words;
    int n_command;
};

/* Runs `weir run` with these words behind it. Returns the exit status. */
int run_main(int n_words, char *const words[]);

/* Runs the command for all jobs of the origin. Returns the exit status. */
int run_line(const struct settings *settings, const struct line *line, const struct origin *origin);

/* Whether a signal, a deadline, or something of weir's own has ended the run, the exit status that
 * is for that; else -1. `left`: there are jobs that were not run. */
int run_status_of_stop(struct run *run, int err, bool left);

#endif
