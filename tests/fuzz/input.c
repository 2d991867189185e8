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

/* The low bits are different for each, and so, with some luck, are those of sums of a few. */
int64_t input_duration(void)
{
    uint64_t scattered = ++durations * UINT64_C(0x9E3779B97F4A7C15) >> 24;
    return (int64_t)((uint64_t)(input_below(16) + 1) << 40 | scattered);
}
