/* SPDX-License-Identifier: MIT */
/* notify_pipe.c - a pipe that holds one byte or none. */
#include "os/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static int prepare(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
                   fcntl(fd, F_SETFD, FD_CLOEXEC) < 0
               ? -errno
               : 0;
}

int weir__notify_open(struct notify *notify)
{
    int ends[2];
    if (pipe(ends) != 0)
        return -errno;
    notify->fd = ends[0];
    notify->writer = ends[1];
    int err = prepare(ends[0]);
    if (err == 0)
        err = prepare(ends[1]);
    if (err != 0)
        weir__notify_close(notify);
    return err;
}

void weir__notify_close(struct notify *notify)
{
    (void)close(notify->fd);
    (void)close(notify->writer);
}

void weir__notify_raise(struct notify *notify)
{
    (void)!write(notify->writer, "", 1); /* there is room: the pipe is empty */
}

void weir__notify_lower(struct notify *notify)
{
    char byte;
    (void)!read(notify->fd, &byte, 1); /* the byte is there */
}
