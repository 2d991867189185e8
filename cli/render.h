/* SPDX-License-Identifier: MIT */
/* render.h - the command of one job. */
#ifndef CLI_RENDER_H
#define CLI_RENDER_H

#include "job.h"
#include "template.h"

/* A list of words for exec. All-zero is empty; it is used again and again. */
struct argv {
    struct buffer text;
    size_t *begins; /* of the words, in text */
    char **words;   /* n, and NULL */
    size_t n, room;
    char why[192]; /* what a failure was about */
};

void argv_free(struct argv *argv);

/* Fills argv->words. Returns 0; a negative errno if the record cannot make a command, which
 * argv->why says. `fill`: each word with a record in it is there once for each record (-X). */
int render_command(struct argv *argv, const struct template *template, struct job *job,
                   unsigned slot, bool fill);

/* Appends the words of `argv` as a shell would take them. Of a command for the shell, this is the
 * command. */
void render_shown(struct buffer *buffer, const struct argv *argv, bool shell);

/* What a slot is called in a command that is not about to run: {#} and {%} stay as they are. */
#define RENDER_KEY 0

/* Appends a text: --tagstring. */
void render_text(struct buffer *buffer, const struct template *template, struct job *job,
                 unsigned slot);

/* At most how many bytes of a command line `job` or one more record takes: -X. */
size_t render_cost(const struct template *template, const struct bytes columns[], size_t n);

#endif
