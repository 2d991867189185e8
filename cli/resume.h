/* SPDX-License-Identifier: MIT */
/* resume.h - which jobs an earlier run has done.
 *
 * A job is known by its command, and by which time it is that this command comes: so that lines may
 * be added, removed and reordered between two runs.
 */
#ifndef CLI_RESUME_H
#define CLI_RESUME_H

#include "joblog.h"
#include "settings.h"

struct resume {
    enum resume_what what;
    bool keep_commands;  /* --retry-failed */
    bool by_number;      /* jobs are known by command and number */
    struct known *table; /* open addressing; n_table is a power of two */
    size_t n_table, n;
    struct failure *failures; /* rows of jobs that failed, in lists */
    size_t n_failures, room;
};

/* `by_number`: the commands alone do not tell the jobs apart. */
void resume_init(struct resume *resume, const struct settings *settings, bool by_number);
void resume_free(struct resume *resume);

/* Takes note of a row of the log. For joblog_open: `arg` is the resume. */
int resume_take(void *arg, const struct row *row);

/* Says whether the next job with this command, of number `seq`, was done; one more is then taken to
 * have come. Else `*ret_seq` is what the log already calls this job, whose row is to be replaced;
 * or 0. */
bool resume_is_done(struct resume *resume, struct bytes command, uint64_t seq, uint64_t *ret_seq);

/* --retry-failed: the next command that failed and did not succeed since; NULL: none is left.
 * `*at` begins with 0. */
const char *resume_next_failed(struct resume *resume, size_t *at, uint64_t *ret_seq);

#endif
