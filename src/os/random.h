/* SPDX-License-Identifier: MIT */
/* random.h - random numbers for choices, not for secrets: a generator for each thread. */
#ifndef WEIR_OS_RANDOM_H
#define WEIR_OS_RANDOM_H

#include "weir/clock.h"

#include "base/assert.h"
#include "os/thread.h"

/* A number below `n`, each with the same chance to 1 in 2^32 / n (xorshift64*). */
static inline unsigned random_below(unsigned n)
{
    uint64_t *state = &this_thread()->random;
    if (unlikely(*state == 0))
        *state = ((uint64_t)(uintptr_t)state ^ (uint64_t)weir_now()) | 1;
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    uint64_t high = *state * UINT64_C(0x2545F4914F6CDD1D) >> 32;
    return (unsigned)(high * n >> 32);
}

#endif
