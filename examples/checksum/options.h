/* SPDX-License-Identifier: MIT */
/* options.h - the command line. */
#ifndef CHECKSUM_OPTIONS_H
#define CHECKSUM_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#define MAX_WORKERS 1024

enum exit_code {
    EXIT_DONE = 0,
    EXIT_INCOMPLETE = 1, /* a file could not be read, or the output not be written */
    EXIT_USAGE = 2,
    EXIT_TIMEOUT = 124, /* as timeout(1) */
    EXIT_SIGNAL = 128   /* plus the signal's number, as the shell */
};

struct options {
    unsigned workers;  /* 0: as many as there are CPUs */
    int64_t timeout;   /* nanoseconds; 0: none */
    const char *stats; /* a file for the counts, or NULL */
    char *const *paths;
    size_t n_paths;
};

/* Returns -1 to go on, or the exit code, once it has printed what there is to say. */
int options_parse(struct options *options, int argc, char *argv[]);

#endif
