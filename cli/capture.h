/* SPDX-License-Identifier: MIT */
/* capture.h - what a job writes, until it is printed: in memory at first, and beyond 64 KB in a
 * temporary file, into which it is moved without a copy through this process.
 */
#ifndef CLI_CAPTURE_H
#define CLI_CAPTURE_H

#include "bytes.h"

#include <stdint.h>

/* All-zero is empty. While there is a file, all of it is there, and nothing in memory. */
struct capture {
    struct buffer memory;
    bool has_file;
    int file;
    uint64_t file_size;
    uint64_t begin; /* where in the file it is, if others share the file */
    bool shared;
    bool in_line; /* --line-buffer: what it ends with is no whole line */
    bool wide;    /* the pipe that it comes from was made larger */
};

/* Begins with a file that was opened elsewhere, which it owns from then on. */
void capture_use_file(struct capture *capture, int file);

/* Takes what is in the pipe now, at most `most` bytes. Returns how many bytes it was, 0 at the end
 * of the pipe, or a negative errno (the output that cannot be kept is lost). */
int64_t capture_from_pipe(struct capture *capture, int pipe, size_t most);

/* Appends bytes from memory. Returns 0 or a negative errno. */
int capture_append(struct capture *capture, const char *data, size_t size);

uint64_t capture_size(const struct capture *capture);

/* Copies its last bytes, at most `size`. Returns how many; fewer if they cannot be read. */
size_t capture_tail(const struct capture *capture, char *ret, size_t size);

/* Writes all of it to `fd`, as it is. Returns 0 or a negative errno. */
int capture_write(struct capture *capture, int fd);

/* The same, each line behind `prefix`. */
int capture_write_lines(struct capture *capture, int fd, struct bytes prefix);

/* Moves what is in a file of its own to the end of `file`, of which `*end` is the size, so that
 * many that wait need one descriptor. Returns 0 or a negative errno. */
int capture_share(struct capture *capture, int file, uint64_t *end);

/* Empty again; the memory is kept for the next job. */
void capture_clear(struct capture *capture);
void capture_free(struct capture *capture);

#endif
