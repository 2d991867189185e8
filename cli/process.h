/* SPDX-License-Identifier: MIT */
/* process.h - starts a job's process: by posix_spawn, in a group of its own, with the signals as
 * weir found them.
 */
#ifndef CLI_PROCESS_H
#define CLI_PROCESS_H

#include "bytes.h"

#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <sys/resource.h>
#include <sys/types.h>

/* What is the same for all processes; never written once it is made. */
struct launcher {
    posix_spawnattr_t attributes;
    int null;
    char *program; /* where the program of all jobs was found; NULL: look each time */
    char *name;    /* its name */
    bool raised;   /* weir may have more descriptors open than a job is to have */
    struct rlimit descriptors;
};

struct process {
    pid_t pid;
    int handle;   /* a descriptor that can be read once the process has ended */
    int out, err; /* the ends to read; -1: the job writes to weir's own */
};

/* `mask` is the one that weir was started with. Returns 0 or a negative errno. */
int launcher_init(struct launcher *launcher, const sigset_t *mask);
void launcher_destroy(struct launcher *launcher);

/* Says that most commands begin with `name`. */
void launcher_expect(struct launcher *launcher, const struct bytes *name);

/* Starts argv[0], looked up as the shell does. `input`: what it reads, -1 for nothing. `piped`: its
 * output comes through pipes. Returns 0; a negative errno: it could not be started. */
int process_start(struct process *ret, const struct launcher *launcher, char *const argv[],
                  char *const environment[], int input, bool piped);

#endif
