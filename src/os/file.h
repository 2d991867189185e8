/* SPDX-License-Identifier: MIT */
/* file.h - files by their descriptors, without a buffer and without memory. All return -errno when
 * they fail, and go on when a signal comes. */
#ifndef WEIR_OS_FILE_H
#define WEIR_OS_FILE_H

#include <stddef.h>
#include <stdint.h>

/* A descriptor to read from; and one to write to: the file is made, or emptied. */
int weir__file_open(const char *path);
int weir__file_create(const char *path);
/* 0 or what was still to be written could not be; it is closed in any case. */
int weir__file_close(int fd);

/* Reads up to `size` bytes: how many there were, 0 at the end. */
long weir__file_read(int fd, void *ret, size_t size);
/* Reads `size` bytes at `offset`: 0, or -EIO if there are fewer. */
int weir__file_read_at(int fd, void *ret, size_t size, uint64_t offset);

/* Writes all of it. */
int weir__file_write(int fd, const char *text, size_t size);

#endif
