/* SPDX-License-Identifier: MIT */
/* peek.h - reading memory that may have been freed, or may be written at the same time.
 *
 * The kernel copies it: where there is none, that is an error and no crash. What was read may be
 * anything, until the caller has found that it was what it should be all the time.
 */
#ifndef WEIR_OS_PEEK_H
#define WEIR_OS_PEEK_H

#include <stdbool.h>
#include <stddef.h>

/* False: it cannot be read, or this system has no way to try. */
bool weir__peek(const void *from, void *ret, size_t size);

/* Reads a text up to its NUL, and cuts it to `size`, which is at least 1. */
bool weir__peek_text(const char *from, char *ret, size_t size);

#endif
