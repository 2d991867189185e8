/* SPDX-License-Identifier: MIT */
/* notify_eventfd.c - a counter of the kernel's that is 0 or 1. */
#include "os/notify.h"

#include <errno.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

int weir__notify_open(struct notify *notify)
{
    notify->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    notify->writer = -1;
    return notify->fd < 0 ? -errno : 0;
}

void weir__notify_close(struct notify *notify)
{
    (void)close(notify->fd);
}

void weir__notify_raise(struct notify *notify)
{
    const uint64_t one = 1;
    (void)!write(notify->fd, &one, sizeof one); /* from 0 to 1: cannot fail */
}

void weir__notify_lower(struct notify *notify)
{
    uint64_t one;
    (void)!read(notify->fd, &one, sizeof one); /* likewise */
}
