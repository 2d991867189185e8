/* SPDX-License-Identifier: MIT */
/* limiter_rate.c - the rate of a limiter, read, packed into a word, and converted.
 *
 * Time is counted in units of which `per_ns` make a nanosecond, chosen for each rate such that
 * `token`, the time that one takes to flow in, is a whole number of them wherever that is possible
 * (3 a second: 3 units make a nanosecond, 1e9 a token). Where it is not, it is rounded upwards, so
 * that nobody gets more than the rate allows.
 *
 * Locks: none; each function depends on its arguments alone.
 */
#include "flow/limiter_rate.h"

#include <errno.h>

#define DEPTH_MAX 1e18
#define NOMINAL_TOKEN (INT64_C(1) << 20)

enum { PER_NS_MAX = (1 << 14) - 1 };

uint64_t weir__rate_pack(uint32_t tag, struct rate rate)
{
    uint64_t slow = rate.per_ns == 1;
    uint64_t token = (uint64_t)rate.token;
    uint64_t shift = 0;
    for (; token >> (slow ? SHIFT_AT : PER_NS_AT) != 0; shift++)
        token = (token + 1) >> 1; /* upwards; a round number loses nothing */
    return (uint64_t)(tag & TAG_MASK) << TAG_AT | slow << SLOW_AT | shift << SHIFT_AT |
           (slow ? 0 : (uint64_t)rate.per_ns << PER_NS_AT) | token;
}

/* For 0 <= x < 2^63; floor() and ceil() would need another library. */
static double whole_part(double x)
{
    return (double)(int64_t)x;
}

/* The fraction with the least denominator, up to `most`, that is x to 1 part in 2^50: the
 * convergents of its continued fraction are tried. */
static bool as_fraction(double x, double most, double *ret_numerator, double *ret_denominator)
{
    double p1 = 1, p2 = 0, q1 = 0, q2 = 1;
    for (double rest = x;;) {
        double whole = whole_part(rest);
        double p = whole * p1 + p2, q = whole * q1 + q2;
        if (q > most)
            return false;
        if (x * q - p <= p * 0x1p-50 && p - x * q <= p * 0x1p-50) {
            *ret_numerator = p;
            *ret_denominator = q;
            return true;
        }
        p2 = p1, p1 = p;
        q2 = q1, q1 = q;
        rest = 1 / (rest - whole); /* not a whole number, or the test above had held */
    }
}

int weir__rate_read(double per_second, uint32_t burst, struct rate *ret)
{
    if (per_second == 0) {
        *ret = (struct rate){0, NOMINAL_TOKEN};
        return 0;
    }
    if (!(per_second >= 1e-9 && per_second <= 1e9)) /* NaN too */
        return -EINVAL;
    double ns = 1e9 / per_second;
    double most = whole_part(DEPTH_MAX / (ns * (burst != 0 ? burst : 1)));
    if (most < 1)
        return -EINVAL;
    if (most > PER_NS_MAX)
        most = PER_NS_MAX;
    double token, per_ns;
    if (!as_fraction(ns, most, &token, &per_ns)) {
        per_ns = most;
        token = whole_part(ns * per_ns) + 1;
    }
    *ret = (struct rate){(uint32_t)per_ns, (int64_t)token};
    return 0;
}

/* a * b / c and whether something is left over, for a < c < 2^61: long division, bit by bit. */
static uint64_t multiply_divide(uint64_t a, uint64_t b, uint64_t c, bool *ret_inexact)
{
    uint64_t quotient = 0, rest = 0;
    for (int i = 63; i >= 0; i--) {
        rest += rest;
        quotient += quotient;
        for (int part = 0; part < 2; part++) {
            if (rest >= c) {
                rest -= c;
                quotient++;
            }
            if (part == 0 && (b >> i & 1) != 0)
                rest += a;
        }
    }
    *ret_inexact = rest != 0;
    return quotient;
}

int64_t weir__rate_convert(int64_t level, int64_t from, int64_t to)
{
    if (from == to)
        return level;
    bool debt = level < 0;
    uint64_t units = debt ? (uint64_t)-level : (uint64_t)level;
    uint64_t whole = units / (uint64_t)from;
    bool inexact;
    uint64_t part = multiply_divide(units % (uint64_t)from, (uint64_t)to, (uint64_t)from, &inexact);
    if (debt && inexact)
        part++;
    uint64_t most = (uint64_t)FARTHEST * 2; /* what flip() takes as too large */
    if (whole > (most - part) / (uint64_t)to)
        return debt ? -(int64_t)most : (int64_t)most;
    int64_t result = (int64_t)(whole * (uint64_t)to + part);
    return debt ? -result : result;
}
