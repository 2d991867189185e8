/* SPDX-License-Identifier: MIT */
/* time_value.c - reads a time. What does not exist (February 30, 24:30, an hour that the clocks
 * jump over) is refused: whoever typed it meant something else.
 */
#include "time_value.h"

#include "values.h"

#include <stdio.h>
#include <string.h>

/* Reads `digits` digits; -1 if they are not there. Moves `*text` behind them. */
static int read_digits(const char **text, int digits)
{
    int value = 0;
    for (int i = 0; i < digits; i++) {
        char digit = (*text)[i];
        if (digit < '0' || digit > '9')
            return -1;
        value = value * 10 + (digit - '0');
    }
    *text += digits;
    return value;
}

static bool skip(const char **text, char wanted)
{
    if (**text != wanted)
        return false;
    (*text)++;
    return true;
}

/* 2026-12-31 */
static bool read_date(const char **text, struct tm *ret)
{
    int year = read_digits(text, 4);
    if (year < 1970 || !skip(text, '-'))
        return false;
    int month = read_digits(text, 2);
    if (month < 1 || !skip(text, '-'))
        return false;
    int day = read_digits(text, 2);
    ret->tm_year = year - 1900;
    ret->tm_mon = month - 1;
    ret->tm_mday = day;
    return day >= 1;
}

/* 18:30 or 18:30:05 */
static bool read_clock(const char **text, struct tm *ret)
{
    ret->tm_hour = read_digits(text, 2);
    if (ret->tm_hour < 0 || !skip(text, ':'))
        return false;
    ret->tm_min = read_digits(text, 2);
    ret->tm_sec = skip(text, ':') ? read_digits(text, 2) : 0;
    return ret->tm_min >= 0 && ret->tm_sec >= 0;
}

/* Whether `when` is a time; mktime and timegm would make another one of it. */
static bool to_seconds(struct tm when, bool utc, time_t *ret)
{
    struct tm made = when;
    made.tm_isdst = -1;
    *ret = utc ? timegm(&made) : mktime(&made);
    return *ret != (time_t)-1 && made.tm_mon == when.tm_mon && made.tm_mday == when.tm_mday &&
           made.tm_hour == when.tm_hour && made.tm_min == when.tm_min && made.tm_sec == when.tm_sec;
}

static bool read_time_of_day(const char *text, time_t now, int64_t *ret)
{
    struct tm when;
    struct tm clock = {0};
    time_t seconds;
    if (!read_clock(&text, &clock))
        return false;
    bool utc = skip(&text, 'Z');
    if (*text != '\0' || (utc ? gmtime_r(&now, &when) : localtime_r(&now, &when)) == NULL)
        return false;
    when.tm_hour = clock.tm_hour;
    when.tm_min = clock.tm_min;
    when.tm_sec = clock.tm_sec;
    if (!to_seconds(when, utc, &seconds))
        return false;
    if (seconds <= now) {
        when.tm_mday++;
        when.tm_isdst = -1;
        seconds = utc ? timegm(&when) : mktime(&when);
    }
    *ret = (int64_t)seconds * 1000;
    return seconds > 0;
}

bool read_time(const char *text, time_t now, int64_t *ret)
{
    struct tm when = {0};
    time_t seconds;
    if (*text == '@') {
        double since;
        const char *rest;
        if (!read_decimal(text + 1, &since, &rest) || *rest != '\0' || since <= 0 || since > 1e12)
            return false;
        *ret = (int64_t)(since * 1000 + 0.5);
        return *ret > 0;
    }
    if (strlen(text) >= 3 && text[2] == ':')
        return read_time_of_day(text, now, ret);
    if (!read_date(&text, &when))
        return false;
    if ((*text == 'T' || *text == ' ') && (text++, !read_clock(&text, &when)))
        return false;
    bool utc = skip(&text, 'Z');
    if (*text != '\0' || !to_seconds(when, utc, &seconds))
        return false;
    *ret = (int64_t)seconds * 1000;
    return seconds > 0;
}
