/* SPDX-License-Identifier: MIT */
/* histogram.h - durations, counted by their size; log-linear, so that every quantile has the same
 * relative error.
 *
 * Below 64 a bucket is 8 wide. From there on each power of two is cut into 8: a bucket is an eighth
 * of its power wide, and its middle at most a sixteenth away from every value in it.
 *
 * Each has one writer, a worker, which reads and stores without a read-modify-write; or it is
 * shared, and then all add. Readers may come at any time. Each word is right by itself, and all
 * but `max` only grow, so the orders are relaxed. How many values there are is the sum of the
 * buckets: a count apart would not agree with them.
 */
#ifndef WEIR_RECORD_HISTOGRAM_H
#define WEIR_RECORD_HISTOGRAM_H

#include "weir/stats.h"

#include "base/atomic.h"

struct histogram {
    atomic(uint64_t) sum, max;
    atomic(uint64_t) buckets[WEIR_HISTOGRAM_BUCKETS];
};

enum { HISTOGRAM_LINEAR = 8, HISTOGRAM_FIRST_OCTAVE = 6 }; /* 2^6 = 8 buckets, 8 wide */

/* The bucket that a value belongs to. */
static inline unsigned histogram_bucket(uint64_t value)
{
    if (value < UINT64_C(1) << HISTOGRAM_FIRST_OCTAVE)
        return (unsigned)(value >> 3);
    unsigned octave = 63 - (unsigned)__builtin_clzll(value);
    unsigned eighth = (unsigned)(value >> (octave - 3)) & 7;
    unsigned bucket = HISTOGRAM_LINEAR + (octave - HISTOGRAM_FIRST_OCTAVE) * 8 + eighth;
    return bucket < WEIR_HISTOGRAM_BUCKETS ? bucket : WEIR_HISTOGRAM_BUCKETS - 1;
}

/* Adds n, modulo 2^64. `shared`: other threads may do so too. */
static inline void count_more(atomic(uint64_t) *count, uint64_t n, bool shared)
{
    if (shared)
        add_rlx(count, n); /* a number by itself */
    else
        store_rlx(count, load_rlx(count) + n); /* ours */
}

/* Adds a value that stands for `weight` of them. */
static inline void histogram_note(struct histogram *histogram, uint64_t value, uint64_t weight,
                                  bool shared)
{
    count_more(&histogram->buckets[histogram_bucket(value)], weight, shared);
    count_more(&histogram->sum, value * weight, shared);
    uint64_t max = load_rlx(&histogram->max);
    while (value > max && !cas_rlx(&histogram->max, &max, value)) /* a number by itself */
        continue;
}

/* Adds what was counted to *ret. */
static inline void histogram_read(const struct histogram *histogram, weir_histogram *ret)
{
    uint64_t sum = load_rlx(&histogram->sum), max = load_rlx(&histogram->max);
    ret->sum += sum;
    ret->max = ret->max > max ? ret->max : max;
    for (unsigned i = 0; i < WEIR_HISTOGRAM_BUCKETS; i++) {
        uint64_t n = load_rlx(&histogram->buckets[i]);
        ret->buckets[i] += n;
        ret->count += n;
    }
}

#endif
