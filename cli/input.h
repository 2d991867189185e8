/* SPDX-License-Identifier: MIT */
/* input.h - the records of a run: the sources together, each combination or side by side, split
 * into columns.
 */
#ifndef CLI_INPUT_H
#define CLI_INPUT_H

#include "columns.h"
#include "settings.h"

struct input;

/* `words` begin at the first `:::` or `::::` behind the command; none: -a, or standard input.
 * Reads the header. Returns 0; a negative errno after it has complained. */
int input_open(struct input **ret, const struct settings *settings, char *const words[], int n,
               int stop_fd);
void input_free(struct input *input);

const struct names *input_names(const struct input *input);

/* The next record: its columns, valid until the next call. Returns 1; 0 at the end; -ECANCELED if
 * the run is to stop; another negative errno after it has complained. */
int input_next(struct input *input, const struct bytes **ret_columns, size_t *ret_n);

/* Whether the next record can be had without waiting for somebody to write it. */
bool input_is_at_hand(const struct input *input);

/* With --pipe: the next block. Returns as input_next. */
int input_next_block(struct input *input, size_t size, struct bytes *ret);

/* How many records there are, if that is known before they are read; else -1. */
int64_t input_count(struct input *input);

/* How many records are left unread, as far as that can be known without waiting. */
int64_t input_count_rest(struct input *input, bool *ret_all);

/* Whether `word` separates the command from values. */
bool input_is_separator(const char *word);

#endif
