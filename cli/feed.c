/* SPDX-License-Identifier: MIT */
/* feed.c - from the input to the pool: gathers the records of a job (-n, -X), leaves out what an
 * earlier run has done (--resume), and cuts blocks (--pipe).
 */
#include "feed.h"

#include "complain.h"
#include "play.h"
#include "temporary.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define BLOCK_SIZE ((int64_t)1024 * 1024)

/* The longest word that Linux passes on, and what one command line is held to, as by xargs. */
#define WORD_SIZE ((size_t)128 * 1024)
#define LINE_SIZE ((size_t)128 * 1024)

/* The records that a job is gathered of. Their bytes are copied, as the input forgets them. */
struct batch {
    struct buffer text;
    struct bytes *columns; /* data is NULL: an offset into text is in `begins` */
    size_t *begins;
    size_t n_columns, columns_room;
    size_t *ends;
    size_t n_records, records_room;
    size_t cost;
};

static int no_memory(void)
{
    complain("no memory is left");
    return -ENOMEM;
}

static bool grow(void **array, size_t *room, size_t n, size_t size)
{
    if (n < *room)
        return true;
    size_t wanted = *room == 0 ? 16 : 2 * *room;
    void *grown = realloc(*array, wanted * size);
    if (grown == NULL)
        return false;
    *array = grown;
    *room = wanted;
    return true;
}

static int batch_add(struct batch *batch, const struct bytes columns[], size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t room = batch->columns_room;
        if (!grow((void **)&batch->columns, &room, batch->n_columns, sizeof(struct bytes)) ||
            !grow((void **)&batch->begins, &batch->columns_room, batch->n_columns, sizeof(size_t)))
            return no_memory();
        batch->columns[batch->n_columns].size = columns[i].size;
        batch->begins[batch->n_columns++] = batch->text.size;
        buffer_append(&batch->text, columns[i].data, columns[i].size);
    }
    if (batch->text.failed ||
        !grow((void **)&batch->ends, &batch->records_room, batch->n_records, sizeof(size_t)))
        return no_memory();
    batch->ends[batch->n_records++] = batch->n_columns;
    return 0;
}

static struct job *batch_take(struct batch *batch)
{
    for (size_t i = 0; i < batch->n_columns; i++)
        batch->columns[i].data =
            batch->text.data == NULL ? "" : batch->text.data + batch->begins[i];
    struct job *job = job_new(batch->columns, batch->n_columns, batch->ends, batch->n_records);
    buffer_clear(&batch->text);
    batch->n_columns = 0;
    batch->n_records = 0;
    batch->cost = 0;
    return job;
}

static void batch_free(struct batch *batch)
{
    buffer_free(&batch->text);
    free(batch->columns);
    free(batch->begins);
    free(batch->ends);
}

struct feeder {
    struct run *run;
    struct batch batch;
    struct argv argv; /* for the names of jobs in the log, and --dry-run */
    struct buffer shown;
    uint64_t seq;
    size_t line_size; /* -X */
    bool dry;
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int render(struct feeder *feeder, struct job *job, unsigned slot)
{
    struct run *run = feeder->run;
    int err = render_command(&feeder->argv, &run->command, job, slot, run->settings->fill);
    buffer_clear(&feeder->shown);
    if (feeder->argv.n > 0 && !feeder->argv.text.failed)
        render_shown(&feeder->shown, &feeder->argv, run->command.shell || job->command != NULL);
    return err;
}

static bool is_done(struct feeder *feeder, struct job *job)
{
    struct run *run = feeder->run;
    uint64_t seq;
    if (run->settings->resume == RESUME_NO)
        return false;
    /* A record that makes no command has no name in the log, and fails again. */
    if (render(feeder, job, RENDER_KEY) != 0)
        return false;
    struct bytes name = {feeder->shown.data, feeder->shown.size};
    if (resume_is_done(&run->resume, name, job->seq, &seq))
        return true;
    job->log_seq = seq != 0 ? seq : job->log_seq;
    return false;
}

static int print_dry(struct feeder *feeder, struct job *job)
{
    int err = render(feeder, job, 1);
    if (err != 0) {
        complain("job %llu: %s", (unsigned long long)job->seq, feeder->argv.why);
        job->result.state = JOB_FAILED;
        (void)tally_add(&feeder->run->tally, feeder->run->settings, job);
        return 0;
    }
    buffer_append(&feeder->shown, "\n", 1);
    err = feeder->shown.failed ? -ENOMEM
                               : write_all(STDOUT_FILENO, feeder->shown.data, feeder->shown.size);
    if (err != 0)
        complain("standard output: %s", strerror(-err));
    return err;
}

/* Returns 0, or a negative errno: nothing more is to be read. */
static int pass_on(struct feeder *feeder, struct job *job)
{
    struct run *run = feeder->run;
    if (job == NULL)
        return no_memory();
    job->run = run;
    job->seq = job->log_seq = ++feeder->seq;
    job->queued = now_ms();
    bool done = is_done(feeder, job);
    tally_add_read(&run->tally, 1, done);
    int err = 0;
    if (done || feeder->dry) {
        if (!done)
            err = print_dry(feeder, job);
        job_free(job);
        return err;
    }
    return play_submit(run, job);
}

/* Does this record still fit, beside those in the batch? */
static bool fits(struct feeder *feeder, const struct bytes columns[], size_t n, size_t *ret_cost)
{
    const struct settings *settings = feeder->run->settings;
    size_t per_job = settings->per_job > 0 ? (size_t)settings->per_job
                     : settings->fill      ? SIZE_MAX
                                           : 1;
    *ret_cost = settings->fill ? render_cost(&feeder->run->command, columns, n) : 0;
    if (feeder->batch.n_records == 0)
        return true;
    return feeder->batch.n_records < per_job &&
           (!settings->fill || feeder->batch.cost + *ret_cost <= feeder->line_size);
}

static bool is_full(const struct feeder *feeder)
{
    const struct settings *settings = feeder->run->settings;
    int64_t per_job = settings->per_job > 0 ? settings->per_job : 1;
    return (settings->per_job > 0 || !settings->fill) &&
           (int64_t)feeder->batch.n_records >= per_job;
}

static int feed_records(struct feeder *feeder)
{
    const struct bytes *columns;
    size_t n;
    size_t cost;
    int got = 0;
    int err = 0;
    while (err == 0 && (got = input_next(feeder->run->input, &columns, &n)) == 1) {
        if (!fits(feeder, columns, n, &cost))
            err = pass_on(feeder, batch_take(&feeder->batch));
        if (err == 0)
            err = batch_add(&feeder->batch, columns, n);
        feeder->batch.cost += cost;
        if (err == 0 && is_full(feeder))
            err = pass_on(feeder, batch_take(&feeder->batch));
    }
    if (got == 0 && err == 0 && feeder->batch.n_records > 0)
        err = pass_on(feeder, batch_take(&feeder->batch));
    return got < 0 ? got : err;
}

/* A block waits in memory that is not weir's own, so that it can be a job's standard input. */
static int block_job(struct bytes block, struct job **ret)
{
    struct job *job = job_new(NULL, 0, NULL, 0);
    if (job == NULL)
        return no_memory();
    job->input = temporary_memory();
    int err = job->input < 0 ? job->input : write_all(job->input, block.data, block.size);
    if (err != 0) {
        complain("a block cannot be kept: %s", strerror(-err));
        job_free(job);
        return err;
    }
    *ret = job;
    return 0;
}

static int feed_blocks(struct feeder *feeder)
{
    struct run *run = feeder->run;
    int64_t size = run->settings->block > 0 ? run->settings->block : BLOCK_SIZE;
    struct bytes block;
    struct job *job;
    int got;
    int err = 0;
    while (err == 0 && (got = input_next_block(run->input, (size_t)size, &block)) == 1) {
        err = block_job(block, &job);
        err = err != 0 ? err : pass_on(feeder, job);
    }
    return err != 0 ? err : got;
}

/* --retry-failed: the commands are in the log. */
static int feed_failed(struct feeder *feeder)
{
    size_t at = 0;
    uint64_t seq;
    const char *command;
    int err = 0;
    while (err == 0 && (command = resume_next_failed(&feeder->run->resume, &at, &seq)) != NULL) {
        struct job *job = job_new_command((struct bytes){command, strlen(command)});
        if (job == NULL)
            return no_memory();
        feeder->seq = seq - 1;
        err = pass_on(feeder, job);
    }
    return err;
}

/* How long a command line may be: all words, or the one word that the shell reads. */
static size_t line_size(const struct run *run)
{
    size_t used = 4096;
    for (size_t i = 0; environ[i] != NULL; i++)
        used += strlen(environ[i]) + 1 + sizeof(char *);
    for (size_t i = 0; i < run->command.n; i++)
        for (size_t j = 0; j < run->command.words[i].n; j++)
            used += run->command.words[i].parts[j].text.size + 1 + sizeof(char *);
    long all = sysconf(_SC_ARG_MAX);
    size_t most = run->command.shell ? WORD_SIZE : LINE_SIZE;
    size_t left = all > 0 && (size_t)all > used ? (size_t)all - used : 1;
    if (run->command.shell)
        most -= 4096;
    return left < most ? left : most;
}

static int feed_all(struct run *run, bool dry)
{
    struct feeder feeder = {.run = run, .dry = dry, .line_size = line_size(run)};
    int err;
    if (run->settings->retry_failed)
        err = feed_failed(&feeder);
    else if (run->settings->pipe)
        err = feed_blocks(&feeder);
    else
        err = feed_records(&feeder);
    /* Records that were gathered and not passed on are not run. */
    if (feeder.batch.n_records > 0)
        tally_add_not_run(&run->tally, 1);
    batch_free(&feeder.batch);
    argv_free(&feeder.argv);
    buffer_free(&feeder.shown);
    /* That the run stops is no fault of the input. */
    return weir_context_err(run->stop.ctx) != 0 ? 0 : err;
}

int feed(struct run *run)
{
    return feed_all(run, false);
}

int feed_dry(struct run *run)
{
    return feed_all(run, true);
}
