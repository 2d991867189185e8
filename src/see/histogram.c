/* SPDX-License-Identifier: MIT */
/* histogram.c - what is asked of a histogram that is nobody's but the caller's. */
#include "weir/stats.h"

#include <errno.h>
#include <string.h>

#include "record/histogram.h"

int weir_histogram_bounds(size_t bucket, uint64_t *ret_first, uint64_t *ret_last)
{
    if (bucket >= WEIR_HISTOGRAM_BUCKETS || ret_first == NULL || ret_last == NULL)
        return -EINVAL;
    uint64_t first = bucket * 8, width = 8;
    if (bucket >= HISTOGRAM_LINEAR) {
        unsigned octave = (unsigned)(bucket - HISTOGRAM_LINEAR) / 8 + HISTOGRAM_FIRST_OCTAVE;
        width = UINT64_C(1) << (octave - 3);
        first = (8 + (bucket - HISTOGRAM_LINEAR) % 8) * width;
    }
    *ret_first = first;
    *ret_last = bucket == WEIR_HISTOGRAM_BUCKETS - 1 ? UINT64_MAX : first + width - 1;
    return 0;
}

/* The middle of a bucket, but not above the largest value. */
static int64_t middle(const weir_histogram *histogram, size_t bucket)
{
    uint64_t first = 0, last = 0;
    (void)weir_histogram_bounds(bucket, &first, &last); /* there is such a bucket */
    uint64_t value = last == UINT64_MAX ? histogram->max : first + (last - first) / 2;
    if (value > histogram->max)
        value = histogram->max;
    return value < INT64_MAX ? (int64_t)value : INT64_MAX;
}

int64_t weir_histogram_quantile(const weir_histogram *histogram, double q)
{
    if (histogram == NULL || !(q >= 0 && q <= 1)) /* NaN is refused too */
        return -EINVAL;
    if (histogram->count == 0)
        return 0;
    /* The value at this place in the order, from 1: the smallest that q of all do not exceed. */
    double wanted = q * (double)histogram->count;
    uint64_t seen = 0;
    size_t last = 0;
    for (size_t i = 0; i < WEIR_HISTOGRAM_BUCKETS; i++) {
        if (histogram->buckets[i] == 0)
            continue;
        seen += histogram->buckets[i];
        last = i;
        if ((double)seen >= wanted && q < 1)
            return middle(histogram, i);
    }
    return q < 1 || histogram->max > INT64_MAX ? middle(histogram, last) : (int64_t)histogram->max;
}

void weir_histogram_record(weir_histogram *histogram, int64_t value)
{
    if (histogram == NULL)
        return;
    uint64_t size = value > 0 ? (uint64_t)value : 0;
    histogram->count++;
    histogram->sum += size;
    histogram->buckets[histogram_bucket(size)]++;
    if (size > histogram->max)
        histogram->max = size;
}

void weir_histogram_add(weir_histogram *to, const weir_histogram *from)
{
    if (to == NULL || from == NULL)
        return;
    to->count += from->count;
    to->sum += from->sum;
    if (from->max > to->max)
        to->max = from->max;
    for (size_t i = 0; i < WEIR_HISTOGRAM_BUCKETS; i++)
        to->buckets[i] += from->buckets[i];
}

static uint64_t less(uint64_t a, uint64_t b)
{
    return a > b ? a - b : 0;
}

void weir_histogram_sub(weir_histogram *from, const weir_histogram *earlier)
{
    if (from == NULL || earlier == NULL)
        return;
    uint64_t count = 0, max = 0;
    for (size_t i = 0; i < WEIR_HISTOGRAM_BUCKETS; i++) {
        from->buckets[i] = less(from->buckets[i], earlier->buckets[i]);
        count += from->buckets[i];
        uint64_t first;
        if (from->buckets[i] != 0)
            (void)weir_histogram_bounds(i, &first, &max);
    }
    from->count = count;
    from->sum = less(from->sum, earlier->sum);
    if (max < from->max)
        from->max = max;
}
