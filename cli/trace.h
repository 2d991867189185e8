/* SPDX-License-Identifier: MIT */
/* trace.h - --trace FILE: a timeline of the attempts, one lane a slot, for Perfetto. */
#ifndef CLI_TRACE_H
#define CLI_TRACE_H

#include "job.h"

#include <pthread.h>

struct trace {
    int fd;               /* -1: none */
    pthread_mutex_t lock; /* guards the file, and: */
    bool begun;           /* an event is there */
    unsigned lanes;       /* so many have a name */
};

/* Begins the file anew. Returns 0; a negative errno after it has complained. */
int trace_open(struct trace *trace, const char *path);

/* Adds the attempt that job->result is about. Returns 0 or a negative errno. */
int trace_add(struct trace *trace, const struct job *job, unsigned slot, struct bytes command);

/* Returns 0 or a negative errno. */
int trace_close(struct trace *trace);

#endif
