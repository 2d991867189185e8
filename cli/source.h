/* SPDX-License-Identifier: MIT */
/* source.h - where records come from: words of the command line, or a file that is read as it
 * comes. A source can be started again; what it read from a pipe is kept in a temporary file for
 * that, not in memory.
 */
#ifndef CLI_SOURCE_H
#define CLI_SOURCE_H

#include "bytes.h"

#include <stdint.h>

struct source;

/* The words must live as long as the source. Returns 0; -ENOMEM. */
int source_of_words(struct source **ret, char *const words[], size_t n);

/* `path` may be "-", standard input. `again`: source_restart will be called. A wait for more to
 * read ends when `stop_fd` can be read. Returns 0, or a negative errno after it has complained. */
int source_of_file(struct source **ret, const char *path, char delimiter, bool again, int stop_fd);

void source_free(struct source *source);

/* The next record, valid until the next call on this source. Returns 1; 0 at the end; -ECANCELED
 * once `stop_fd` can be read and nothing else; another negative errno after it has complained. */
int source_next(struct source *source, struct bytes *ret);

/* Whether source_next would not wait for more to read. */
bool source_is_at_hand(const struct source *source);

/* The next part of the file, of at least `size` bytes unless it ends before, up to the end of a
 * record. Returns as source_next. */
int source_next_block(struct source *source, size_t size, struct bytes *ret);

/* Goes back to the first record. Returns 0, or a negative errno after it has complained. */
int source_restart(struct source *source);

/* How many records there are in all, if that can be known without waiting; else -1. May read the
 * whole file. */
int64_t source_count(struct source *source);

/* How many are left, without waiting for more to come. `ret_all`: that is all of them. */
int64_t source_count_rest(struct source *source, bool *ret_all);

#endif
