/* SPDX-License-Identifier: MIT */
/* progress.c - one JSON object a line, and a file of Prometheus text: each replaces the one before
 * by a rename, so that whoever reads it sees all of one.
 */
#include "progress.h"

#include "complain.h"
#include "status.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* `text` is NULL: only sees whether it can be done. */
static int write_metrics(const struct run *run, const struct buffer *text)
{
    char path[4096];
    const char *name = run->settings->metrics;
    int size = snprintf(path, sizeof(path), "%s.%d.tmp", name, (int)getpid());
    if (size < 0 || (size_t)size >= sizeof(path))
        return -ENAMETOOLONG;
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return -errno;
    int err = 0;
    if (text != NULL)
        err = text->failed ? -ENOMEM : write_all(fd, text->data, text->size);
    if (close(fd) < 0 && err == 0)
        err = -errno;
    if (text != NULL && err == 0 && rename(path, name) < 0)
        err = -errno;
    if (text == NULL || err != 0)
        unlink(path);
    return err;
}

static void put_metric(struct buffer *text, const char *name, const char *type, const char *help)
{
    buffer_printf(text, "# HELP weir_run_%s %s\n# TYPE weir_run_%s %s\n", name, help, name, type);
}

static void put_jobs(struct buffer *text, const struct counts *counts)
{
    const struct {
        const char *state;
        uint64_t n;
    } states[] = {
        {"ok", counts->ok},           {"failed", counts->failed},   {"timeout", counts->timed_out},
        {"not_run", counts->not_run}, {"skipped", counts->skipped},
    };
    put_metric(text, "jobs_total", "counter", "Jobs that have ended, by how they did.");
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
        buffer_printf(text, "weir_run_jobs_total{state=\"%s\"} %llu\n", states[i].state,
                      (unsigned long long)states[i].n);
}

static void put_run_times(struct buffer *text, struct tally *tally)
{
    static const double bounds[] = {0.001, 0.01, 0.1, 1, 10, 60, 600, 3600};
    uint64_t n = 0;
    put_metric(text, "success_seconds", "histogram", "How long jobs took that succeeded.");
    for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++)
        buffer_printf(text, "weir_run_success_seconds_bucket{le=\"%g\"} %llu\n", bounds[i],
                      (unsigned long long)tally_below(tally, (int64_t)(bounds[i] * 1e9), NULL));
    double sum;
    n = tally_below(tally, WEIR_FOREVER, &sum);
    buffer_printf(text,
                  "weir_run_success_seconds_bucket{le=\"+Inf\"} %llu\n"
                  "weir_run_success_seconds_sum %.6f\nweir_run_success_seconds_count %llu\n",
                  (unsigned long long)n, sum, (unsigned long long)n);
}

static void make_metrics(struct buffer *text, struct run *run, const struct counts *counts,
                         unsigned running)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    put_jobs(text, counts);
    put_metric(text, "running", "gauge", "Jobs that run.");
    buffer_printf(text, "weir_run_running %u\n", running);
    put_metric(text, "slots", "gauge", "How many jobs may run at once.");
    buffer_printf(text, "weir_run_slots %u\n", run->n_slots);
    if (counts->total >= 0) {
        put_metric(text, "records", "gauge", "How many jobs there are in all.");
        buffer_printf(text, "weir_run_records %lld\n", (long long)counts->total);
    }
    put_run_times(text, &run->tally);
    put_metric(text, "elapsed_seconds", "gauge", "How long the run has taken so far.");
    buffer_printf(text, "weir_run_elapsed_seconds %.3f\n", (double)(weir_now() - run->begun) / 1e9);
    put_metric(text, "written_timestamp_seconds", "gauge", "When this was written.");
    buffer_printf(text, "weir_run_written_timestamp_seconds %lld.%03ld\n", (long long)now.tv_sec,
                  now.tv_nsec / 1000000);
}

static void make_progress(struct buffer *line, struct run *run, const struct counts *counts,
                          unsigned running)
{
    uint64_t ended = counts->ok + counts->failed + counts->timed_out;
    double seconds = (double)(weir_now() - run->begun) / 1e9;
    double rate = seconds > 0 ? (double)ended / seconds : 0;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    buffer_printf(line, "{\"time\":%lld.%03ld,\"elapsed\":%.3f,\"done\":%llu,\"total\":",
                  (long long)now.tv_sec, now.tv_nsec / 1000000, seconds,
                  (unsigned long long)(ended + counts->skipped));
    if (counts->total >= 0)
        buffer_printf(line, "%lld", (long long)counts->total);
    else
        buffer_append_text(line, "null");
    buffer_printf(line,
                  ",\"ok\":%llu,\"failed\":%llu,\"timed_out\":%llu,\"skipped\":%llu,"
                  "\"not_run\":%llu,\"running\":%u,\"jobs_per_second\":%.3f,\"eta\":",
                  (unsigned long long)counts->ok, (unsigned long long)counts->failed,
                  (unsigned long long)counts->timed_out, (unsigned long long)counts->skipped,
                  (unsigned long long)counts->not_run, running, rate);
    double left = (double)counts->total - (double)(ended + counts->skipped);
    if (counts->total >= 0 && rate > 0 && left >= 0)
        buffer_printf(line, "%.1f}\n", left / rate);
    else
        buffer_append_text(line, "null}\n");
}

static void failed(struct run *run, const char *option, const char *path, int err)
{
    /* Once: the run itself is not in danger. */
    if (err != 0 && !run->seeing.complained)
        complain("%s: %s: %s", option, path, strerror(-err));
    run->seeing.complained |= err != 0;
}

int progress_open(struct run *run)
{
    const struct settings *settings = run->settings;
    struct stat about;
    run->seeing.progress = -1;
    if (settings->progress != NULL) {
        int flags = O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC;
        run->seeing.progress = open(settings->progress, flags, 0666);
        if (run->seeing.progress < 0) {
            complain("--progress: %s: %s", settings->progress, strerror(errno));
            return -errno;
        }
    }
    if (settings->metrics == NULL)
        return 0;
    bool folder = stat(settings->metrics, &about) == 0 && S_ISDIR(about.st_mode);
    int err = folder ? -EISDIR : write_metrics(run, NULL);
    if (err != 0)
        complain("--metrics: %s: %s", settings->metrics, strerror(-err));
    return err;
}

void progress_write(struct run *run)
{
    const struct settings *settings = run->settings;
    struct counts counts = tally_read(&run->tally);
    struct buffer text = {0};
    int64_t since;
    unsigned running = status_running(run, NULL, &since);
    if (run->seeing.progress >= 0) {
        make_progress(&text, run, &counts, running);
        int err = text.failed ? -ENOMEM : write_all(run->seeing.progress, text.data, text.size);
        failed(run, "--progress", settings->progress, err);
    }
    if (settings->metrics != NULL) {
        buffer_clear(&text);
        make_metrics(&text, run, &counts, running);
        failed(run, "--metrics", settings->metrics, write_metrics(run, &text));
    }
    buffer_free(&text);
}

void progress_close(struct run *run)
{
    if (run->seeing.progress >= 0)
        close(run->seeing.progress);
    run->seeing.progress = -1;
}
