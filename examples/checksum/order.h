/* SPDX-License-Identifier: MIT */
/* order.h - jobs that end in any order, emitted in the order in which they were taken.
 *
 * Two bounds. At most `window` jobs are taken and not emitted: that is what bounds the memory of a
 * run, however many files it is given. At most `limit` jobs are out, taken and not ended: a stop
 * leaves no more than that undone. When that many are out, order_take waits until half of them have
 * ended: to be woken for each of them would cost more than to hash a small file. */
#ifndef CHECKSUM_ORDER_H
#define CHECKSUM_ORDER_H

#include <stddef.h>

#include "hash.h"

enum job_end {
    JOB_OUT,    /* not ended */
    JOB_HASHED, /* `digest` is good */
    JOB_FAILED, /* `error` says why */
    JOB_UNDONE  /* never begun, or stopped halfway */
};

struct job {
    char *path; /* the job's own, kept for its next use */
    size_t path_size;
    bool given; /* on the command line or in the list, not found below a folder */
    enum job_end end;
    int error;
    unsigned char digest[DIGEST_SIZE];
    void *user; /* as given to order_new */
};

struct order;

/* Called for each job in order, one at a time, on the thread that ended the oldest. No lock is
 * held: an output that blocks delays that one thread until a bound is reached. */
typedef void order_emit(const struct job *job, void *user);

/* Returns 0 or -ENOMEM. */
int order_new(struct order **ret, size_t window, size_t limit, order_emit *emit, void *user);

/* Takes the next job, for the file `path`, which is copied. Blocks while a bound is reached. For
 * one thread only. Returns NULL if no memory is left. */
struct job *order_take(struct order *order, const char *path, bool given);

/* Says how a job ended; it may be emitted and used again from then on. Any thread. Emits. */
void order_put(struct order *order, struct job *job, enum job_end end, int error);

/* The same for a job that was never begun, without emitting: for where nothing may block. */
void order_drop(struct order *order, struct job *job);

/* Blocks until every job that was taken has ended and is emitted, then frees. */
void order_free(struct order *order);

#endif
