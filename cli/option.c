/* SPDX-License-Identifier: MIT */
/* option.c - the table of options. Their order is that of the help. */
#include "option.h"

#include "option_values.h"
#include "spelling.h"

#include <string.h>

#define AT(field) offsetof(struct settings, field)
#define FLAG(name, letter, field)                                                                  \
    {                                                                                              \
        name, letter, OPTION_FLAG, AT(field), 0, 0, NULL, NULL                                     \
    }
#define TEXT(name, letter, field, wanted)                                                          \
    {                                                                                              \
        name, letter, OPTION_TEXT, AT(field), 0, 0, NULL, wanted                                   \
    }
#define NUMBER(name, letter, field, least, most, wanted)                                           \
    {                                                                                              \
        name, letter, OPTION_NUMBER, AT(field), least, most, NULL, wanted                          \
    }
#define DURATION(name, field, least)                                                               \
    {                                                                                              \
        name, 0, OPTION_DURATION, AT(field), least, 0, NULL, a_time                                \
    }
#define SIZE(name, field)                                                                          \
    {                                                                                              \
        name, 0, OPTION_SIZE, AT(field), 0, 0, NULL, a_size                                        \
    }
#define SET(name, letter, function)                                                                \
    {                                                                                              \
        name, letter, OPTION_SET, 0, 0, 0, function, NULL                                          \
    }
#define READ(name, letter, function, wanted)                                                       \
    {                                                                                              \
        name, letter, OPTION_READ, 0, 0, 0, function, wanted                                       \
    }

static const char a_time[] = "a duration such as 300ms, 1.5, 30s, 5m, 2h or 1d";
static const char a_size[] = "a size such as 64k, 1M or 2G";
static const char a_file[] = "the name of a file";

const struct option options[] = {
    READ("arg-file", 'a', read_file, a_file),
    SET("null", '0', set_nul),
    READ("delimiter", 'd', read_delimiter, "one character, or \\t, \\n, \\0, \\xHH"),
    READ("colsep", 'C', read_colsep, "a text of at least one character"),
    FLAG("header", 0, header),
    FLAG("json", 0, json),
    FLAG("link", 0, link),
    NUMBER("max-args", 'n', per_job, 1, 1000000, "a number from 1 to 1000000"),
    FLAG("fill", 'X', fill),
    FLAG("pipe", 0, pipe),
    SIZE("block", block),
    READ("replace", 'I', read_placeholder, "a text of at least one character"),
    SET("shell", 0, set_shell),
    SET("no-shell", 0, set_no_shell),
    READ("jobs", 'j', read_jobs,
         "a number up to 1000, N%, +N, -N, or a file that can be read and holds one of these"),
    SET("group", 0, set_group),
    SET("line-buffer", 0, set_line_buffer),
    SET("ungroup", 'u', set_ungroup),
    FLAG("keep-order", 'k', keep_order),
    FLAG("tag", 0, tag),
    TEXT("tagstring", 0, tagstring, "a text"),
    TEXT("results", 0, results, "the name of a folder"),
    NUMBER("retries", 0, retries, 1, 1000000, "a number from 1 to 1000000"),
    READ("backoff", 0, read_backoff, "FIRST or FIRST..MAX, two durations such as 1s..5m"),
    READ("retry-on", 0, read_retry_on, "a list of exit codes (1 to 255), signal, timeout"),
    READ("halt", 0, read_halt,
         "now or soon, a comma, then fail, success or done, =, and a number or a percentage"),
    READ("timeout", 0, read_timeout, "a duration such as 30s, or a percentage such as 300%"),
    DURATION("kill-after", kill_after, -1),
    DURATION("deadline", deadline, 0),
    DURATION("grace", grace, 0),
    TEXT("joblog", 0, joblog, a_file),
    SET("resume", 0, set_resume),
    SET("resume-failed", 0, set_resume_failed),
    FLAG("retry-failed", 0, retry_failed),
    TEXT("log", 0, log, a_file),
    DURATION("delay", delay, 0),
    READ("rate", 0, read_rate, "a number of starts: N, N/s, N/m or N/h"),
    READ("load", 0, read_load, "a number above 0"),
    SIZE("memfree", memfree),
    READ("breaker", 0, read_breaker, "PERCENT/CALLS,OPEN, such as 50/20,30s (at most 1024 calls)"),
    NUMBER("nice", 0, nice, 0, 19, "a number from 0 to 19"),
    FLAG("bar", 0, bar),
    FLAG("no-bar", 0, no_bar),
    TEXT("progress", 0, progress, a_file),
    TEXT("metrics", 0, metrics, a_file),
    TEXT("trace", 0, trace, a_file),
    FLAG("dry-run", 0, dry_run),
    FLAG("verbose", 'v', verbose),
    FLAG("quiet", 'q', quiet),
    FLAG("help", 'h', help),
};
const size_t n_options = sizeof(options) / sizeof(options[0]);

const struct option *option_find(const char *name, size_t size)
{
    for (size_t i = 0; i < n_options; i++)
        if (strlen(options[i].name) == size && memcmp(options[i].name, name, size) == 0)
            return &options[i];
    return NULL;
}

const struct option *option_find_letter(char letter)
{
    for (size_t i = 0; i < n_options; i++)
        if (letter != 0 && options[i].letter == letter)
            return &options[i];
    return NULL;
}

const char *option_nearest(const char *name, size_t size)
{
    struct spelling spelling;
    spelling_begin(&spelling, name, size);
    for (size_t i = 0; i < n_options; i++)
        spelling_try(&spelling, options[i].name);
    return spelling.nearest;
}
