/* SPDX-License-Identifier: MIT */
/* seeing.h - whatever shows a run while it goes on: bar, progress, metrics, timeline. */
#ifndef CLI_SEEING_H
#define CLI_SEEING_H

#include "trace.h"
#include "weir.h"

struct run;

struct seeing {
    bool bar;
    int progress;    /* -1: none */
    bool complained; /* a file could not be written, and that was said */
    struct trace trace;
    weir_pool *clock; /* of one worker, for the ticks; NULL: nothing ticks */
    weir_task ticker;
    unsigned ticks;
};

/* Begins the files. Returns 0; a negative errno after it has complained. */
int seeing_open(struct run *run);

/* Starts the ticks, if anything needs them. Returns 0 or a negative errno. */
int seeing_start(struct run *run);

/* Ends the ticks, and writes how it all ended. */
void seeing_stop(struct run *run);
void seeing_close(struct run *run);

#endif
