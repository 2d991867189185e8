/* SPDX-License-Identifier: MIT */
/* settings.h - what the options of a subcommand say. All-zero is the default of most; settings_init
 * sets the others.
 */
#ifndef CLI_SETTINGS_H
#define CLI_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

enum subcommand {
    SUBCOMMAND_RUN = 1,
    SUBCOMMAND_PUSH = 2,
    SUBCOMMAND_WORK = 4,
    SUBCOMMAND_JOBS = 8,
    SUBCOMMAND_ANY = 15
};
enum shell_use { SHELL_AUTO, SHELL_ALWAYS, SHELL_NEVER };
enum output_mode { OUTPUT_GROUP, OUTPUT_LINES, OUTPUT_RAW };
enum halt_when { HALT_NEVER, HALT_SOON, HALT_NOW };
enum halt_what { HALT_FAIL, HALT_SUCCESS, HALT_DONE };
enum jobs_kind { JOBS_DEFAULT, JOBS_COUNT, JOBS_PERCENT, JOBS_MORE, JOBS_LESS, JOBS_FILE };
enum resume_what { RESUME_NO, RESUME_ENDED, RESUME_SUCCEEDED };

#define MAX_SLOTS 1000

struct settings {
    enum subcommand subcommand;

    /* input */
    const char **files; /* of -a, in their order */
    int64_t n_files;
    char delimiter; /* '\n' */
    const char *colsep;
    bool header, json, link;
    bool delimiter_given;
    bool names_in_job; /* the header is in each job, so that names are looked up there */
    int64_t per_job;   /* -n; 0: not given, which is 1 */
    bool fill;         /* -X */
    bool pipe;
    int64_t block; /* bytes; 0: not given */

    /* command */
    const char *placeholder; /* "{}" */
    enum shell_use shell;
    bool shell_given, no_shell_given;

    /* slots */
    enum jobs_kind jobs_kind;
    int64_t jobs; /* for COUNT, MORE, LESS */
    double jobs_percent;
    const char *jobs_file;

    /* output */
    enum output_mode output;
    bool group_given, lines_given, raw_given;
    bool keep_order, tag;
    const char *tagstring, *results;

    /* failure */
    int64_t retries; /* attempts in all */
    int64_t backoff_first, backoff_max;
    const char *retry_on; /* checked, see retry.h */
    enum halt_when halt_when;
    enum halt_what halt_what;
    int64_t halt_count;  /* 0 if a percentage was given */
    double halt_percent; /* 0 if a count was given */
    int64_t timeout;     /* ns; 0: none */
    double timeout_percent;
    int64_t kill_after; /* ns */
    int64_t deadline;   /* ns from the start; 0: none */
    int64_t grace;      /* ns; 0: none */

    /* logs */
    const char *joblog, *log;
    enum resume_what resume;
    bool resume_given, resume_failed_given;
    bool retry_failed;

    /* restraint */
    int64_t delay;
    double rate; /* starts a second; 0: no limit */
    double load;
    int64_t memfree;
    double breaker_ratio; /* 0: none */
    int64_t breaker_calls, breaker_open;
    int64_t nice;

    /* the queue; 0: not given, so that it is as weir/queue.h says, unless this says otherwise */
    int64_t at; /* ms since 1970 */
    const char *key;
    int64_t remember; /* ns; -1: not given */
    int64_t limit;
    int64_t lease; /* ns */
    bool drain, watch, as_metrics;

    /* seeing */
    bool bar, no_bar, dry_run, verbose, quiet, help;
    const char *progress, *metrics, *trace;
};

/* "run", "push" ... */
const char *settings_name(unsigned subcommand);

void settings_init(struct settings *settings, enum subcommand subcommand);
void settings_destroy(struct settings *settings);

/* Reads the options at the beginning of `words`. Returns how many words they are, so that the
 * command begins there; or -1 after it has complained. */
int settings_read(struct settings *settings, int n_words, char *const words[]);

/* Whether they go together. Returns 0; -1 after it has complained. */
int settings_check(const struct settings *settings);

#endif
