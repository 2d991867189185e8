/* SPDX-License-Identifier: MIT */
/* job.h - one job: the records that it is for, and what has become of it.
 * A job belongs to the thread of the input until it is submitted, and then to the worker that has
 * its attempt. It is one piece of memory; the task in it is the library's while the job is live.
 */
#ifndef CLI_JOB_H
#define CLI_JOB_H

#include "bytes.h"
#include "capture.h"
#include "weir/task.h"

#include <pthread.h>
#include <sys/resource.h>

enum job_state {
    JOB_NOT_RUN, /* never started, or stopped by weir itself: it has not ended */
    JOB_OK,
    JOB_FAILED, /* an exit status, or it could not start */
    JOB_SIGNALLED,
    JOB_TIMED_OUT
};

/* What is counted as one in the weight of a job: bytes. */
#define JOB_UNIT 1024

/* How one attempt went. */
struct result {
    enum job_state state;
    bool started;   /* there was a process */
    bool lost;      /* for want of something that is weir's to have: the job has not ended */
    bool hopeless;  /* no attempt can go better: no command can be made of the record */
    int exit_code;  /* 0 to 255; 0 if a signal ended it */
    int signal;     /* that ended it, or 0 */
    int64_t queued; /* ms since 1970 */
    int64_t start;
    int64_t end;
    int64_t run_time;  /* ns */
    struct rusage use; /* of the process and what it waited for */
    uint64_t bytes;    /* of output and errors */
};

/* Jobs that nobody needs any more, except that their tasks may be just ending. */
struct bin {
    pthread_mutex_t lock; /* guards the list, and `holders` of all jobs */
    struct job *first;
};

struct names;

struct job {
    weir_task task; /* used if it can be retried */
    struct run *run;
    struct job *next; /* in the bin */
    unsigned holders; /* the worker or whoever prints it; and its task, if it can be retried */
    bool can_be_retried;
    bool has_permit;  /* -j FILE: got in the order of the input */
    uint64_t seq;     /* from 1, in the input */
    uint64_t turn;    /* from 0, among those submitted */
    uint64_t log_seq; /* what the log calls it */
    const char *id;   /* what the queue calls it; NULL: it came from no queue */
    unsigned attempt;
    bool accounted; /* its end was counted */
    int input;      /* --pipe: the file with its block; -1: none */
    int64_t queued; /* ms since 1970 */
    struct result result;
    struct capture out, err; /* while it waits for its turn to be printed, with: */
    struct buffer shown;     /* its command */
    struct buffer tag;       /* what is put before its lines */
    void *object;            /* --json: the record, once it was needed */
    struct names *names;     /* of its columns, if these are in the job itself; else NULL */

    uint32_t weight;       /* permits that it holds while it waits to start */
    void *records;         /* the memory of what follows */
    const char *command;   /* --retry-failed: to be given to the shell as it is; else NULL */
    struct bytes *columns; /* of all records, one after the other */
    size_t n_columns;
    size_t *ends; /* ends[i]: the columns of record i end before this one */
    size_t n_records;
};

/* Makes a job of `n_records` records, and copies them. NULL: no memory. */
struct job *job_new(const struct bytes columns[], size_t n_columns, const size_t ends[],
                    size_t n_records);
/* A job that runs `command`. */
struct job *job_new_command(struct bytes command);
void job_free(struct job *job);

/* Frees its records, which it needs no more. */
void job_forget_records(struct job *job);

/* One of its holders is done with it. */
void job_release(struct job *job, struct bin *bin);

/* Frees what is in the bin. */
void bin_empty(struct bin *bin);

#endif
