/* SPDX-License-Identifier: MIT */
/* names.h - the names to work on: the command line's and, for "-", those on standard input. */
#ifndef CHECKSUM_NAMES_H
#define CHECKSUM_NAMES_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include <weir.h>

struct names {
    char *const *args;
    size_t n_args, next;
    const weir_context *ctx;
    int stop_fd;
    bool in_list, skipping, list_over; /* reading the list; the rest of a name; it has ended */
    size_t begin, end;                 /* what of `buffer` has not been given out */
    char buffer[PATH_MAX + 1];
};

/* Names are read until `ctx` is done; `stop_fd` as in readable.h. `args` is borrowed. */
void names_init(struct names *names, char *const args[], size_t n_args, const weir_context *ctx,
                int stop_fd);

/* Gives out the next name, borrowed until the next call. Blocks while standard input does.
 * Returns 1; 0 (there is none left); what weir_context_err() says once `ctx` is done; another
 * negative errno if the list cannot be read (which ends it) or -ENAMETOOLONG if it has a name that
 * is longer than a file's can be (which skips it). */
int names_next(struct names *names, const char **ret_name);

/* Whether standard input may still list names that were not given out. */
bool names_list_unread(const struct names *names);

#endif
