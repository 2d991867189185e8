/* SPDX-License-Identifier: MIT */
/* option.c - the table of options. Their order is that of the help. */
#include "option.h"

#include "option_values.h"
#include "spelling.h"

#include <string.h>

#define RUN SUBCOMMAND_RUN
#define PUSH SUBCOMMAND_PUSH
#define WORK SUBCOMMAND_WORK
#define JOBS SUBCOMMAND_JOBS

#define AT(field) offsetof(struct settings, field)
#define FLAG(of, name, letter, field)                                                              \
    {                                                                                              \
        of, name, letter, OPTION_FLAG, AT(field), 0, 0, NULL, NULL                                 \
    }
#define TEXT(of, name, letter, field, wanted)                                                      \
    {                                                                                              \
        of, name, letter, OPTION_TEXT, AT(field), 0, 0, NULL, wanted                               \
    }
#define NUMBER(of, name, letter, field, least, most, wanted)                                       \
    {                                                                                              \
        of, name, letter, OPTION_NUMBER, AT(field), least, most, NULL, wanted                      \
    }
#define DURATION(of, name, field, least)                                                           \
    {                                                                                              \
        of, name, 0, OPTION_DURATION, AT(field), least, 0, NULL, a_time                            \
    }
#define SIZE(of, name, field)                                                                      \
    {                                                                                              \
        of, name, 0, OPTION_SIZE, AT(field), 0, 0, NULL, a_size                                    \
    }
#define SET(of, name, letter, function)                                                            \
    {                                                                                              \
        of, name, letter, OPTION_SET, 0, 0, 0, function, NULL                                      \
    }
#define READ(of, name, letter, function, wanted)                                                   \
    {                                                                                              \
        of, name, letter, OPTION_READ, 0, 0, 0, function, wanted                                   \
    }

#define LEAST_LEASE 30000000 /* ns: what the queue can keep up */

static const char a_time[] = "a duration such as 300ms, 1.5, 30s, 5m, 2h or 1d";
static const char a_size[] = "a size such as 64k, 1M or 2G";
static const char a_file[] = "the name of a file";

const struct option options[] = {
    READ(RUN | PUSH, "arg-file", 'a', read_file, a_file),
    SET(RUN | PUSH | WORK, "null", '0', set_nul),
    READ(RUN | PUSH | WORK, "delimiter", 'd', read_delimiter,
         "one character, or \\t, \\n, \\0, \\xHH"),
    READ(RUN | PUSH | WORK, "colsep", 'C', read_colsep, "a text of at least one character"),
    FLAG(RUN | PUSH | WORK, "header", 0, header),
    FLAG(RUN | PUSH | WORK | JOBS, "json", 0, json),
    FLAG(RUN | PUSH, "link", 0, link),
    NUMBER(RUN, "max-args", 'n', per_job, 1, 1000000, "a number from 1 to 1000000"),
    FLAG(RUN, "fill", 'X', fill),
    FLAG(RUN | WORK, "pipe", 0, pipe),
    SIZE(RUN, "block", block),
    READ(RUN | WORK, "replace", 'I', read_placeholder, "a text of at least one character"),
    SET(RUN | WORK, "shell", 0, set_shell),
    SET(RUN | WORK, "no-shell", 0, set_no_shell),
    READ(RUN | WORK, "jobs", 'j', read_jobs,
         "a number up to 1000, N%, +N, -N, or a file that can be read and holds one of these"),
    SET(RUN | WORK, "group", 0, set_group),
    SET(RUN | WORK, "line-buffer", 0, set_line_buffer),
    SET(RUN | WORK, "ungroup", 'u', set_ungroup),
    FLAG(RUN, "keep-order", 'k', keep_order),
    FLAG(RUN | WORK, "tag", 0, tag),
    TEXT(RUN | WORK, "tagstring", 0, tagstring, "a text"),
    TEXT(RUN | WORK, "results", 0, results, "the name of a folder"),
    NUMBER(RUN | PUSH | WORK, "retries", 0, retries, 1, 1000000, "a number from 1 to 1000000"),
    READ(RUN | PUSH | WORK, "backoff", 0, read_backoff,
         "FIRST or FIRST..MAX, two durations such as 1s..5m"),
    READ(RUN | WORK, "retry-on", 0, read_retry_on,
         "a list of exit codes (1 to 255), signal, timeout"),
    READ(RUN | WORK, "halt", 0, read_halt,
         "now or soon, a comma, then fail, success or done, =, and a number or a percentage"),
    READ(RUN | WORK, "timeout", 0, read_timeout,
         "a duration such as 30s, or a percentage such as 300%"),
    DURATION(RUN | WORK, "kill-after", kill_after, -1),
    DURATION(RUN | WORK, "deadline", deadline, 0),
    DURATION(RUN | WORK, "grace", grace, 0),
    TEXT(RUN | WORK, "joblog", 0, joblog, a_file),
    SET(RUN, "resume", 0, set_resume),
    SET(RUN, "resume-failed", 0, set_resume_failed),
    FLAG(RUN, "retry-failed", 0, retry_failed),
    TEXT(RUN | WORK, "log", 0, log, a_file),
    DURATION(RUN | PUSH | WORK, "delay", delay, 0),
    READ(RUN | WORK, "rate", 0, read_rate, "a number of starts: N, N/s, N/m or N/h"),
    READ(RUN | WORK, "load", 0, read_load, "a number above 0"),
    SIZE(RUN | WORK, "memfree", memfree),
    READ(RUN | WORK, "breaker", 0, read_breaker,
         "PERCENT/CALLS,OPEN, such as 50/20,30s (at most 1024 calls)"),
    NUMBER(RUN | WORK, "nice", 0, nice, 0, 19, "a number from 0 to 19"),
    READ(PUSH, "at", 0, read_at,
         "a time such as 18:30, 2026-12-31T18:30, 2026-12-31T17:30Z or @1798738200"),
    TEXT(PUSH, "key", 0, key, "a text such as '{}' or order-{1}"),
    DURATION(PUSH, "remember", remember, -1),
    NUMBER(PUSH, "limit", 0, limit, 1, 1000000000000, "a number of jobs, from 1"),
    {WORK, "lease", 0, OPTION_DURATION, AT(lease), LEAST_LEASE - 1, 0, NULL,
     "a duration of at least 30ms, such as 30s"},
    FLAG(WORK, "drain", 0, drain),
    FLAG(JOBS, "watch", 0, watch),
    FLAG(JOBS, "metrics", 0, as_metrics),
    FLAG(RUN | WORK, "bar", 0, bar),
    FLAG(RUN | WORK, "no-bar", 0, no_bar),
    TEXT(RUN | WORK, "progress", 0, progress, a_file),
    TEXT(RUN | WORK, "metrics", 0, metrics, a_file),
    TEXT(RUN | WORK, "trace", 0, trace, a_file),
    FLAG(RUN, "dry-run", 0, dry_run),
    FLAG(RUN | WORK, "verbose", 'v', verbose),
    FLAG(RUN | PUSH | WORK, "quiet", 'q', quiet),
    FLAG(RUN | PUSH | WORK | JOBS, "help", 'h', help),
};
const size_t n_options = sizeof(options) / sizeof(options[0]);

const struct option *option_find(unsigned of, const char *name, size_t size)
{
    for (size_t i = 0; i < n_options; i++)
        if ((options[i].of & of) != 0 && strlen(options[i].name) == size &&
            memcmp(options[i].name, name, size) == 0)
            return &options[i];
    return NULL;
}

const struct option *option_find_letter(unsigned of, char letter)
{
    for (size_t i = 0; i < n_options; i++)
        if ((options[i].of & of) != 0 && letter != 0 && options[i].letter == letter)
            return &options[i];
    return NULL;
}

const char *option_nearest(unsigned of, const char *name, size_t size)
{
    struct spelling spelling;
    spelling_begin(&spelling, name, size);
    for (size_t i = 0; i < n_options; i++)
        if ((options[i].of & of) != 0)
            spelling_try(&spelling, options[i].name);
    return spelling.nearest;
}
