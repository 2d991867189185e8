/* SPDX-License-Identifier: MIT */
/* tally.h - how many jobs ended how, how long they took, and when that is enough (--halt). */
#ifndef CLI_TALLY_H
#define CLI_TALLY_H

#include "job.h"
#include "settings.h"

#include <pthread.h>

/* Run times by their magnitude, so that a median takes the same memory whatever the number of jobs:
 * 32 steps for each doubling, so that it is right to 2 %. */
#define TALLY_STEPS (64 * 32)

struct counts {
    int64_t total;    /* records; -1: not known yet */
    uint64_t read;    /* records that became jobs, or were skipped */
    uint64_t skipped; /* that the log says are done */
    uint64_t ok, failed, timed_out, not_run;
};

struct tally {
    pthread_mutex_t lock; /* guards what follows */
    struct counts counts;
    uint64_t run_times[TALLY_STEPS];
    uint64_t n_run_times;
    double run_time_sum; /* seconds */
    bool halted;         /* the caller has been told */
};

void tally_init(struct tally *tally);

void tally_add_read(struct tally *tally, uint64_t read, uint64_t skipped);
void tally_set_total(struct tally *tally, int64_t total);
void tally_add_not_run(struct tally *tally, uint64_t n);

/* Counts the end of a job. Returns whether the run is to be halted now. */
bool tally_add(struct tally *tally, const struct settings *settings, const struct job *job);

struct counts tally_read(struct tally *tally);

/* How many of the jobs that succeeded took no longer than `ns`, to 2 %; and what all took, in
 * seconds, unless `ret_sum` is NULL. */
uint64_t tally_below(struct tally *tally, int64_t ns, double *ret_sum);

/* The median run time of the jobs that succeeded, in ns; 0 before the third. */
int64_t tally_median(struct tally *tally);

#endif
