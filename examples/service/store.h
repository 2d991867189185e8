/* SPDX-License-Identifier: MIT */
/* store.h - the database: SQLite behind a breaker and two pools of connections.
 *
 * SQLite lets many read and one write. So there is one pool of connections to read, and one of a
 * single connection to write, for which writers wait in order instead of trying again and again.
 *
 *     static int count(struct db *db, void *arg)
 *     {
 *         sqlite3_stmt *all = db_statement(db, "SELECT count(*) FROM documents");
 *         ...
 *     }
 *     err = store_call(&service->store, READ, ctx, count, &n);
 */
#ifndef STORE_H
#define STORE_H

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>

#include <weir.h>

enum lane { READ, WRITE };

struct db;
typedef int db_fn(struct db *db, void *arg);

struct store {
    const char *path;
    weir_lease_pool *lanes[2];
    pthread_mutex_t lock;  /* of the pointer */
    weir_breaker *breaker; /* the one in use; those before it are kept, for calls under way */
    weir_breaker *retired[64];
    size_t n_retired;
    atomic_int_fast64_t acquire_ns, slow_ns;
    atomic_int fault; /* of tests: see store.c */
};

struct store_options {
    const char *path;
    unsigned connections;
    int64_t acquire_ms, slow_ms, breaker_window, breaker_percent, breaker_open_ms;
};

/* Opens the file, and makes the tables that are not there. */
int store_open(struct store *store, const struct store_options *options);
void store_close(struct store *store);

/* New limits; a new breaker if they ask for one. Returns 0; -ENOMEM; -ENOSPC. */
int store_change(struct store *store, const struct store_options *options, int new_breaker);

/* Calls fn(db, arg) on a connection; for WRITE in a transaction, which is committed if fn returns
 * 0: then it is on the disk. Returns what fn returned; -EAGAIN: the breaker is open; -ETIMEDOUT,
 * -EBUSY, -EIO: the database failed; -ECANCELED, -ETIMEDOUT: the context is over. */
int store_call(struct store *store, enum lane lane, weir_context *ctx, db_fn *fn, void *arg);

weir_breaker *store_breaker(struct store *store);

/* The statement, ready to be bound; kept by the connection, by the address of its text. NULL: it
 * cannot be, and db_error says why. */
sqlite3_stmt *db_statement(struct db *db, const char *sql);

/* One step: 1, a row; 0, the end; or what went wrong, as a negative errno. The statement is reset,
 * unless there was a row. */
int db_step(struct db *db, sqlite3_stmt *statement);

/* The same with a number as the first parameter. */
int db_step_with(struct db *db, sqlite3_stmt *statement, int64_t first);

/* Ends a statement of which rows are left. NULL is fine. */
void db_reset(sqlite3_stmt *statement);

/* The last error as a negative errno; and the connection itself. */
int db_error(struct db *db);
sqlite3 *db_handle(struct db *db);

#endif
