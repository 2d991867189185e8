/* SPDX-License-Identifier: MIT */
/* poll.h - sleeping until a descriptor is ready. */
#ifndef WEIR_OS_POLL_H
#define WEIR_OS_POLL_H

#include <stdint.h>

#include "os/notify.h"

/* Blocks until `fd` (>= 0) is ready for one of `events`, WEIR_READABLE and WEIR_WRITABLE; or until
 * `also` (may be NULL) is raised, or until `deadline`. It looks once even if that has passed.
 * Returns the events for which it is ready; 0: only `also` is raised; -ETIMEDOUT; -EINTR: for no
 * reason; -EBADF: it is not open; -ENOMEM; -EMFILE. */
int weir__poll(int fd, unsigned events, const struct notify *also, int64_t deadline);

#endif
