/* SPDX-License-Identifier: MIT */
/* settings.c - reads the options at the beginning of the command line, by the table in option.c.
 * They end at the first word that is none, or behind `--`: the rest is the command's own.
 */
#include "settings.h"

#include "complain.h"
#include "option.h"
#include "values.h"

#include <stdlib.h>
#include <string.h>

void settings_init(struct settings *settings)
{
    *settings = (struct settings){
        .delimiter = '\n',
        .placeholder = "{}",
        .retries = 1,
        .kill_after = INT64_C(5000000000),
    };
}

void settings_destroy(struct settings *settings)
{
    free(settings->files);
}

static bool has_value(const struct option *option)
{
    return option->kind != OPTION_FLAG && option->kind != OPTION_SET;
}

static bool set(struct settings *settings, const struct option *option, const char *value)
{
    void *field = (char *)settings + option->offset;
    switch (option->kind) {
    case OPTION_FLAG:
        *(bool *)field = true;
        return true;
    case OPTION_TEXT:
        *(const char **)field = value;
        return *value != '\0';
    case OPTION_NUMBER:
        return read_number(value, option->least, option->most, field);
    case OPTION_DURATION:
        return read_duration(value, field) && *(int64_t *)field > option->least;
    case OPTION_SIZE:
        return read_size(value, field) && *(int64_t *)field > 0;
    case OPTION_SET:
    case OPTION_READ:
        return option->read(settings, value);
    }
    return false;
}

/* Sets `option`, called `spelled` on the command line, from `value`, or from the next word if that
 * is NULL. Returns how many words that took, or -1. */
static int apply(struct settings *settings, const struct option *option, const char *spelled,
                 const char *value, const char *next)
{
    int taken = 1;
    if (has_value(option) && value == NULL) {
        if (next == NULL) {
            complain("%s needs a value: %s", spelled, option->wanted);
            return -1;
        }
        value = next;
        taken = 2;
    }
    if (!has_value(option) && value != NULL) {
        complain("%s takes no value, but was given '%s'", spelled, value);
        return -1;
    }
    if (!set(settings, option, value)) {
        complain("%s: '%s' is not %s", spelled, value, option->wanted);
        return -1;
    }
    return taken;
}

static int read_long(struct settings *settings, const char *word, const char *next)
{
    const char *name = word + 2;
    size_t size = strcspn(name, "=");
    const char *value = name[size] == '=' ? name + size + 1 : NULL;
    const struct option *option = option_find(name, size);
    if (option == NULL) {
        const char *nearest = option_nearest(name, size);
        if (nearest != NULL)
            complain("there is no option --%.*s; did you mean --%s?", (int)size, name, nearest);
        else
            complain("there is no option --%.*s; see weir run --help", (int)size, name);
        return -1;
    }
    /* As GNU parallel spells it, whose value is a pattern: here the first record is the header. */
    if (option == option_find("header", 6)) {
        if (value == NULL && next != NULL && strcmp(next, ":") == 0)
            return 1 + (apply(settings, option, "--header", NULL, NULL) == 1);
        if (value != NULL && strcmp(value, ":") == 0)
            value = NULL;
    }
    char spelled[40] = "--";
    memcpy(spelled + 2, name, size);
    return apply(settings, option, spelled, value, next);
}

/* Letters that take no value may stand together in one word; the value of the last may follow. */
static int read_letters(struct settings *settings, const char *word, const char *next)
{
    for (const char *letter = word + 1; *letter != '\0'; letter++) {
        const struct option *option = option_find_letter(*letter);
        char spelled[3] = {'-', *letter, '\0'};
        if (option == NULL) {
            const char *nearest = option_nearest(word + 1, strlen(word + 1));
            if (nearest != NULL && word[2] != '\0')
                complain("there is no option %s; did you mean --%s?", spelled, nearest);
            else
                complain("there is no option %s; see weir run --help", spelled);
            return -1;
        }
        if (has_value(option))
            return apply(settings, option, spelled, letter[1] == '\0' ? NULL : letter + 1, next);
        if (apply(settings, option, spelled, NULL, NULL) < 0)
            return -1;
    }
    return 1;
}

static int refuse(const char *one, const char *other, const char *why)
{
    complain("%s and %s do not go together: %s", one, other, why);
    return -1;
}

/* Options that have no meaning together, or none alone. */
static int check(const struct settings *settings)
{
    const struct settings *s = settings;
    if (s->pipe && (s->per_job > 0 || s->fill || s->json || s->colsep != NULL || s->link))
        return refuse("--pipe", "options about records", "a block is a job's input, not its words");
    if (s->pipe && (s->header || s->tag))
        return refuse("--pipe", s->header ? "--header" : "--tag", "a block has no name");
    if (s->json && (s->colsep != NULL || s->header))
        return refuse("--json", s->header ? "--header" : "--colsep", "an object names its members");
    if (s->keep_order && s->output == OUTPUT_RAW)
        return refuse("-k", "-u", "output that is not touched cannot be put in order");
    if (s->output == OUTPUT_RAW && (s->tag || s->tagstring != NULL || s->results != NULL))
        return refuse("-u", s->results != NULL ? "--results" : "--tag", "-u does not touch output");
    if (s->bar && s->no_bar)
        return refuse("--bar", "--no-bar", "choose one");
    if (s->resume != RESUME_NO && s->pipe)
        return refuse("--resume", "--pipe", "a block has no name by which it could be known");
    if (s->retry_failed && s->resume != RESUME_NO)
        return refuse("--retry-failed", "--resume", "the one takes its jobs from the log");
    if ((s->resume != RESUME_NO || s->retry_failed) && s->joblog == NULL) {
        complain("%s needs --joblog FILE", s->retry_failed ? "--retry-failed" : "--resume");
        return -1;
    }
    if (s->block > 0 && !s->pipe) {
        complain("--block means something with --pipe only");
        return -1;
    }
    if ((s->backoff_first > 0 || s->retry_on != NULL) && s->retries == 1) {
        complain("%s needs --retries N", s->retry_on != NULL ? "--retry-on" : "--backoff");
        return -1;
    }
    return 0;
}

int settings_read(struct settings *settings, int n_words, char *const words[])
{
    int i = 0;
    while (i < n_words && words[i][0] == '-' && words[i][1] != '\0') {
        const char *next = i + 1 < n_words ? words[i + 1] : NULL;
        if (strcmp(words[i], "--") == 0) {
            i++;
            break;
        }
        int taken = words[i][1] == '-' ? read_long(settings, words[i], next)
                                       : read_letters(settings, words[i], next);
        if (taken < 0)
            return -1;
        i += taken;
    }
    if (settings->help)
        return i;
    return check(settings) < 0 ? -1 : i;
}
