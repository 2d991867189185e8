/* SPDX-License-Identifier: MIT */
/* bytes.h - a piece of memory that somebody else owns, and one that grows. Records may hold any
 * byte, so that sizes go along with them.
 */
#ifndef CLI_BYTES_H
#define CLI_BYTES_H

#include <stdbool.h>
#include <stddef.h>

struct bytes {
    const char *data;
    size_t size;
};

/* All-zero is empty. A failed append (no memory) sets `failed`, and those after it do nothing, so
 * that one look at the end is enough. */
struct buffer {
    char *data;
    size_t size, room;
    bool failed;
};

void buffer_append(struct buffer *buffer, const char *data, size_t size);
void buffer_append_text(struct buffer *buffer, const char *text);
void buffer_append_number(struct buffer *buffer, unsigned long long number);
void buffer_printf(struct buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Appends, and forgets the beginning where that leaves more than `most` bytes behind it. */
void buffer_keep_tail(struct buffer *buffer, const char *data, size_t size, size_t most);
/* Makes it empty; keeps the memory unless that is much. */
void buffer_clear(struct buffer *buffer);
void buffer_free(struct buffer *buffer);

/* Writes all, also by several calls. Returns 0 or a negative errno. */
int write_all(int fd, const char *data, size_t size);

#endif
