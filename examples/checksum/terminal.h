/* SPDX-License-Identifier: MIT */
/* terminal.h - the screen that digests, messages and the progress bar share. */
#ifndef CHECKSUM_TERMINAL_H
#define CHECKSUM_TERMINAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>

struct terminal {
    pthread_mutex_t lock; /* guards standard error, and standard output if both are one terminal */
    bool has_bar;         /* standard error is a terminal: a bar makes sense */
    bool shared;          /* standard output is a terminal too */
    int drawn;            /* how many columns the bar covers at the moment */
};

void terminal_init(struct terminal *terminal);
void terminal_destroy(struct terminal *terminal);

/* Around each piece of output: takes the bar away if it is in the way. The bar comes back with the
 * next terminal_draw. */
void terminal_begin(struct terminal *terminal, FILE *out);
void terminal_end(struct terminal *terminal, FILE *out);

/* How many columns a bar may have. */
int terminal_width(void);

/* Draws the bar over the one before. `last`: it stays, and the line is ended. */
void terminal_draw(struct terminal *terminal, const char *bar, bool last);

/* One line on standard error: "checksum: ", `name` and a colon if it is not NULL, `text`, and
 * `other` if it is not NULL, another name. */
void complain(struct terminal *terminal, const char *name, const char *text, const char *other);

#endif
