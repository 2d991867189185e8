/* SPDX-License-Identifier: MIT */
/* values.h - the values that options take: numbers, durations, sizes, percentages.
 * Each function reads all of `text` and returns whether it was one; `ret` is set only then.
 */
#ifndef CLI_VALUES_H
#define CLI_VALUES_H

#include <stdbool.h>
#include <stdint.h>

/* Decimal digits, from `least` to `most`. */
bool read_number(const char *text, int64_t least, int64_t most, int64_t *ret);

/* A decimal number, not negative, with or without a fraction. `ret_rest` is what follows it. */
bool read_decimal(const char *text, double *ret, const char **ret_rest);

/* 300ms, 1.5, 30s, 5m, 2h, 1d; in nanoseconds. A bare number is seconds. */
bool read_duration(const char *text, int64_t *ret);

/* A number of bytes, with k, M, G or T for powers of 1024. */
bool read_size(const char *text, int64_t *ret);

/* A number and a percent sign, above 0. */
bool read_percent(const char *text, double *ret);

/* One byte: itself, or \n \t \0 \r \\ or \xHH. */
bool read_byte(const char *text, char *ret);

#endif
