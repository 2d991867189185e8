/* SPDX-License-Identifier: MIT */
/* joblog.h - --joblog FILE: a row for each job that has ended, in the columns of GNU parallel. */
#ifndef CLI_JOBLOG_H
#define CLI_JOBLOG_H

#include "job.h"
#include "settings.h"

#include <pthread.h>

struct joblog {
    int fd;               /* -1: no log */
    pthread_mutex_t lock; /* guards `torn`, and that nothing follows a torn row */
    bool torn;            /* a row could be written in part only */
};

/* A row that was read. */
struct row {
    uint64_t seq;
    bool ok;
    struct bytes command; /* valid during the call */
};

/* Opens the log; begins it anew, unless it is to be read (--resume and its kin): then each of its
 * rows is given to `take`, and a last row that was cut off is cut away. Returns 0; a negative errno
 * after it has complained. */
int joblog_open(struct joblog *log, const struct settings *settings,
                int (*take)(void *arg, const struct row *row), void *arg);
void joblog_close(struct joblog *log);

/* Adds the row of a job that has ended, by one write. Returns 0 or a negative errno. */
int joblog_add(struct joblog *log, const struct job *job, struct bytes command);

#endif
