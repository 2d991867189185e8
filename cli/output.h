/* SPDX-License-Identifier: MIT */
/* output.h - prints what jobs have written: one job at a time, as they end or in the order of
 * the input.
 */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include "job.h"
#include "settings.h"
#include "slots.h"
#include "stop.h"
#include "template.h"
#include "weir/semaphore.h"

struct output {
    const struct settings *settings;
    const struct template *tag; /* NULL: none */
    struct stop *stop;
    struct bin *bin;

    pthread_mutex_t lock; /* guards standard output, and: */
    int failed;           /* the error that ended printing; 0: none */

    /* -k: the jobs that have ended and wait for those before them. */
    pthread_mutex_t order_lock; /* guards the ring; before `lock` */
    int shared;                 /* the file of all that wait, if descriptors are few; -1: none */
    uint64_t shared_size;
    struct job **ring; /* at turn % n_ring; NULL: has not ended */
    size_t n_ring;
    uint64_t turn;       /* whose it is */
    bool printing;       /* a thread goes through those that can be printed */
    weir_semaphore room; /* a permit for each job between its submit and its printing */
};

/* `ahead`: how many jobs -k lets go ahead. `share`: descriptors are few. Returns 0 or a negative
 * errno. */
int output_init(struct output *output, const struct settings *settings, const struct template *tag,
                struct stop *stop, struct bin *bin, size_t ahead, bool share);
void output_destroy(struct output *output);

/* Makes what --tag and --tagstring put before each line of the job's output. */
void output_make_tag(const struct output *output, struct job *job, unsigned slot);

/* Prints a job's command (-v), output and errors, and empties `out` and `err`. */
void output_print(struct output *output, struct job *job, const struct buffer *shown,
                  struct capture *out, struct capture *err);

/* -k: the job has ended; prints it and those behind it, if it is their turn. The caller
 * gives up its hold on the job. */
void output_in_turn(struct output *output, struct job *job);

/* --line-buffer: prints the whole lines at the beginning of `text`, which came to descriptor `fd`
 * (1 or 2). What does not end a line stays in `capture`. */
void output_lines(struct output *output, struct job *job, struct capture *capture, int fd,
                  struct bytes text);

/* Prints those that had to wait for the job's turn, if it has come. */
void output_lines_again(struct output *output, struct job *job, struct capture *capture, int fd);

/* -u: a job has failed. If nobody reads standard output any more, that is an error of the run. */
void output_look(struct output *output);

/* The error that ended printing, or 0. */
int output_error(struct output *output);

#endif
