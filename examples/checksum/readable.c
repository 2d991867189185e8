/* SPDX-License-Identifier: MIT */
/* readable.c - waiting for input that may never come, without losing the way out. */
#include "readable.h"

#include <limits.h>
#include <poll.h>

/* poll() counts in milliseconds: rounded up, so as not to return just before the deadline. */
static int timeout_of(const weir_context *ctx)
{
    int64_t deadline = weir_context_deadline(ctx);
    if (deadline == WEIR_FOREVER)
        return -1;
    int64_t left = deadline - weir_now();
    if (left <= 0)
        return 0;
    int64_t ms = left / WEIR_MS(1) + 1;
    return ms < INT_MAX ? (int)ms : INT_MAX;
}

int readable_wait(int fd, int stop_fd, const weir_context *ctx)
{
    for (;;) {
        int err = weir_context_err(ctx);
        if (err != 0)
            return err;
        struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = stop_fd, .events = POLLIN}};
        /* Any event on fd will do: read() tells an end and an error apart. A poll() that was
         * interrupted goes round again with the time that is left. */
        if (poll(fds, 2, timeout_of(ctx)) > 0 && fds[0].revents != 0)
            return 0;
    }
}
