/* SPDX-License-Identifier: MIT */
/* fork.h - the explorer never forks; it uses the handlers to put the library back to its start. */
#ifndef WEIR_OS_FORK_H
#define WEIR_OS_FORK_H

#include <stdint.h>

#include "base/atomic.h"

static inline uint32_t fork_count(void)
{
    return 1;
}

int weir__at_fork_child(void (*handler)(void));

#endif
