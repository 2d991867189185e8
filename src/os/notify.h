/* SPDX-License-Identifier: MIT */
/* notify.h - a descriptor that is readable from raise to lower, for poll() and its kin.
 *
 * The caller makes sure that raise and lower alternate, beginning with raise, and that each has
 * returned before the next. Then neither blocks or fails. notify_eventfd.c is for Linux,
 * notify_pipe.c for other systems. */
#ifndef WEIR_OS_NOTIFY_H
#define WEIR_OS_NOTIFY_H

struct notify {
    int fd;     /* to be polled */
    int writer; /* the other end, where there is one */
};

/* Returns 0, or a negative errno: -EMFILE, -ENFILE, -ENOMEM. */
int weir__notify_open(struct notify *notify);
void weir__notify_close(struct notify *notify);
void weir__notify_raise(struct notify *notify);
void weir__notify_lower(struct notify *notify);

static inline int weir__notify_fd(const struct notify *notify)
{
    return notify->fd;
}

#endif
