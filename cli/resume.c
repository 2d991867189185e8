/* SPDX-License-Identifier: MIT */
/* resume.c - a table of the commands in the log.
 *
 * A job that failed and is run again (--resume-failed, --retry-failed) gets the same number in its
 * new row, so that the rows of one job can be told from those of several with one command.
 * Commands that have nothing of their records are told apart by their numbers, too.
 * For each command: how many of its jobs succeeded, and a list of the numbers of those that failed.
 */
#include "resume.h"

#include "complain.h"
#include "hash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define NOTHING SIZE_MAX

struct known {
    struct hash hash;
    uint32_t ok;     /* jobs that succeeded and have not come yet */
    uint32_t failed; /* those that failed */
    size_t first;    /* of its failures; NOTHING: none */
    size_t last;
    bool used;
};

struct failure {
    uint64_t seq;
    size_t next;   /* of the same command */
    char *command; /* --retry-failed */
    bool over;     /* it has succeeded since, or has come */
};

void resume_init(struct resume *resume, const struct settings *settings, bool by_number)
{
    *resume = (struct resume){.what = settings->resume, .by_number = by_number};
    resume->keep_commands = settings->retry_failed;
}

void resume_free(struct resume *resume)
{
    for (size_t i = 0; i < resume->n_failures; i++)
        free(resume->failures[i].command);
    free(resume->failures);
    free(resume->table);
    *resume = (struct resume){0};
}

static struct hash key_of(const struct resume *resume, struct bytes command, uint64_t seq)
{
    struct hash hash = hash_of(command);
    if (resume->by_number)
        hash.a ^= seq * UINT64_C(0x9e3779b97f4a7c15);
    return hash;
}

static struct known *place_of(struct known *table, size_t n_table, struct hash hash)
{
    size_t i = hash.a & (n_table - 1);
    while (table[i].used && (table[i].hash.a != hash.a || table[i].hash.b != hash.b))
        i = (i + 1) & (n_table - 1);
    return &table[i];
}

static int grow(struct resume *resume)
{
    size_t n_table = resume->n_table == 0 ? 1024 : 2 * resume->n_table;
    struct known *table = calloc(n_table, sizeof(*table));
    if (table == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < resume->n_table; i++)
        if (resume->table[i].used)
            *place_of(table, n_table, resume->table[i].hash) = resume->table[i];
    free(resume->table);
    resume->table = table;
    resume->n_table = n_table;
    return 0;
}

static int add_failure(struct resume *resume, struct known *known, const struct row *row)
{
    if (resume->n_failures == resume->room) {
        size_t room = resume->room == 0 ? 64 : 2 * resume->room;
        struct failure *failures = realloc(resume->failures, room * sizeof(*failures));
        if (failures == NULL)
            return -ENOMEM;
        resume->failures = failures;
        resume->room = room;
    }
    char *command = NULL;
    if (resume->keep_commands) {
        command = strndup(row->command.data, row->command.size);
        if (command == NULL)
            return -ENOMEM;
    }
    size_t i = resume->n_failures++;
    resume->failures[i] = (struct failure){row->seq, NOTHING, command, false};
    if (known->first == NOTHING)
        known->first = i;
    else
        resume->failures[known->last].next = i;
    known->last = i;
    known->failed++;
    return 0;
}

int resume_take(void *arg, const struct row *row)
{
    struct resume *resume = arg;
    if (2 * resume->n >= resume->n_table && grow(resume) != 0)
        return -ENOMEM;
    struct hash hash = key_of(resume, row->command, row->seq);
    struct known *known = place_of(resume->table, resume->n_table, hash);
    if (!known->used) {
        *known = (struct known){.hash = hash, .first = NOTHING, .last = NOTHING, .used = true};
        resume->n++;
    }
    /* Is this the new row of a job that failed? */
    for (size_t i = known->first; i != NOTHING; i = resume->failures[i].next) {
        struct failure *failure = &resume->failures[i];
        if (failure->over || failure->seq != row->seq)
            continue;
        failure->over = row->ok;
        known->ok += row->ok;
        known->failed -= row->ok;
        return 0;
    }
    if (!row->ok)
        return add_failure(resume, known, row);
    known->ok++;
    return 0;
}

bool resume_is_done(struct resume *resume, struct bytes command, uint64_t seq, uint64_t *ret_seq)
{
    *ret_seq = 0;
    if (resume->what == RESUME_NO || resume->n_table == 0)
        return false;
    struct known *known = place_of(resume->table, resume->n_table, key_of(resume, command, seq));
    if (!known->used)
        return false;
    if (known->ok > 0) {
        known->ok--;
        return true;
    }
    if (known->failed == 0)
        return false;
    known->failed--;
    if (resume->what == RESUME_ENDED)
        return true;
    for (size_t i = known->first; i != NOTHING; i = resume->failures[i].next) {
        if (resume->failures[i].over)
            continue;
        resume->failures[i].over = true;
        *ret_seq = resume->failures[i].seq;
        break;
    }
    return false;
}

const char *resume_next_failed(struct resume *resume, size_t *at, uint64_t *ret_seq)
{
    while (*at < resume->n_failures) {
        const struct failure *failure = &resume->failures[(*at)++];
        if (failure->over)
            continue;
        *ret_seq = failure->seq;
        return failure->command;
    }
    return NULL;
}
