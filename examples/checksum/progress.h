/* SPDX-License-Identifier: MIT */
/* progress.h - how far a run is: counted always, drawn if standard error is a terminal. */
#ifndef CHECKSUM_PROGRESS_H
#define CHECKSUM_PROGRESS_H

#include <pthread.h>
#include <stdatomic.h>

#include <weir.h>

#include "terminal.h"

struct progress {
    atomic_uint_fast64_t files, bytes; /* what has been read; anyone may add */
    int64_t start;
    struct terminal *terminal;
    char *const *args;
    size_t n_args;
    weir_context *ctx; /* cancelled to stop the thread; NULL: nothing is drawn */
    pthread_t thread;
    /* What there is to do, found out by the thread that draws. */
    uint_fast64_t total_files, total_bytes;
    bool total_known;
    bool complete; /* set before the cancel */
};

/* Starts counting and, on a terminal, drawing. `args` is what the run works on, borrowed. Returns 0
 * or a negative errno. */
int progress_start(struct progress *progress, struct terminal *terminal, char *const args[],
                   size_t n_args);

/* Stops drawing. The last state of the bar stays. `complete`: nothing was left out, so what was
 * done is the total, even if there was no time to find it out. */
void progress_stop(struct progress *progress, bool complete);

#endif
