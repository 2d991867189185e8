/* SPDX-License-Identifier: MIT */
/* park.h - sleeping on a word, in the explorer: see src/os/park.h for the promises. */
#ifndef WEIR_OS_PARK_H
#define WEIR_OS_PARK_H

#include <limits.h>

#include "base/atomic.h"

struct park {
    atomic(uint32_t) word;
};

#define PARK_INIT                                                                                  \
    {                                                                                              \
        0                                                                                          \
    }
#define PARK_ALL ((unsigned)INT_MAX)

void weir__park_init(struct park *park);
void weir__park_destroy(struct park *park);
int weir__park_wait(struct park *park, uint32_t expected, int64_t deadline);
unsigned weir__park_wake(struct park *park, unsigned n);

#endif
