/* SPDX-License-Identifier: MIT */
/* dice.h - random choices that a seed repeats. One object for each thread. */
#ifndef WEIR_TESTS_STRESS_DICE_H
#define WEIR_TESTS_STRESS_DICE_H

#include <stdbool.h>
#include <stdint.h>

typedef struct dice {
    uint64_t state;
} dice;

/* Different for each (seed, stream); splitmix64 of G. Steele, D. Lea and C. Flood, 2014. */
static inline dice dice_make(uint64_t seed, uint64_t stream)
{
    dice made = {seed ^ (stream + 1) * UINT64_C(0xD1B54A32D192ED03)};
    return made;
}

static inline uint64_t dice_roll(dice *d)
{
    uint64_t z = d->state += UINT64_C(0x9E3779B97F4A7C15);
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

/* 0 to n - 1. */
static inline unsigned dice_below(dice *d, unsigned n)
{
    return (unsigned)((dice_roll(d) >> 32) * n >> 32);
}

/* True once in n. */
static inline bool dice_once_in(dice *d, unsigned n)
{
    return dice_below(d, n) == 0;
}

#endif
