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

const char *settings_name(unsigned subcommand)
{
    return (subcommand & SUBCOMMAND_RUN) != 0    ? "run"
           : (subcommand & SUBCOMMAND_PUSH) != 0 ? "push"
           : (subcommand & SUBCOMMAND_WORK) != 0 ? "work"
                                                 : "jobs";
}

void settings_init(struct settings *settings, enum subcommand subcommand)
{
    *settings = (struct settings){
        .subcommand = subcommand,
        .remember = -1,
        .delimiter = '\n',
        .placeholder = "{}",
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
    if (!set(settings, option, value) && value != NULL) {
        complain("%s: '%s' is not %s", spelled, value, option->wanted);
        return -1;
    }
    return taken;
}

/* Says that there is no such option, and which may have been meant. Returns -1. */
static int unknown_long(const struct settings *settings, const char *name, size_t size)
{
    const char *mine = settings_name(settings->subcommand);
    const struct option *others = option_find(SUBCOMMAND_ANY, name, size);
    const char *nearest = option_nearest(settings->subcommand, name, size);
    if (others != NULL)
        complain("weir %s has no option --%.*s: it is one of weir %s", mine, (int)size, name,
                 settings_name(others->of));
    else if (nearest != NULL)
        complain("there is no option --%.*s; did you mean --%s?", (int)size, name, nearest);
    else
        complain("there is no option --%.*s; see weir %s --help", (int)size, name, mine);
    return -1;
}

static int read_long(struct settings *settings, const char *word, const char *next)
{
    const char *name = word + 2;
    size_t size = strcspn(name, "=");
    const char *value = name[size] == '=' ? name + size + 1 : NULL;
    const struct option *option = option_find(settings->subcommand, name, size);
    if (option == NULL)
        return unknown_long(settings, name, size);
    /* As GNU parallel spells it, whose value is a pattern: here the first record is the header. */
    if (strcmp(option->name, "header") == 0) {
        if (value == NULL && next != NULL && strcmp(next, ":") == 0)
            return 1 + (apply(settings, option, "--header", NULL, NULL) == 1);
        if (value != NULL && strcmp(value, ":") == 0)
            value = NULL;
    }
    char spelled[40] = "--";
    memcpy(spelled + 2, name, size);
    return apply(settings, option, spelled, value, next);
}

/* The same for the first letter at `letter`; `word` is all of them. */
static int unknown_letter(const struct settings *settings, const char *word, const char *letter)
{
    const char *mine = settings_name(settings->subcommand);
    const struct option *others = option_find_letter(SUBCOMMAND_ANY, *letter);
    const char *nearest = option_nearest(settings->subcommand, word + 1, strlen(word + 1));
    if ((unsigned char)*letter >= 0x80)
        complain("there is no option -%s; see weir %s --help", letter, mine);
    else if (nearest != NULL && word[2] != '\0')
        complain("there is no option -%c; did you mean --%s?", *letter, nearest);
    else if (others != NULL)
        complain("weir %s has no option -%c: it is one of weir %s", mine, *letter,
                 settings_name(others->of));
    else
        complain("there is no option -%c; see weir %s --help", *letter, mine);
    return -1;
}

/* Letters that take no value may stand together in one word; the value of the last may follow. */
static int read_letters(struct settings *settings, const char *word, const char *next)
{
    for (const char *letter = word + 1; *letter != '\0'; letter++) {
        const struct option *option = option_find_letter(settings->subcommand, *letter);
        char spelled[3] = {'-', *letter, '\0'};
        if (option == NULL)
            return unknown_letter(settings, word, letter);
        if (has_value(option))
            return apply(settings, option, spelled, letter[1] == '\0' ? NULL : letter + 1, next);
        if (apply(settings, option, spelled, NULL, NULL) < 0)
            return -1;
    }
    return 1;
}

/* Two options that have no meaning together. */
struct pair {
    bool one, other;
    const char *name, *other_name, *why;
};

static int check_pairs(const struct settings *s)
{
    bool work = s->subcommand == SUBCOMMAND_WORK;
    const char *records = work ? "the record is the job's input, not its words"
                               : "a block is a job's input, not its words";
    static const char touched[] = "-u does not touch output";
    const struct pair pairs[] = {
        {s->shell_given, s->no_shell_given, "--shell", "--no-shell", "choose one"},
        {s->group_given, s->lines_given, "--group", "--line-buffer", "choose one"},
        {s->group_given, s->raw_given, "--group", "-u", "choose one"},
        {s->lines_given, s->raw_given, "--line-buffer", "-u", "choose one"},
        {s->bar, s->no_bar, "--bar", "--no-bar", "choose one"},
        {s->verbose, s->quiet, "-v", "-q", "choose one"},
        {s->resume_given, s->resume_failed_given, "--resume", "--resume-failed", "choose one"},
        {s->per_job > 0, s->fill, "-n", "-X", "-X is as many as fit"},
        {s->pipe, s->per_job > 0, "--pipe", "-n", records},
        {s->pipe, s->fill, "--pipe", "-X", records},
        {s->pipe, s->json, "--pipe", "--json", records},
        {s->pipe, s->colsep != NULL, "--pipe", "--colsep", records},
        {s->pipe, s->header, "--pipe", "--header", records},
        {s->pipe, s->link, "--pipe", "--link", records},
        {s->pipe && !work, s->tag, "--pipe", "--tag", "a block has no name; see --tagstring"},
        {s->at > 0, s->delay > 0, "--at", "--delay", "choose one"},
        {s->json, s->as_metrics, "--json", "--metrics", "choose one"},
        {s->pipe, s->resume != RESUME_NO, "--pipe", "--resume", "a block has no name"},
        {s->json, s->colsep != NULL, "--json", "--colsep", "an object names its members"},
        {s->json, s->header, "--json", "--header", "an object names its members"},
        {s->raw_given, s->keep_order, "-u", "-k", touched},
        {s->raw_given, s->tag, "-u", "--tag", touched},
        {s->raw_given, s->tagstring != NULL, "-u", "--tagstring", touched},
        {s->raw_given, s->results != NULL, "-u", "--results", touched},
        {s->retry_failed, s->resume != RESUME_NO, "--retry-failed", "--resume", "choose one"},
        {s->retry_failed, s->n_files > 0, "--retry-failed", "-a", "its jobs are in the log"},
        {s->retry_failed, s->pipe, "--retry-failed", "--pipe", "its jobs are in the log"},
    };
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        if (pairs[i].one && pairs[i].other) {
            complain("%s and %s do not go together: %s", pairs[i].name, pairs[i].other_name,
                     pairs[i].why);
            return -1;
        }
    }
    return 0;
}

/* Options that mean nothing without another one. In a queue the job has its own retries. */
static int check_needs(const struct settings *s)
{
    bool run = s->subcommand == SUBCOMMAND_RUN;
    bool work = s->subcommand == SUBCOMMAND_WORK;
    const struct pair needs[] = {
        {s->block > 0, s->pipe, "--block", "--pipe", NULL},
        {s->resume_given, s->joblog != NULL, "--resume", "--joblog FILE", NULL},
        {s->resume_failed_given, s->joblog != NULL, "--resume-failed", "--joblog FILE", NULL},
        {s->retry_failed, s->joblog != NULL, "--retry-failed", "--joblog FILE", NULL},
        {run && s->backoff_first > 0, s->retries > 0, "--backoff", "--retries N", NULL},
        {run && s->retry_on != NULL, s->retries > 0, "--retry-on", "--retries N", NULL},
        {work && s->delimiter_given, s->header, "-d", "--header here", NULL},
        {s->remember >= 0, s->key != NULL, "--remember", "--key", NULL},
    };
    for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
        if (needs[i].one && !needs[i].other) {
            complain("%s needs %s", needs[i].name, needs[i].other_name);
            return -1;
        }
    }
    return 0;
}

int settings_check(const struct settings *settings)
{
    return check_pairs(settings) < 0 || check_needs(settings) < 0 ? -1 : 0;
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
    return i;
}
