/* SPDX-License-Identifier: MIT */
/* fork.h - tells an object that was inherited through fork() from one made in this process. */
#ifndef WEIR_OS_FORK_H
#define WEIR_OS_FORK_H

#include <stdint.h>

#include "base/atomic.h"

/* How many forks lie between the first process that loaded weir and this one; never 0. Changed only
 * in a forked child, before it has a second thread. */
extern atomic(uint32_t) weir__fork_count;

static inline uint32_t fork_count(void)
{
    return load_rlx(&weir__fork_count); /* constant while there is more than one thread */
}

/* Calls `handler` in every forked child, before fork() returns there. Returns 0 or -ENOMEM. */
int weir__at_fork_child(void (*handler)(void));

#endif
