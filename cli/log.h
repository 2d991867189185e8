/* SPDX-License-Identifier: MIT */
/* log.h - --log FILE: a JSON object for each attempt, one a line. */
#ifndef CLI_LOG_H
#define CLI_LOG_H

#include "job.h"

struct log {
    int fd; /* -1: no log */
};

/* Begins the file anew. Returns 0; a negative errno after it has complained. */
int log_open(struct log *log, const char *path);
void log_close(struct log *log);

/* Adds the attempt that job->result is about. Returns 0 or a negative errno. */
int log_add(struct log *log, const struct job *job, unsigned slot, struct bytes command);

/* What an attempt's end is called: ok, failed, signal, timeout, stopped, not started. */
const char *log_state(const struct result *result);

#endif
