/* SPDX-License-Identifier: MIT */
#include "input.h"

static const uint8_t *front, *back;
static uint64_t durations; /* handed out so far */

void input_set(const uint8_t *bytes, size_t size)
{
    front = bytes;
    back = bytes + size;
    durations = 0;
}

bool input_left(void)
{
    return front != back;
}

unsigned input_byte(void)
{
    return front != back ? *front++ : 0;
}

unsigned input_schedule_byte(void)
{
    return front != back ? *--back : 0;
}

unsigned input_below(unsigned n)
{
    return input_byte() % n;
}

/* The finalizer of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number
 * generators", 2014). */
static uint64_t scattered(uint64_t n)
{
    n *= UINT64_C(0x9E3779B97F4A7C15);
    n = (n ^ n >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    n = (n ^ n >> 27) * UINT64_C(0x94D049BB133111EB);
    return n ^ n >> 31;
}

/* The low bits are different for each. A multiplication alone would not do: the times of the first
 * and the second would add up to that of the third. */
int64_t input_duration(void)
{
    return (int64_t)((uint64_t)(input_below(16) + 1) << 40 | scattered(++durations) >> 24);
}
