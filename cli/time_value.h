/* SPDX-License-Identifier: MIT */
/* time_value.h - the value of --at. */
#ifndef CLI_TIME_VALUE_H
#define CLI_TIME_VALUE_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* A time in the local zone: 18:30, 18:30:05 (the next time that it is so late after `now`),
 * 2026-12-31, 2026-12-31T18:30, 2026-12-31T18:30:05 (a space may stand for the T); with a Z behind
 * it, in UTC; or @ and the seconds since 1970. Reads all of `text` and returns whether it was one;
 * `ret` is in ms since 1970, and above 0. */
bool read_time(const char *text, time_t now, int64_t *ret);

#endif
