/* SPDX-License-Identifier: MIT */
/* exports.c - the routes of exports and their jobs: ask for one, look how far it is, cancel it, get
 * what it found. */
#include "inside.h"

#include "idempotency.h"
#include "jobs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MOST_LIVE = 512 };

struct export
{
    int64_t id;
    const char *expression;
    struct idempotency once;
    char state[16];
    int64_t done, total;
    FILE *file;
    int64_t changed;
};

static int insert_job(struct db *db, void *arg)
{
    struct export *export = arg;
    int err = idempotency_look(db, &export->once);
    if (err != 0 || export->once.known)
        return err;
    sqlite3_stmt *statement = db_statement(db, "INSERT INTO jobs(query, state, expires)"
                                               " VALUES (?, 'queued', unixepoch() + 86400)");
    if (statement == NULL)
        return db_error(db);
    sqlite3_bind_text(statement, 1, export->expression, -1, SQLITE_STATIC);
    err = db_step(db, statement);
    export->id = sqlite3_last_insert_rowid(db_handle(db));
    snprintf(export->once.location, sizeof export->once.location, "/jobs/%lld",
             (long long)export->id);
    return err != 0 ? err : idempotency_keep(db, &export->once);
}

static int accept_export(struct request *request, const char *expression)
{
    struct service *service = request->service;
    struct export export = {.expression = expression};
    int err = idempotency_init(&export.once, request);
    if (err != 0)
        return err;
    if (jobs_live(service->jobs) >= MOST_LIVE)
        return respond_busy(request, "too many jobs");
    err = store_call(&service->store, WRITE, request->context, insert_job, &export);
    if (err == -EEXIST)
        return respond_json(request, 422,
                            "{\"error\":\"this key was used for another request\"}\n");
    if (err == 0 && !export.once.known && jobs_add(service->jobs, export.id, expression) != 0)
        log_error(&service->log, "job %lld waits for the next start", (long long)export.id);
    if (err != 0)
        return err;
    respond_header(request, "Location", export.once.location);
    return respond_json(request, 202, "{\"location\":\"%s\"}\n", export.once.location);
}

static int add_export(struct request *request)
{
    size_t size;
    const char *body = request_body(request, &size);
    char *words = json_field(body, size, "q");
    struct text expression = {0};
    int err = words == NULL || !fts_expression(&expression, words) ? -EINVAL : 0;
    if (err == 0)
        err = expression.failed ? -ENOMEM : accept_export(request, expression.data);
    free(words);
    free(expression.data);
    return err;
}

static int read_job(struct db *db, void *arg)
{
    struct export *export = arg;
    sqlite3_stmt *row = db_statement(
        db, "SELECT state, done, total FROM jobs WHERE id = ? AND expires > unixepoch()");
    int err = db_step_with(db, row, export->id);
    if (err <= 0)
        return err;
    snprintf(export->state, sizeof export->state, "%s", (const char *)sqlite3_column_text(row, 0));
    export->done = sqlite3_column_int64(row, 1);
    export->total = sqlite3_column_int64(row, 2);
    db_reset(row);
    return 0;
}

static int find_job(struct request *request, struct export *export)
{
    if (read_number(request_param(request, "id"), 1, INT64_MAX, &export->id) != 0)
        return -ENOENT;
    int err = store_call(&request->service->store, READ, request->context, read_job, export);
    return err == 0 && export->state[0] == '\0' ? -ENOENT : err;
}

static int get_job(struct request *request)
{
    struct export export = {0};
    int err = find_job(request, &export);
    if (err != 0)
        return err;
    char result[64] = "null";
    if (strcmp(export.state, "done") == 0)
        snprintf(result, sizeof result, "\"/exports/%lld\"", (long long)export.id);
    return respond_json(request, 200,
                        "{\"id\":%lld,\"state\":\"%s\",\"done\":%lld,\"total\":%lld,"
                        "\"attempts\":%d,\"result\":%s}\n",
                        (long long)export.id, export.state, (long long)export.done,
                        (long long)export.total, jobs_attempts(request->service->jobs, export.id),
                        result);
}

static int cancel_row(struct db *db, void *arg)
{
    struct export *export = arg;
    int err = db_step_with(db,
                           db_statement(db, "UPDATE jobs SET state = 'cancelled' WHERE id = ?"
                                            " AND state IN ('queued', 'running')"),
                           export->id);
    export->changed = sqlite3_changes(db_handle(db));
    return err;
}

static int cancel_job(struct request *request)
{
    struct service *service = request->service;
    struct export export = {0};
    int err = find_job(request, &export);
    if (err == 0)
        err = store_call(&service->store, WRITE, request->context, cancel_row, &export);
    if (err != 0)
        return err;
    if (export.changed == 0)
        return respond_json(request, 409, "{\"error\":\"it is over\"}\n");
    jobs_cancel(service->jobs, export.id);
    return respond(request, 204, NULL, NULL, 0);
}

static int write_parts(struct db *db, void *arg)
{
    struct export *export = arg;
    sqlite3_stmt *statement =
        db_statement(db, "SELECT text FROM exports WHERE job = ? ORDER BY part");
    if (statement == NULL)
        return db_error(db);
    sqlite3_bind_int64(statement, 1, export->id);
    int more;
    while ((more = db_step(db, statement)) == 1) {
        size_t n = (size_t)sqlite3_column_bytes(statement, 0);
        if (fwrite(sqlite3_column_blob(statement, 0), 1, n, export->file) != n) {
            db_reset(statement);
            return -errno;
        }
    }
    return more;
}

/* By way of a file without a name, so that memory does not depend on the size. MHD sends it. */
static int get_export(struct request *request)
{
    struct export export = {0};
    int err = find_job(request, &export);
    if (err != 0)
        return err;
    if (strcmp(export.state, "done") != 0)
        return -ENOENT;
    export.file = tmpfile();
    if (export.file == NULL)
        return -errno;
    err = store_call(&request->service->store, READ, request->context, write_parts, &export);
    if (err == 0 && fflush(export.file) != 0)
        err = -errno;
    long size = ftell(export.file);
    int fd = err == 0 ? dup(fileno(export.file)) : -1;
    fclose(export.file);
    if (err == 0)
        request->response.stream =
            fd < 0 || size < 0 ? NULL : MHD_create_response_from_fd((uint64_t)size, fd);
    if (err != 0 || request->response.stream == NULL) {
        if (fd >= 0)
            (void)close(fd);
        return err != 0 ? err : -ENOMEM;
    }
    return respond(request, 200, "application/x-ndjson", NULL, 0);
}

int add_exports(struct service *service)
{
    int err = service_add_route(service, "POST", "/exports", add_export, ROUTE_WRITES);
    if (err == 0)
        err = service_add_route(service, "GET", "/exports/:id", get_export, 0);
    if (err == 0)
        err = service_add_route(service, "GET", "/jobs/:id", get_job, 0);
    if (err == 0)
        err = service_add_route(service, "DELETE", "/jobs/:id", cancel_job, ROUTE_WRITES);
    return err;
}
