/* SPDX-License-Identifier: MIT */
/* limiter_rate.h - the rate of a limiter: in whole numbers, and in one word. */
#ifndef WEIR_FLOW_LIMITER_RATE_H
#define WEIR_FLOW_LIMITER_RATE_H

#include <stdbool.h>
#include <stdint.h>

#define FARTHEST (INT64_C(1) << 60) /* in units; `empty` is nearer to its base (I1 in limiter.c) */

enum {
    TAG_MASK = (1 << 12) - 1,
    TAG_AT = 52,   /* a rate's word: {tag:12, slow:1, shift:5, ...} */
    SLOW_AT = 51,  /* 1: {token >> shift:46}, and per_ns is 1 */
    SHIFT_AT = 46, /* 0: {per_ns:14, token >> shift:32} */
    PER_NS_AT = 32,
};

struct rate {
    uint32_t per_ns; /* units of time in a nanosecond; 0: the rate is 0, and time stands still */
    int64_t token;   /* units that one token takes */
};

/* The rate in a word, with the tag of its era. What of `token` does not fit is rounded upwards. */
uint64_t weir__rate_pack(uint32_t tag, struct rate rate);

/* The rate of so many tokens per second. 0; -EINVAL: it is none, or the depth of a bucket of that
 * burst would be more than 1e18 units. */
int weir__rate_read(double per_second, uint32_t burst, struct rate *ret);

/* As many tokens as `level` (a debt if negative) in units of another rate, rounded down; at most
 * 2 * FARTHEST in either direction. `from` and `to` are what a token takes. */
int64_t weir__rate_convert(int64_t level, int64_t from, int64_t to);

static inline uint64_t low_bits(uint64_t word, unsigned n)
{
    return word & ((UINT64_C(1) << n) - 1);
}

static inline struct rate rate_unpack(uint64_t word)
{
    bool slow = (word >> SLOW_AT & 1) != 0;
    unsigned shift = (unsigned)low_bits(word >> SHIFT_AT, SLOW_AT - SHIFT_AT);
    return (struct rate){
        .per_ns = slow ? 1 : (uint32_t)low_bits(word >> PER_NS_AT, SHIFT_AT - PER_NS_AT),
        .token = (int64_t)(low_bits(word, slow ? SHIFT_AT : PER_NS_AT) << shift),
    };
}

static inline uint32_t rate_tag(uint64_t rate)
{
    return (uint32_t)(rate >> TAG_AT);
}

#endif
