/* SPDX-License-Identifier: MIT */
/* jobs.c - exports: work in the background that outlives a restart.
 *
 * A job is a row, and as long as it is not over a task on a second pool, so that no export keeps a
 * request waiting. It works in batches, each in one transaction with the note of how far it came.
 * So it may be stopped at any time, and goes on from there: after an error, which is retried with
 * growing pauses; after a restart. */
#include "inside.h"

#include "jobs.h"

#include <stdlib.h>
#include <string.h>

enum { BATCH_BYTES = 262144 };

struct job {
    struct job *next;
    struct jobs *jobs;
    int64_t id;
    char *expression; /* of FTS5 */
    weir_task task;
    atomic_int attempts;
};

struct jobs {
    struct service *service;
    pthread_mutex_t lock;
    struct job *first; /* under `lock`: those that are not over, or were not cleaned yet */
    size_t n;
};

struct batch {
    struct job *job;
    bool over;
};

/* Texts of documents, as lines of JSON; from `*last` on. */
static int collect(struct db *db, const char *expression, struct text *text, int64_t *last,
                   int64_t *ret_n)
{
    sqlite3_stmt *statement = db_statement(
        db, "SELECT rowid, text FROM words WHERE words MATCH ? AND rowid > ? ORDER BY rowid"
            " LIMIT 100");
    if (statement == NULL)
        return db_error(db);
    sqlite3_bind_text(statement, 1, expression, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, *last);
    int more = 0;
    while (text->length < BATCH_BYTES && (more = db_step(db, statement)) == 1) {
        const char *found = (const char *)sqlite3_column_text(statement, 1);
        *last = sqlite3_column_int64(statement, 0);
        text_format(text, "{\"id\":%lld,\"text\":", (long long)*last);
        text_json(text, found != NULL ? found : "");
        text_put(text, "}\n");
        ++*ret_n;
    }
    if (more == 1)
        db_reset(statement);
    return more < 0 ? more : text->failed ? -ENOMEM : 0;
}

static int count_all(struct db *db, const struct job *job)
{
    sqlite3_stmt *statement = db_statement(db, "UPDATE jobs SET state = 'running', total ="
                                               " (SELECT count(*) FROM words WHERE words MATCH ?2)"
                                               " WHERE id = ?1 AND state = 'queued'");
    if (statement == NULL)
        return db_error(db);
    sqlite3_bind_text(statement, 2, job->expression, -1, SQLITE_STATIC);
    return db_step_with(db, statement, job->id);
}

static int write_part(struct db *db, const struct job *job, const struct text *text, int64_t last,
                      int64_t n)
{
    sqlite3_stmt *part = db_statement(db, "INSERT INTO exports(job, part, text) VALUES (?, ?, ?)");
    sqlite3_stmt *note = db_statement(db, "UPDATE jobs SET last = ?2, done = done + ?3,"
                                          " state = iif(?3 = 0, 'done', 'running') WHERE id = ?1");
    if (part == NULL || note == NULL)
        return db_error(db);
    int err = 0;
    if (n > 0) {
        sqlite3_bind_int64(part, 2, last);
        sqlite3_bind_text(part, 3, text->data, (int)text->length, SQLITE_STATIC);
        err = db_step_with(db, part, job->id);
    }
    sqlite3_bind_int64(note, 2, last);
    sqlite3_bind_int64(note, 3, n);
    return err != 0 ? err : db_step_with(db, note, job->id);
}

static int run_batch(struct db *db, void *arg)
{
    struct batch *batch = arg;
    const struct job *job = batch->job;
    struct text text = {0};
    int64_t n = 0;
    int err = count_all(db, job);
    if (err != 0)
        return err;
    sqlite3_stmt *row =
        db_statement(db, "SELECT last FROM jobs WHERE id = ? AND state = 'running'");
    err = db_step_with(db, row, job->id);
    batch->over = err == 0; /* it was cancelled */
    if (err <= 0)
        return err;
    int64_t last = sqlite3_column_int64(row, 0);
    db_reset(row);
    err = collect(db, job->expression, &text, &last, &n);
    if (err == 0)
        err = write_part(db, job, &text, last, n);
    batch->over = n == 0;
    free(text.data);
    return err;
}

static int run_job(weir_context *ctx, void *arg)
{
    struct batch batch = {.job = arg};
    atomic_fetch_add(&batch.job->attempts, 1);
    while (!batch.over) {
        int err = store_call(&batch.job->jobs->service->store, WRITE, ctx, run_batch, &batch);
        if (err != 0)
            return err;
    }
    return 0;
}

/* Whatever the database says now, it may say something else later. A job goes on until it is done,
 * is cancelled, or the service stops. */
int jobs_add(struct jobs *jobs, int64_t id, const char *expression)
{
    struct job *job = calloc(1, sizeof *job);
    if (job == NULL || (job->expression = strdup(expression)) == NULL) {
        free(job);
        return -ENOMEM;
    }
    job->jobs = jobs;
    job->id = id;
    pthread_mutex_lock(&jobs->lock);
    int err = weir_pool_submit_retry(
        jobs->service->background, &job->task, run_job, job, WEIR_TASK_OPTIONS(.name = "export"),
        WEIR_RETRY_OPTIONS(.max_attempts = UINT32_MAX, .max_interval = WEIR_S(10)));
    if (err == 0) {
        job->next = jobs->first;
        jobs->first = job;
        jobs->n++;
    }
    pthread_mutex_unlock(&jobs->lock);
    if (err != 0) {
        free(job->expression);
        free(job);
    }
    return err;
}

/* Takes those out that are over. */
static void forget_over(struct jobs *jobs)
{
    pthread_mutex_lock(&jobs->lock);
    for (struct job **at = &jobs->first, *job; (job = *at) != NULL;) {
        if (weir_task_try_wait(&job->task) == -EAGAIN) {
            at = &job->next;
            continue;
        }
        *at = job->next;
        jobs->n--;
        free(job->expression);
        free(job);
    }
    pthread_mutex_unlock(&jobs->lock);
}

size_t jobs_live(struct jobs *jobs)
{
    forget_over(jobs);
    pthread_mutex_lock(&jobs->lock);
    size_t n = jobs->n;
    pthread_mutex_unlock(&jobs->lock);
    return n;
}

int jobs_attempts(struct jobs *jobs, int64_t id)
{
    int attempts = 0;
    pthread_mutex_lock(&jobs->lock);
    for (struct job *job = jobs->first; job != NULL; job = job->next)
        if (job->id == id)
            attempts = atomic_load(&job->attempts);
    pthread_mutex_unlock(&jobs->lock);
    return attempts;
}

void jobs_cancel(struct jobs *jobs, int64_t id)
{
    pthread_mutex_lock(&jobs->lock);
    for (struct job *job = jobs->first; job != NULL; job = job->next)
        if (job->id == id)
            (void)weir_task_cancel(&job->task);
    pthread_mutex_unlock(&jobs->lock);
}

static int start_waiting(struct db *db, void *arg)
{
    struct jobs *jobs = arg;
    sqlite3_stmt *statement =
        db_statement(db, "SELECT id, query FROM jobs WHERE state IN ('queued', 'running')");
    int more, err = 0;
    while (err == 0 && (more = db_step(db, statement)) == 1)
        err = jobs_add(jobs, sqlite3_column_int64(statement, 0),
                       (const char *)sqlite3_column_text(statement, 1));
    if (err != 0) {
        db_reset(statement);
        return err;
    }
    return more;
}

int jobs_start(struct jobs **ret, struct service *service)
{
    struct jobs *jobs = calloc(1, sizeof *jobs);
    if (jobs == NULL)
        return -ENOMEM;
    pthread_mutex_init(&jobs->lock, NULL);
    jobs->service = service;
    *ret = jobs; /* tasks may run from here on */
    return store_call(&service->store, READ, NULL, start_waiting, jobs);
}

void jobs_free(struct jobs *jobs)
{
    if (jobs == NULL)
        return;
    forget_over(jobs);
    pthread_mutex_destroy(&jobs->lock);
    free(jobs);
}

static int delete_expired(struct db *db, void *arg)
{
    (void)arg;
    int err = db_step(db, db_statement(db, "DELETE FROM answers WHERE expires <= unixepoch()"));
    if (err == 0)
        err = db_step(db, db_statement(db, "DELETE FROM exports WHERE job IN (SELECT id FROM jobs"
                                           " WHERE expires <= unixepoch())"));
    if (err == 0)
        err = db_step(db, db_statement(db, "DELETE FROM jobs WHERE expires <= unixepoch()"));
    return err;
}

int jobs_clean(struct jobs *jobs, weir_context *ctx)
{
    forget_over(jobs);
    return store_call(&jobs->service->store, WRITE, ctx, delete_expired, NULL);
}
