/* SPDX-License-Identifier: MIT */
/* store.c - the database: SQLite behind a breaker and two pools of connections.
 *
 * What counts for the breaker is what the database did: an error of its own, a call that took too
 * long, no connection in time. That a client did not want to wait is no failure.
 *
 * For tests, WEIR_SERVICE_FAULT is db-slow, db-fail or db-locked, and with @FILE behind it that
 * holds while the file exists. It stands in front of SQLite and needs no build of its own. */
#include "store.h"

#include <errno.h>
#include <stdio.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STATEMENTS = 32 };

struct db {
    sqlite3 *handle;
    weir_context *ctx;
    int64_t give_up; /* waiting for a lock */
    size_t n;
    struct {
        const char *sql;
        sqlite3_stmt *statement;
    } statements[STATEMENTS];
};

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS documents (id INTEGER PRIMARY KEY AUTOINCREMENT, text TEXT NOT"
    " NULL, created INTEGER NOT NULL DEFAULT (unixepoch()));"
    "CREATE VIRTUAL TABLE IF NOT EXISTS words USING fts5(text, content='documents',"
    " content_rowid='id');"
    "CREATE TRIGGER IF NOT EXISTS documents_added AFTER INSERT ON documents BEGIN"
    " INSERT INTO words(rowid, text) VALUES (new.id, new.text); END;"
    "CREATE TRIGGER IF NOT EXISTS documents_deleted AFTER DELETE ON documents BEGIN"
    " INSERT INTO words(words, rowid, text) VALUES ('delete', old.id, old.text); END;"
    "CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, digest INTEGER NOT NULL,"
    " location TEXT NOT NULL, expires INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS answers_expire ON answers(expires);"
    "CREATE TABLE IF NOT EXISTS jobs (id INTEGER PRIMARY KEY AUTOINCREMENT, query TEXT NOT NULL,"
    " state TEXT NOT NULL, done INTEGER NOT NULL DEFAULT 0, total INTEGER NOT NULL DEFAULT 0,"
    " last INTEGER NOT NULL DEFAULT 0, attempts INTEGER NOT NULL DEFAULT 0, error TEXT,"
    " expires INTEGER NOT NULL);"
    "CREATE TABLE IF NOT EXISTS exports (job INTEGER NOT NULL, part INTEGER NOT NULL,"
    " text TEXT NOT NULL, PRIMARY KEY (job, part)) WITHOUT ROWID;";

static int error_of(int code)
{
    switch (code & 0xff) {
    case SQLITE_OK:
        return 0;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return -EBUSY;
    case SQLITE_INTERRUPT:
        return -ECANCELED;
    case SQLITE_NOMEM:
        return -ENOMEM;
    case SQLITE_FULL:
        return -ENOSPC;
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
        return -EACCES;
    default:
        return -EIO;
    }
}

int db_error(struct db *db)
{
    int err = error_of(sqlite3_extended_errcode(db->handle));
    if (err == -ECANCELED && weir_context_err(db->ctx) != 0)
        return weir_context_err(db->ctx);
    return err != 0 ? err : -EIO;
}

sqlite3 *db_handle(struct db *db)
{
    return db->handle;
}

sqlite3_stmt *db_statement(struct db *db, const char *sql)
{
    for (size_t i = 0; i < db->n; i++)
        if (db->statements[i].sql == sql)
            return db->statements[i].statement;
    sqlite3_stmt *statement = NULL;
    if (db->n == STATEMENTS || sqlite3_prepare_v3(db->handle, sql, -1, SQLITE_PREPARE_PERSISTENT,
                                                  &statement, NULL) != SQLITE_OK)
        return NULL;
    db->statements[db->n].sql = sql;
    db->statements[db->n++].statement = statement;
    return statement;
}

int db_step(struct db *db, sqlite3_stmt *statement)
{
    if (statement == NULL)
        return db_error(db);
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW)
        return 1;
    int err = code == SQLITE_DONE ? 0 : db_error(db);
    db_reset(statement);
    return err;
}

int db_step_with(struct db *db, sqlite3_stmt *statement, int64_t first)
{
    if (statement == NULL)
        return db_error(db);
    sqlite3_bind_int64(statement, 1, first);
    return db_step(db, statement);
}

void db_reset(sqlite3_stmt *statement)
{
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
}

/* Called by SQLite now and then: non-zero ends what it does. */
static int is_over(void *arg)
{
    const struct db *db = arg;
    return weir_context_err(db->ctx) != 0;
}

/* Called when another process holds the lock: non-zero tries again. */
static int wait_for_lock(void *arg, int times)
{
    struct db *db = arg;
    (void)times;
    return weir_now() < db->give_up && weir_sleep_until(db->ctx, weir_after(WEIR_MS(2))) == 0;
}

static void close_connection(void *user, void *resource)
{
    struct db *db = resource;
    (void)user;
    for (size_t i = 0; i < db->n; i++)
        sqlite3_finalize(db->statements[i].statement);
    sqlite3_close(db->handle);
    free(db);
}

static int open_connection(void *user, void **ret_resource)
{
    const struct store *store = user;
    struct db *db = calloc(1, sizeof *db);
    if (db == NULL)
        return -ENOMEM;
    int code =
        sqlite3_open_v2(store->path, &db->handle,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code == SQLITE_OK) {
        sqlite3_busy_timeout(db->handle, 5000); /* while others open it too */
        code = sqlite3_exec(db->handle,
                            "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                            "PRAGMA foreign_keys=ON; PRAGMA temp_store=MEMORY",
                            NULL, NULL, NULL);
    }
    if (code != SQLITE_OK) {
        close_connection(NULL, db);
        return error_of(code);
    }
    sqlite3_busy_handler(db->handle, wait_for_lock, db);
    sqlite3_progress_handler(db->handle, 1000, is_over, db);
    *ret_resource = db;
    return 0;
}

static int make_tables(struct db *db, void *arg)
{
    return sqlite3_exec(db->handle, arg, NULL, NULL, NULL) == SQLITE_OK ? 0 : db_error(db);
}

static int new_breaker(struct store *store, const struct store_options *options)
{
    weir_breaker *breaker = calloc(1, sizeof *breaker), *old = store->breaker;
    if (breaker == NULL)
        return -ENOMEM;
    int err = weir_breaker_init(
        breaker, WEIR_BREAKER_OPTIONS(.window = (uint32_t)options->breaker_window,
                                      .failure_ratio = (double)options->breaker_percent / 100,
                                      .open_for = WEIR_MS(options->breaker_open_ms)));
    if (err == 0 && old != NULL && store->n_retired == sizeof store->retired / sizeof old)
        err = -ENOSPC;
    if (err != 0) {
        free(breaker);
        return err;
    }
    pthread_mutex_lock(&store->lock);
    if (old != NULL)
        store->retired[store->n_retired++] = old;
    store->breaker = breaker;
    pthread_mutex_unlock(&store->lock);
    return 0;
}

int store_change(struct store *store, const struct store_options *options, int another_breaker)
{
    atomic_store(&store->acquire_ns, WEIR_MS(options->acquire_ms));
    atomic_store(&store->slow_ns, WEIR_MS(options->slow_ms));
    return another_breaker ? new_breaker(store, options) : 0;
}

int store_open(struct store *store, const struct store_options *options)
{
    store->path = options->path;
    pthread_mutex_init(&store->lock, NULL);
    int err = store_change(store, options, 1);
    for (int lane = READ; lane <= WRITE && err == 0; lane++)
        err = weir_lease_pool_new(
            &store->lanes[lane], WEIR_LEASE_OPTIONS(.max = lane == WRITE ? 1 : options->connections,
                                                    .min_idle = 1, .make = open_connection,
                                                    .destroy = close_connection, .user = store));
    if (err == 0)
        err = store_call(store, WRITE, NULL, make_tables, (void *)(uintptr_t)schema);
    return err;
}

void store_close(struct store *store)
{
    weir_lease_pool_free(store->lanes[READ]);
    weir_lease_pool_free(store->lanes[WRITE]);
    free(store->breaker);
    for (size_t i = 0; i < store->n_retired; i++)
        free(store->retired[i]);
    pthread_mutex_destroy(&store->lock);
}

weir_breaker *store_breaker(struct store *store)
{
    pthread_mutex_lock(&store->lock);
    weir_breaker *breaker = store->breaker;
    pthread_mutex_unlock(&store->lock);
    return breaker;
}

/* What the tests wish to happen instead. 0: nothing. */
static int inject(weir_context *ctx)
{
    const char *fault = getenv("WEIR_SERVICE_FAULT");
    if (fault == NULL)
        return 0;
    const char *file = strchr(fault, '@');
    size_t n = file != NULL ? (size_t)(file - fault) : strlen(fault);
    if (file != NULL && access(file + 1, F_OK) != 0)
        return 0;
    if (strncmp(fault, "db-fail", n) == 0)
        return -EIO;
    if (strncmp(fault, "db-locked", n) == 0)
        return -EBUSY;
    if (strncmp(fault, "db-slow", n) == 0)
        return weir_sleep_until(ctx, weir_after(WEIR_MS(200)));
    return 0;
}

static int in_transaction(struct db *db, db_fn *fn, void *arg)
{
    int err = db_step(db, db_statement(db, "BEGIN IMMEDIATE"));
    if (err != 0)
        return err;
    err = fn(db, arg);
    if (err == 0) {
        db->ctx = NULL; /* what is whole is not given up on the last yard */
        err = db_step(db, db_statement(db, "COMMIT"));
    }
    if (err != 0 && !sqlite3_get_autocommit(db->handle)) {
        db->ctx = NULL;
        (void)db_step(db, db_statement(db, "ROLLBACK"));
    }
    return err;
}

static int call(struct store *store, enum lane lane, weir_context *ctx, db_fn *fn, void *arg)
{
    void *resource;
    int64_t patience = atomic_load(&store->acquire_ns);
    int err = weir_lease_acquire_until(store->lanes[lane], &resource, ctx, weir_after(patience));
    if (err != 0)
        return err;
    struct db *db = resource;
    db->ctx = ctx;
    db->give_up = weir_after(patience);
    err = inject(ctx);
    if (err == 0)
        err = lane == WRITE ? in_transaction(db, fn, arg) : fn(db, arg);
    db->ctx = NULL;
    weir_lease_release(store->lanes[lane], db, err == -EIO ? err : 0);
    return err;
}

static bool is_the_databases(int err)
{
    return err == -EIO || err == -EBUSY || err == -EACCES || err == -ENOSPC || err == -ETIMEDOUT;
}

int store_call(struct store *store, enum lane lane, weir_context *ctx, db_fn *fn, void *arg)
{
    uint64_t ticket;
    weir_breaker *breaker = store_breaker(store);
    int err = weir_breaker_allow(breaker, &ticket);
    if (err != 0)
        return err;
    int64_t began = weir_now();
    err = call(store, lane, ctx, fn, arg);
    int result = is_the_databases(err) ? err : 0;
    if (weir_now() - began > atomic_load(&store->slow_ns))
        result = -ETIMEDOUT;
    else if (err != 0 && weir_context_err(ctx) != 0)
        result = -ECANCELED; /* whoever asked could not wait: that says nothing */
    weir_breaker_record(breaker, ticket, result);
    return err;
}
