/* SPDX-License-Identifier: MIT */
/* poller.h - sleeping until one of many descriptors is ready. There is one poller in a process; its
 * user is sync/reactor.c. poller_epoll.c is for Linux, poller_poll.c for other systems.
 *
 * A descriptor is armed for some events, and disarmed when it is reported: once for each time. Each
 * time has a tag, which is reported with it. What is reported may have been armed anew meanwhile,
 * or be of a file that the number no longer names: then the tag is an old one.
 *
 * Threads: one waits. Any may make the other calls meanwhile, but open and close, under a lock of
 * the caller's.
 */
#ifndef WEIR_OS_POLLER_H
#define WEIR_OS_POLLER_H

#include <stdint.h>

struct poller_event {
    int fd;
    uint32_t tag;
    unsigned ready; /* of WEIR_READABLE and WEIR_WRITABLE; 0: the descriptor was closed */
};

/* Room for so many descriptors more, or (negative) less. 0, or -ENOMEM. */
int weir__poller_reserve(int64_t descriptors);

/* Returns 0, -EMFILE, -ENFILE or -ENOMEM. */
int weir__poller_open(void);
void weir__poller_close(void);
/* In a forked child: the parent's is not this process's, and nothing is reserved. */
void weir__poller_forget(void);

/* Arms `fd`, for these events only. 0; -EBADF: it is not open; -EPERM: it is of a kind that is
 * always ready; -ELOOP: it watches others, too many deep; -EINVAL: it is the poller's own; -ENOSPC,
 * -ENOMEM: the kernel's limits. */
int weir__poller_arm(int fd, unsigned events, uint32_t tag);
/* The same for one that was armed before: -ENOENT if the number names another file now, where that
 * can be told. */
int weir__poller_rearm(int fd, unsigned events, uint32_t tag);
void weir__poller_disarm(int fd);

/* Sleeps until a descriptor is ready, until `deadline` or while nobody wakes it; or ends for no
 * reason. Returns how many events it wrote, at most `n`. */
unsigned weir__poller_wait(struct poller_event *events, unsigned n, int64_t deadline);
/* Wakes the thread that waits, now and whenever it would sleep, until weir__poller_calm. */
void weir__poller_wake(void);
void weir__poller_calm(void);

#endif
