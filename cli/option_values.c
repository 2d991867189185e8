/* SPDX-License-Identifier: MIT */
/* option_values.c - reads the values that have a grammar of their own. */
#include "option_values.h"

#include "jobs_value.h"
#include "time_value.h"
#include "values.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

bool read_file(struct settings *settings, const char *value)
{
    size_t size = (size_t)(settings->n_files + 1) * sizeof(settings->files[0]);
    const char **files = realloc(settings->files, size);
    if (files == NULL || *value == '\0')
        return false;
    settings->files = files;
    settings->files[settings->n_files++] = value;
    return true;
}

bool read_delimiter(struct settings *settings, const char *value)
{
    settings->delimiter_given = true;
    return read_byte(value, &settings->delimiter);
}

bool set_nul(struct settings *settings, const char *value)
{
    (void)value;
    settings->delimiter = '\0';
    settings->delimiter_given = true;
    return true;
}

bool read_colsep(struct settings *settings, const char *value)
{
    static const char *const names[][2] = {{"\\t", "\t"}, {"\\n", "\n"}};
    for (size_t i = 0; i < 2; i++)
        if (strcmp(value, names[i][0]) == 0)
            value = names[i][1];
    settings->colsep = value;
    return *value != '\0';
}

bool read_placeholder(struct settings *settings, const char *value)
{
    settings->placeholder = value;
    return *value != '\0';
}

bool set_shell(struct settings *settings, const char *value)
{
    (void)value;
    settings->shell = SHELL_ALWAYS;
    settings->shell_given = true;
    return true;
}

bool set_no_shell(struct settings *settings, const char *value)
{
    (void)value;
    settings->shell = SHELL_NEVER;
    settings->no_shell_given = true;
    return true;
}

bool read_jobs(struct settings *settings, const char *value)
{
    if (jobs_value_read(settings, value))
        return true;
    settings->jobs_file = value;
    if (!jobs_file_read(settings))
        return false;
    settings->jobs_kind = JOBS_FILE;
    return true;
}

bool set_group(struct settings *settings, const char *value)
{
    (void)value;
    settings->output = OUTPUT_GROUP;
    settings->group_given = true;
    return true;
}

bool set_line_buffer(struct settings *settings, const char *value)
{
    (void)value;
    settings->output = OUTPUT_LINES;
    settings->lines_given = true;
    return true;
}

bool set_ungroup(struct settings *settings, const char *value)
{
    (void)value;
    settings->output = OUTPUT_RAW;
    settings->raw_given = true;
    return true;
}

bool read_backoff(struct settings *settings, const char *value)
{
    char first[32];
    const char *dots = strstr(value, "..");
    size_t size = dots == NULL ? strlen(value) : (size_t)(dots - value);
    if (size >= sizeof(first))
        return false;
    memcpy(first, value, size);
    first[size] = '\0';
    if (!read_duration(first, &settings->backoff_first) || settings->backoff_first == 0)
        return false;
    settings->backoff_max = 0;
    if (dots == NULL)
        return true;
    return read_duration(dots + 2, &settings->backoff_max) &&
           settings->backoff_max >= settings->backoff_first;
}

/* The next entry of a comma-separated list, which is cut to fit; false at the end. */
static bool next_entry(const char **list, char *ret, size_t size)
{
    if (*list == NULL)
        return false;
    const char *comma = strchr(*list, ',');
    size_t length = comma == NULL ? strlen(*list) : (size_t)(comma - *list);
    snprintf(ret, size, "%.*s", (int)(length < size ? length : size - 1), *list);
    *list = comma == NULL ? NULL : comma + 1;
    return true;
}

bool read_retry_on(struct settings *settings, const char *value)
{
    char entry[16];
    int64_t code;
    settings->retry_on = value;
    for (const char *list = value; next_entry(&list, entry, sizeof(entry));)
        if (strcmp(entry, "signal") != 0 && strcmp(entry, "timeout") != 0 &&
            !read_number(entry, 1, 255, &code))
            return false;
    return true;
}

bool retry_on_has(const char *list, const char *entry)
{
    char each[16];
    int64_t code;
    int64_t wanted;
    while (next_entry(&list, each, sizeof(each))) {
        if (strcmp(each, entry) == 0)
            return true;
        if (read_number(each, 0, 255, &code) && read_number(entry, 0, 255, &wanted) &&
            code == wanted)
            return true;
    }
    return false;
}

bool read_halt(struct settings *settings, const char *value)
{
    static const char *const when[] = {"soon,", "now,"};
    static const char *const what[] = {"fail=", "success=", "done="};
    settings->halt_when = HALT_NEVER;
    if (strcmp(value, "never") == 0)
        return true;
    for (int i = 0; i < 2; i++) {
        if (strncmp(value, when[i], strlen(when[i])) != 0)
            continue;
        const char *rest = value + strlen(when[i]);
        for (int j = 0; j < 3; j++) {
            if (strncmp(rest, what[j], strlen(what[j])) != 0)
                continue;
            const char *limit = rest + strlen(what[j]);
            settings->halt_when = i == 0 ? HALT_SOON : HALT_NOW;
            settings->halt_what = (enum halt_what)j;
            settings->halt_count = 0;
            settings->halt_percent = 0;
            return read_number(limit, 1, INT64_MAX, &settings->halt_count) ||
                   (read_percent(limit, &settings->halt_percent) && settings->halt_percent <= 100);
        }
    }
    return false;
}

bool read_timeout(struct settings *settings, const char *value)
{
    settings->timeout = 0;
    settings->timeout_percent = 0;
    if (read_percent(value, &settings->timeout_percent))
        return true;
    return read_duration(value, &settings->timeout) && settings->timeout > 0;
}

bool set_resume(struct settings *settings, const char *value)
{
    (void)value;
    settings->resume = RESUME_ENDED;
    settings->resume_given = true;
    return true;
}

bool set_resume_failed(struct settings *settings, const char *value)
{
    (void)value;
    settings->resume = RESUME_SUCCEEDED;
    settings->resume_failed_given = true;
    return true;
}

bool read_rate(struct settings *settings, const char *value)
{
    static const struct {
        const char *name;
        double seconds;
    } units[] = {{"", 1}, {"/s", 1}, {"/m", 60}, {"/h", 3600}};
    double number;
    const char *unit;
    if (!read_decimal(value, &number, &unit))
        return false;
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(unit, units[i].name) == 0) {
            settings->rate = number / units[i].seconds;
            return settings->rate >= 1e-9 && settings->rate <= 1e6;
        }
    }
    return false;
}

bool read_load(struct settings *settings, const char *value)
{
    const char *rest;
    return read_decimal(value, &settings->load, &rest) && *rest == '\0' && settings->load > 0;
}

bool read_breaker(struct settings *settings, const char *value)
{
    double percent;
    const char *rest;
    char calls[16];
    if (!read_decimal(value, &percent, &rest) || percent <= 0 || percent > 100)
        return false;
    rest += *rest == '%';
    if (*rest++ != '/')
        return false;
    if (!next_entry(&rest, calls, sizeof(calls)) || rest == NULL)
        return false;
    settings->breaker_ratio = percent / 100;
    return read_number(calls, 1, 1024, &settings->breaker_calls) &&
           read_duration(rest, &settings->breaker_open) && settings->breaker_open > 0;
}

bool read_at(struct settings *settings, const char *value)
{
    return read_time(value, time(NULL), &settings->at);
}
