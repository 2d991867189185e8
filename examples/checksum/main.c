/* SPDX-License-Identifier: MIT */
/* main.c - checksum: SHA-256 of whole trees, on all CPUs, in the order and format of sha256sum.
 *
 * What each thread does: the main thread walks the tree and gives each file to an errgroup, never
 * far ahead of the workers; a worker reads and hashes one file and then prints, if its file was the
 * oldest, what has ended; a thread waits for signals; one draws the progress.
 *
 * How it stops: `taking` is the errgroup's parent. Once it is done, by a signal or because nothing
 * can be printed any more, no file is begun. It is a child of `deadline`, which is done when
 * --timeout has passed and which is what a worker looks at while it reads. So a signal lets the
 * files that are being read be finished, and a time-out does not.
 *
 * A file that cannot be read is a result like any other: its member of the group returns 0, since
 * an error would stop the group. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir.h>

#include "hash.h"
#include "interrupt.h"
#include "options.h"
#include "order.h"
#include "print.h"
#include "progress.h"
#include "terminal.h"
#include "walk.h"

/* How far the files that are begun may be ahead of the oldest that is not printed: so many small
 * files are read beside one large one. */
#define WINDOW 4096

/* How many members the group may have at once, queued or running: enough for a worker never to wait
 * for the next, and few for a stop to leave undone. */
#define LIMIT(workers) (32 + 4 * (workers))

struct run {
    struct terminal terminal;
    struct interrupt interrupt;
    bool watching; /* interrupt_start was called */
    struct progress progress;
    weir_context *deadline, *taking;
    struct order *order;
    weir_pool *pool;
    weir_errgroup *group;
    struct hasher *hashers[MAX_WORKERS]; /* by worker */
    /* Written by the thread that prints, one at a time; read once the order is freed. */
    uint64_t hashed, failed, undone;
    int write_error;
    /* What it came to. */
    double seconds;
    weir_pool_counts counts;
};

static int worker_start(unsigned index, void *user)
{
    struct run *run = user;
    return hasher_new(&run->hashers[index]);
}

static void worker_stop(unsigned index, void *user)
{
    struct run *run = user;
    hasher_free(run->hashers[index]);
    run->hashers[index] = NULL;
}

static int hash_member(weir_context *ctx, void *arg)
{
    struct job *job = arg;
    struct run *run = job->user;
    /* Not `ctx`, which a signal ends as well. */
    (void)ctx;
    int err = hash_file(run->hashers[weir_pool_worker_index()], job->path, job->given,
                        run->deadline, &run->progress.bytes, job->digest);
    atomic_fetch_add_explicit(&run->progress.files, 1, memory_order_relaxed);
    enum job_end end = err == 0 ? JOB_HASHED : err == HASH_STOPPED ? JOB_UNDONE : JOB_FAILED;
    order_put(run->order, job, end, err);
    return 0;
}

/* A member that will never start: the group was stopped while it was queued. */
static void dropped(weir_task_fn *fn, void *arg, weir_state why, void *user)
{
    struct run *run = user;
    (void)fn;
    (void)why;
    order_drop(run->order, arg);
}

static void emit_digest(struct run *run, const struct job *job)
{
    run->hashed++;
    if (run->write_error != 0)
        return;
    terminal_begin(&run->terminal, stdout);
    print_digest(stdout, job->digest, job->path);
    if (ferror(stdout))
        run->write_error = errno != 0 ? errno : EIO;
    terminal_end(&run->terminal, stdout);
    if (run->write_error != 0)
        weir_context_cancel(run->taking, -EIO);
}

static void emit(const struct job *job, void *user)
{
    struct run *run = user;
    if (job->end == JOB_HASHED) {
        emit_digest(run, job);
    } else if (job->end == JOB_FAILED) {
        run->failed++;
        complain(&run->terminal, job->path, strerror(-job->error), NULL);
    } else {
        run->undone++;
        /* When nothing can be printed, everything from there on is undone: no need to list it. */
        if (run->write_error == 0)
            complain(&run->terminal, job->path, "left undone", NULL);
    }
}

static void tell_rest(const char *path, const char *after, void *user)
{
    struct run *run = user;
    if (path == NULL)
        complain(&run->terminal, "standard input", "left undone what it still lists", NULL);
    else
        complain(&run->terminal, path,
                 after == NULL ? "left undone" : "left undone: everything after", after);
}

/* Gives every file to the group. Returns 0; why it had to stop. */
static int take_files(struct run *run, struct walk *walk)
{
    struct walk_item item;
    int got;
    while ((got = walk_next(walk, &item)) == 1) {
        struct job *job = order_take(run->order, item.path, item.given);
        if (job == NULL)
            return -ENOMEM;
        if (item.error != 0) {
            order_put(run->order, job, JOB_FAILED, item.error);
            continue;
        }
        int err = weir_errgroup_go(run->group, hash_member, job);
        if (err != 0) {
            order_put(run->order, job, JOB_UNDONE, 0);
            return err;
        }
    }
    return got;
}

/* Makes everything that a run needs. Returns 0 or a negative errno; run_end is due either way. */
static int run_start(struct run *run, const struct options *options)
{
    int64_t deadline = options->timeout == 0 ? WEIR_FOREVER : weir_after(options->timeout);
    int err = weir_context_new(&run->deadline, NULL, deadline);
    if (err == 0)
        err = weir_context_new(&run->taking, run->deadline, WEIR_FOREVER);
    /* Before there are other threads: they are to inherit the signals that it blocks. */
    if (err == 0) {
        err = interrupt_start(&run->interrupt, run->taking, &run->terminal);
        run->watching = err == 0;
    }
    if (err == 0)
        err = weir_pool_new(&run->pool,
                            WEIR_POOL_OPTIONS(.workers = options->workers, .capacity = WINDOW,
                                              .name = "checksum", .on_worker_start = worker_start,
                                              .on_worker_stop = worker_stop, .on_drop = dropped,
                                              .user = run));
    if (err == 0) {
        unsigned limit = LIMIT(weir_pool_workers(run->pool));
        err = weir_errgroup_new(&run->group, run->pool, run->taking,
                                WEIR_ERRGROUP_OPTIONS(.limit = limit));
        if (err == 0)
            err = order_new(&run->order, WINDOW, limit, emit, run);
    }
    return err;
}

static void run_end(struct run *run)
{
    weir_errgroup_free(run->group);
    weir_pool_free(run->pool);
    order_free(run->order);
    if (run->watching)
        interrupt_stop(&run->interrupt);
    weir_context_unref(run->taking);
    weir_context_unref(run->deadline);
}

/* Writes the counts of the run and of its pool, `key=value` a line. Returns 0, or -errno. */
static int write_stats(const struct run *run, const char *path)
{
    const weir_pool_counts *counts = &run->counts;
    FILE *out = fopen(path, "we");
    if (out == NULL)
        return -errno;
    const struct {
        const char *key;
        uint64_t value;
    } lines[] = {
        {"files", run->hashed},
        {"failed", run->failed},
        {"undone", run->undone},
        {"bytes", atomic_load(&run->progress.bytes)},
        {"workers", weir_pool_workers(run->pool)},
        {"tasks_submitted", counts->submitted},
        {"tasks_rejected", counts->rejected},
        {"tasks_done", counts->done},
        {"tasks_failed", counts->failed},
        {"tasks_cancelled", counts->cancelled},
        {"tasks_expired", counts->expired},
        {"tasks_dropped", counts->dropped},
        {"tasks_peak_queued", counts->peak_queued},
    };
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        fprintf(out, "%s=%" PRIu64 "\n", lines[i].key, lines[i].value);
    fprintf(out, "seconds=%.3f\n", run->seconds);
    bool bad = ferror(out) != 0;
    return fclose(out) != 0 || bad ? -EIO : 0;
}

/* Says how it went, once all files are done. `err` is why files were left out, or 0. Returns the
 * exit code. */
static int conclude(struct run *run, const struct walk *walk, const char *stats, int err)
{
    bool stopped = weir_context_err(run->taking) != 0;
    bool timed_out = weir_context_err(run->deadline) != 0 && (err != 0 || run->undone > 0);
    bool incomplete = err != 0 || run->failed > 0 || run->undone > 0;
    if (fclose(stdout) != 0 && run->write_error == 0)
        run->write_error = errno;
    if (run->write_error != 0) {
        complain(&run->terminal, "write error", strerror(run->write_error), NULL);
        incomplete = true;
    } else if (err != 0) {
        walk_rest(walk, tell_rest, run);
    }
    if (err != 0 && !stopped)
        complain(&run->terminal, NULL, strerror(-err), NULL);
    if (timed_out)
        complain(&run->terminal, NULL, "stopped: the time is over", NULL);
    int stats_err = stats != NULL ? write_stats(run, stats) : 0;
    if (stats_err != 0) {
        complain(&run->terminal, stats, strerror(-stats_err), NULL);
        incomplete = true;
    }

    int signal_number = interrupt_signal(&run->interrupt);
    if (signal_number != 0)
        return EXIT_SIGNAL + signal_number;
    if (timed_out)
        return EXIT_TIMEOUT;
    return incomplete ? EXIT_INCOMPLETE : EXIT_DONE;
}

/* Hashes all there is. Returns the exit code. */
static int hash_all(struct run *run, const struct options *options, struct walk *walk)
{
    int64_t start = weir_now();
    int err = progress_start(&run->progress, &run->terminal, options->paths, options->n_paths);
    if (err == 0)
        err = take_files(run, walk);
    /* No member fails, so that only `taking` can have ended the group. */
    int over = weir_errgroup_wait(run->group);
    order_free(run->order);
    run->order = NULL;
    run->seconds = (double)(weir_now() - start) / 1e9;
    weir_pool_read_counts(run->pool, &run->counts);
    progress_stop(&run->progress, err == 0 && over == 0);
    return conclude(run, walk, options->stats, err);
}

/* A standard descriptor that is closed would be the number of the next file opened, and digests
 * would go there. What takes its place here still fails when it is used. */
static void hold_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

int main(int argc, char *argv[])
{
    static struct run run;
    struct options options;
    int code = options_parse(&options, argc, argv);
    if (code >= 0)
        return code;
    hold_standard_descriptors();
    terminal_init(&run.terminal);

    int err = run_start(&run, &options);
    struct names names;
    struct walk *walk = NULL;
    if (err == 0) {
        names_init(&names, options.paths, options.n_paths, run.taking,
                   interrupt_fd(&run.interrupt));
        err = walk_new(&walk, &names);
    }
    code = EXIT_INCOMPLETE;
    if (err == 0)
        code = hash_all(&run, &options, walk);
    else
        complain(&run.terminal, "cannot start", strerror(-err), NULL);
    walk_free(walk);
    run_end(&run);
    terminal_destroy(&run.terminal);
    return code;
}
