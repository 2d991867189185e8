/* SPDX-License-Identifier: MIT */
/* run.c - `weir run`: puts the parts of a run together, and takes them apart again.
 * Everything that can be wrong on the command line is found before the first job starts.
 */
#include "run.h"

#include "bar.h"
#include "complain.h"
#include "feed.h"
#include "help.h"
#include "jobs_value.h"
#include "descriptors.h"
#include "members.h"
#include "play.h"
#include "results.h"
#include "signals.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#define QUEUE_SIZE 256    /* jobs that wait to start: so many that their thread seldom sleeps */
#define QUEUE_OF_BLOCKS 2 /* --pipe: each holds a megabyte */
#define LIVE_SIZE 4096    /* jobs that wait for their next attempt, and those that run */

static int check_line(const struct settings *settings, const struct line *line)
{
    for (int i = line->n_command; i < line->n_words; i++)
        if (strcmp(line->words[i], ":::+") == 0 || strcmp(line->words[i], "::::+") == 0)
            return complain("%s is not known here; did you mean --link?", line->words[i]);
    if (settings->retry_failed && line->n_words > 0)
        return complain("--retry-failed takes its commands from the log: none can be given");
    if (!settings->retry_failed && line->n_command == 0)
        return complain("there is no command; see weir run --help");
    if (line->n_command > 0 && line->words[0][0] == '\0')
        return complain("the command is empty: its first word is ''");
    if (settings->json && !members_are_supported())
        return complain("--json: this build has no JSON (it was built without jansson)");
    if (settings->pipe && line->n_command < line->n_words)
        return complain("--pipe and %s do not go together: it cuts standard input into blocks",
                        line->words[line->n_command]);
    if (settings->n_files > 0 && line->n_command < line->n_words)
        return complain("-a and %s do not go together: say %s FILE for each",
                        line->words[line->n_command], "::::");
    return 0;
}

/* What jobs are made of. Returns 0, or EXIT_WEIR after it has complained. */
static int open_input(struct run *run, const struct line *line)
{
    static const struct names no_names;
    const struct settings *settings = run->settings;
    const struct names *names = &no_names;
    bool reads = settings->subcommand == SUBCOMMAND_RUN && !settings->retry_failed;
    if (reads && input_open(&run->input, settings, line->words + line->n_command,
                            line->n_words - line->n_command, run->stop.wake) != 0)
        return EXIT_WEIR;
    names = reads ? input_names(run->input) : names;
    if (!settings->retry_failed &&
        template_read(&run->command, settings, names, line->words, (size_t)line->n_command) != 0)
        return EXIT_WEIR;
    const char *tag = settings->tagstring != NULL ? settings->tagstring
                      : settings->tag             ? settings->placeholder
                                                  : NULL;
    if (tag != NULL && template_read_text(&run->tag, settings, names, tag) != 0)
        return EXIT_WEIR;
    bool wanted = settings->halt_percent > 0 || settings->progress != NULL ||
                  settings->metrics != NULL || bar_is_wanted(settings);
    if (wanted && run->input != NULL && settings->per_job <= 1 && !settings->fill)
        tally_set_total(&run->tally, input_count(run->input));
    return 0;
}

static int open_logs(struct run *run)
{
    const struct settings *settings = run->settings;
    /* Jobs whose commands have nothing of their records differ by their numbers alone. */
    resume_init(&run->resume, settings, !settings->retry_failed && !run->command.has_record);
    if (joblog_open(&run->joblog, settings, resume_take, &run->resume) != 0)
        return EXIT_WEIR;
    if (log_open(&run->log, settings->log) != 0)
        return EXIT_WEIR;
    if (seeing_open(run) != 0)
        return EXIT_WEIR;
    run->needs_shown |= run->seeing.bar;
    return results_prepare(settings) != 0 ? EXIT_WEIR : 0;
}

static int lower_priority(unsigned index, void *user)
{
    const struct run *run = user;
    (void)index;
    /* Of this thread, and of the processes that it starts. */
    return setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + (int)run->settings->nice) < 0
               ? -errno
               : 0;
}

static int make_pool(struct run *run, unsigned slots)
{
    const struct settings *settings = run->settings;
    weir_pool_options options;
    weir_pool_options_init(&options);
    options.workers = slots;
    unsigned least = settings->pipe ? QUEUE_OF_BLOCKS : QUEUE_SIZE;
    options.capacity = slots > least ? slots : least;
    if (settings->subcommand == SUBCOMMAND_RUN) {
        options.context = run->stop.ctx;
        options.on_drop = play_dropped;
    } else {
        options.capacity = slots; /* the server keeps what cannot start soon */
    }
    options.on_worker_start = settings->nice > 0 ? lower_priority : NULL;
    options.user = run;
    options.timers = LIVE_SIZE;
    options.stack_size = (size_t)1024 * 1024;
    int err = weir_pool_new(&run->pool, &options);
    if (err == -EAGAIN && slots > 1) {
        /* No more threads may be had. */
        complain("only %u job%s at once: there are no threads for %u", slots / 2,
                 slots / 2 == 1 ? "" : "s", slots);
        return make_pool(run, slots / 2);
    }
    return err;
}

/* -j FILE: as many workers as there can ever be slots, most of which may not start a job. */
static int make_permits(struct run *run, unsigned slots)
{
    int err = weir_semaphore_init(&run->live, LIVE_SIZE);
    if (err == 0)
        err = weir_semaphore_init(&run->weight, QUEUE_WEIGHT);
    if (err != 0 || run->settings->jobs_kind != JOBS_FILE)
        return err;
    pthread_mutex_init(&run->allowed_lock, NULL);
    run->wanted = slots < run->n_slots ? slots : run->n_slots;
    run->withheld = run->n_slots - run->wanted;
    err = weir_semaphore_init(&run->allowed, run->n_slots);
    return err != 0 ? err : weir_semaphore_acquire(&run->allowed, run->withheld);
}

/* A slot for each CPU is what the library has by default: then the first pool is the right one. */
static int count_cpus(struct run *run)
{
    int err = 0;
    run->cpus = 1;
    if (run->settings->jobs_kind == JOBS_DEFAULT) {
        err = make_pool(run, 0);
        run->cpus = weir_pool_workers(run->pool);
    } else if (run->settings->jobs_kind != JOBS_COUNT) {
        run->cpus = jobs_cpus();
    }
    return err;
}

static int make_workers(struct run *run)
{
    const struct settings *settings = run->settings;
    int err = count_cpus(run);
    struct settings now = *settings;
    if (settings->jobs_kind == JOBS_FILE)
        (void)jobs_file_read(&now);
    unsigned slots = jobs_slots(&now, run->cpus);
    run->n_slots = settings->jobs_kind == JOBS_FILE ? MAX_SLOTS : slots;
    unsigned ahead = descriptors_ahead(run->n_slots);
    bool share;
    descriptors_make_room(&run->launcher, settings, &run->n_slots, ahead, &share);
    err = err != 0 ? err : slots_init(&run->slots, run->n_slots);
    err = err != 0 ? err : stop_at_deadline(&run->stop);
    const struct template *tag = run->tag.n > 0 ? &run->tag : NULL;
    err = err != 0 ? err
                   : output_init(&run->output, settings, tag, &run->stop, &run->bin, ahead, share);
    err = err != 0 ? err : restraint_init(&run->restraint, settings, run->stop.ctx);
    err = err != 0 ? err : make_permits(run, slots);
    play_prepare(run);
    if (run->n_slots < weir_pool_workers(run->pool)) {
        weir_pool_free(run->pool);
        run->pool = NULL;
    }
    if (err == 0 && run->pool == NULL)
        err = make_pool(run, run->n_slots);
    if (err != 0)
        complain("the workers cannot be started: %s", strerror(-err));
    return err;
}

/* What is left of the input counts as not run. */
static void count_rest(struct run *run, bool *ret_all)
{
    *ret_all = true;
    if (run->input == NULL || weir_context_err(run->stop.ctx) == 0 || run->settings->pipe)
        return;
    int64_t rest = input_count_rest(run->input, ret_all);
    int64_t per_job = run->settings->per_job > 0 ? run->settings->per_job : 1;
    if (rest > 0)
        tally_add_not_run(&run->tally, (uint64_t)((rest + per_job - 1) / per_job));
}

int run_status_of_stop(struct run *run, int err, bool left)
{
    int signal;
    enum stop_reason reason = stop_reason(&run->stop, &signal);
    if (reason == STOP_OUTPUT || err != 0 || output_error(&run->output) != 0)
        return EXIT_WEIR;
    /* What provably cannot start before the deadline is left out before it has passed. */
    if (reason == STOP_DEADLINE ||
        (reason == STOP_NO_REASON && left && run->settings->deadline > 0))
        return 124;
    return reason == STOP_SIGNAL && left ? 128 + signal : -1;
}

static int exit_status(struct run *run, const struct counts *counts, bool all, int input_err)
{
    int signal;
    enum stop_reason reason = stop_reason(&run->stop, &signal);
    uint64_t failed = counts->failed + counts->timed_out;
    bool left = counts->not_run > 0 || !all;
    int status = run_status_of_stop(run, input_err, left);
    if (status >= 0)
        return status;
    if (failed > 0) {
        bool met = reason == STOP_HALT && run->settings->halt_when == HALT_NOW &&
                   run->settings->halt_what == HALT_SUCCESS;
        return met ? 0 : failed > 100 ? 101 : (int)failed;
    }
    return left && reason != STOP_HALT ? EXIT_WEIR : 0;
}

static int sum_up(struct run *run, int input_err)
{
    bool all;
    count_rest(run, &all);
    struct counts counts = tally_read(&run->tally);
    int status = exit_status(run, &counts, all, input_err);
    /* What a halt by success or done has left was asked for. */
    int signal;
    bool asked_for =
        stop_reason(&run->stop, &signal) == STOP_HALT && run->settings->halt_what != HALT_FAIL;
    bool bad = counts.failed + counts.timed_out > 0 || (!asked_for && (counts.not_run > 0 || !all));
    if (run->settings->quiet || (!bad && !run->settings->verbose))
        return status;
    complain("%llu ok, %llu failed, %llu timed out, %s%llu not run", (unsigned long long)counts.ok,
             (unsigned long long)counts.failed, (unsigned long long)counts.timed_out,
             all ? "" : "at least ", (unsigned long long)counts.not_run);
    return status;
}

/* What the other thread does: it reads, and sees to the end of all jobs. */
struct feeding {
    struct run *run;
    struct signals *signals;
    int err;
};

static void *feed_and_drain(void *arg)
{
    struct feeding *feeding = arg;
    struct run *run = feeding->run;
    feeding->err = run->origin->feed(run);
    tally_set_total(&run->tally, (int64_t)tally_read(&run->tally).read);
    /* Jobs that wait for their next attempt are waited for, too. */
    while (weir_pool_drain(run->pool) != 0)
        continue;
    signals_end(feeding->signals);
    return NULL;
}

static int run_jobs(struct run *run, const sigset_t *waited_for)
{
    struct signals signals = {.run = run,
                              .waited_for = *waited_for,
                              .thread = pthread_self(),
                              .lock = PTHREAD_MUTEX_INITIALIZER};
    struct feeding feeding = {run, &signals, 0};
    pthread_t thread;
    if (make_workers(run) != 0) {
        weir_pool_free(run->pool);
        return EXIT_WEIR;
    }
    int err = seeing_start(run);
    if (err == 0)
        err = -pthread_create(&thread, NULL, feed_and_drain, &feeding);
    if (err != 0) {
        weir_pool_free(run->pool);
        return complain("the run cannot begin: %s", strerror(-err));
    }
    signals_wait(&signals);
    pthread_join(thread, NULL);
    weir_pool_free(run->pool);
    bin_empty(&run->bin);
    seeing_stop(run);
    return run->origin->sum_up(run, feeding.err);
}

static void take_apart(struct run *run)
{
    /* First what the clock of the deadline could still call. */
    restraint_destroy(&run->restraint);
    stop_destroy(&run->stop);
    joblog_close(&run->joblog);
    log_close(&run->log);
    seeing_close(run);
    resume_free(&run->resume);
    template_free(&run->command);
    template_free(&run->tag);
    input_free(run->input);
    output_destroy(&run->output);
    slots_destroy(&run->slots);
    launcher_destroy(&run->launcher);
}

int run_line(const struct settings *settings, const struct line *line, const struct origin *origin)
{
    struct run run = {
        .settings = settings, .origin = origin, .bin.lock = PTHREAD_MUTEX_INITIALIZER};
    sigset_t mask;
    sigset_t waited_for;
    run.joblog.fd = run.log.fd = -1;
    run.begun = weir_now();
    run.seeing.trace.fd = run.seeing.progress = -1;
    run.keeps_tail = settings->subcommand == SUBCOMMAND_WORK;
    run.needs_shown = settings->joblog != NULL || settings->trace != NULL ||
                      settings->log != NULL || settings->verbose || settings->results != NULL;
    tally_init(&run.tally);
    signals_block(&mask, &waited_for);
    int err = launcher_init(&run.launcher, &mask);
    int64_t deadline = settings->deadline > 0 ? weir_after(settings->deadline) : WEIR_FOREVER;
    err = err != 0 ? err : stop_init(&run.stop, &run.slots, deadline);
    if (err != 0)
        return complain("the run cannot begin: %s", strerror(-err));
    /* Orphans of jobs come to this process. */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    int status = open_input(&run, line);
    if (status == 0 && settings->dry_run) {
        pthread_sigmask(SIG_SETMASK, &mask, NULL);
        status = feed_dry(&run) != 0 ? EXIT_WEIR : sum_up(&run, 0);
    } else if (status == 0) {
        status = open_logs(&run);
        if (run.command.n > 0 && run.command.words[0].n == 1 &&
            run.command.words[0].parts[0].what == WHAT_TEXT)
            launcher_expect(&run.launcher, &run.command.words[0].parts[0].text);
        if (status == 0)
            status = run_jobs(&run, &waited_for);
    }
    take_apart(&run);
    return status;
}

static const struct origin from_input = {.feed = feed, .sum_up = sum_up};

int run_main(int n_words, char *const words[])
{
    struct settings settings;
    settings_init(&settings, SUBCOMMAND_RUN);
    int taken = settings_read(&settings, n_words, words);
    int status = EXIT_WEIR;
    if (taken >= 0 && settings.help) {
        status = help_say("run");
    } else if (taken >= 0 && settings_check(&settings) == 0) {
        struct line line = {words + taken, n_words - taken, 0};
        while (line.n_command < line.n_words && !input_is_separator(line.words[line.n_command]))
            line.n_command++;
        status = check_line(&settings, &line);
        if (status == 0)
            status = run_line(&settings, &line, &from_input);
    }
    settings_destroy(&settings);
    return status;
}
