/* SPDX-License-Identifier: MIT */
/* work.c - `weir work`: a run whose jobs come from a queue. */
#include "complain.h"
#include "help.h"
#include "input.h"
#include "members.h"
#include "queue_mains.h"
#include "queue_words.h"
#include "serve.h"

/* A worker that works until it is told to stop has done what it should when it stops, whatever
 * failed meanwhile: that is in the queue. Not if it had to stop jobs that ran. One that is to end
 * by itself says how many attempts have failed. */
static int exit_status(struct run *run, const struct counts *counts, int err)
{
    int signal;
    bool drain = run->settings->drain;
    bool forced = stop_level(&run->stop) >= STOP_TERM && counts->not_run > 0;
    int status = run_status_of_stop(run, err, drain || forced);
    if (status >= 0)
        return status;
    if (stop_reason(&run->stop, &signal) == STOP_SIGNAL)
        return 0;
    uint64_t failed = counts->failed + counts->timed_out;
    return failed > 100 ? 101 : (int)failed;
}

static int sum_up(struct run *run, int err)
{
    struct counts counts = tally_read(&run->tally);
    int status = exit_status(run, &counts, err);
    bool bad = counts.failed + counts.timed_out + counts.not_run > 0;
    if (!run->settings->quiet && (bad || run->settings->verbose))
        complain("%llu ok, %llu failed, %llu timed out, %llu given back",
                 (unsigned long long)counts.ok, (unsigned long long)counts.failed,
                 (unsigned long long)counts.timed_out, (unsigned long long)counts.not_run);
    return status;
}

static int check_line(const struct settings *settings, const struct queue_words *line)
{
    for (int i = 0; i < line->n_rest; i++)
        if (input_is_separator(line->rest[i]))
            return complain("weir work takes its records from the queue: %s is for weir push",
                            line->rest[i]);
    if (line->n_rest == 0)
        return complain("there is no command; see weir work --help");
    if (line->rest[0][0] == '\0')
        return complain("the command is empty: its first word is ''");
    if (settings->json && !members_are_supported())
        return complain("--json: this build has no JSON (it was built without jansson)");
    if (settings->jobs_kind == JOBS_FILE)
        return complain("-j %s: a worker of a queue takes a number of slots, not a file",
                        settings->jobs_file);
    if (settings->halt_percent > 0)
        return complain("--halt: nobody knows how many jobs a queue will have: say a number, not "
                        "a percentage");
    return 0;
}

static void set_options(weir_serve_options *options, const struct settings *settings)
{
    weir_serve_options_init(options);
    options->lease = settings->lease;
    options->retries = (unsigned)settings->retries;
    options->backoff_first = settings->backoff_first;
    options->backoff_max = settings->backoff_max;
    options->drain = settings->drain;
}

static int work_line(const struct settings *settings, const struct queue_words *words)
{
    struct work work = {.lock = PTHREAD_MUTEX_INITIALIZER};
    struct line line = {words->rest, words->n_rest, words->n_rest};
    struct origin origin = {.feed = serve_feed, .sum_up = sum_up, .user = &work};
    int status = check_line(settings, words);
    set_options(&work.options, settings);
    if (status == 0)
        status = queue_words_open(&work.queue, words, settings);
    if (status == 0)
        status = run_line(settings, &line, &origin);
    weir_queue_close(work.queue);
    return status;
}

int work_main(int n_words, char *const words[])
{
    struct settings settings;
    struct queue_words line;
    settings_init(&settings, SUBCOMMAND_WORK);
    int status = queue_words_read(&line, &settings, n_words, words);
    settings.names_in_job = settings.header;
    if (status == 0 && settings.help)
        status = help_say("work");
    else if (status == 0)
        status = work_line(&settings, &line);
    queue_words_free(&line);
    settings_destroy(&settings);
    return status;
}
