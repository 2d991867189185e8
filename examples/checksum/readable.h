/* SPDX-License-Identifier: MIT */
/* readable.h - waiting for input that may never come, without losing the way out. */
#ifndef CHECKSUM_READABLE_H
#define CHECKSUM_READABLE_H

#include <weir.h>

/* Blocks until `fd` can be read without blocking, or `ctx` is done. A deadline of `ctx` is seen by
 * itself; to be seen, a cancel must also make `stop_fd` readable (-1: there is no such descriptor).
 * Returns 0, or what weir_context_err(ctx) says. */
int readable_wait(int fd, int stop_fd, const weir_context *ctx);

#endif
