/* SPDX-License-Identifier: MIT */
/* lease_sqlite.c - the lease pool with connections to an SQLite database in a file. */
#include "support/suite.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/pools.h"
#include "support/threads.h"
#include "weir.h"

struct database {
    char path[64];
    atomic_uint opened, closed, alive, most;
    atomic_bool unreachable;
};

static int run(sqlite3 *db, const char *sql)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : -EIO;
}

static int open_connection(void *user, void **ret_resource)
{
    struct database *database = user;
    sqlite3 *db = NULL;
    if (atomic_load(&database->unreachable))
        return -ECONNREFUSED;
    if (sqlite3_open(database->path, &db) != SQLITE_OK ||
        sqlite3_busy_timeout(db, 60000) != SQLITE_OK || run(db, "PRAGMA synchronous = OFF") != 0) {
        sqlite3_close(db);
        return -EIO;
    }
    atomic_fetch_add(&database->opened, 1);
    unsigned alive = atomic_fetch_add(&database->alive, 1) + 1;
    unsigned most = atomic_load(&database->most);
    while (alive > most && !atomic_compare_exchange_strong(&database->most, &most, alive))
        ;
    *ret_resource = db;
    return 0;
}

static int check_connection(void *user, void *resource)
{
    (void)user;
    return run(resource, "SELECT count(*) FROM sqlite_master");
}

static void close_connection(void *user, void *resource)
{
    struct database *database = user;
    if (sqlite3_close(resource) == SQLITE_OK) {
        atomic_fetch_sub(&database->alive, 1);
        atomic_fetch_add(&database->closed, 1);
    }
}

static struct database *new_database(void)
{
    struct database *database = calloc(1, sizeof *database);
    ck_assert_ptr_nonnull(database);
    strcpy(database->path, "/tmp/weir-lease-XXXXXX");
    int file = mkstemp(database->path);
    ck_assert_int_ge(file, 0);
    ck_assert_int_eq(close(file), 0);
    return database;
}

static void drop_database(struct database *database)
{
    ck_assert_uint_eq(atomic_load(&database->opened), atomic_load(&database->closed));
    ck_assert_int_eq(unlink(database->path), 0);
    free(database);
}

static weir_lease_pool *connect_to(struct database *database, unsigned max, unsigned min_idle)
{
    weir_lease_pool *pool = NULL;
    ck_assert_int_eq(
        weir_lease_pool_new(&pool,
                            WEIR_LEASE_OPTIONS(.max = max, .min_idle = min_idle,
                                               .make = open_connection, .check = check_connection,
                                               .destroy = close_connection, .user = database)),
        0);
    return pool;
}

static int with_connection(weir_lease_pool *pool, const char *sql)
{
    void *db;
    int err = weir_lease_acquire(pool, &db);
    if (err != 0)
        return err;
    err = run(db, sql);
    weir_lease_release(pool, db, err);
    return err;
}

static int64_t read_number(weir_lease_pool *pool, const char *sql)
{
    void *db;
    sqlite3_stmt *statement;
    ck_assert_int_eq(weir_lease_acquire(pool, &db), 0);
    ck_assert_int_eq(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(statement), SQLITE_ROW);
    int64_t number = sqlite3_column_int64(statement, 0);
    ck_assert_int_eq(sqlite3_finalize(statement), SQLITE_OK);
    weir_lease_release(pool, db, 0);
    return number;
}

enum { INSERTS = 60 };

static int insert(weir_context *ctx, void *arg)
{
    (void)ctx;
    return with_connection(arg, "INSERT INTO t VALUES (1)");
}

START_TEST(tasks_share_a_few_connections)
{
    struct database *database = new_database();
    weir_lease_pool *connections = connect_to(database, 3, 1);
    ck_assert_int_eq(with_connection(connections, "CREATE TABLE t (x INTEGER)"), 0);
    weir_pool *pool = new_pool(6, INSERTS);
    for (int i = 0; i < INSERTS; i++)
        ck_assert_int_eq(weir_pool_submit(pool, insert, connections), 0);
    ck_assert_int_eq(weir_pool_drain(pool), 0);
    weir_pool_counts counts;
    weir_pool_read_counts(pool, &counts);
    ck_assert_uint_eq(counts.done, INSERTS);
    finish_pool(pool);
    ck_assert_int_eq(read_number(connections, "SELECT count(*) FROM t"), INSERTS);
    ck_assert_uint_le(atomic_load(&database->most), 3);
    weir_lease_pool_free(connections);
    drop_database(database);
}
END_TEST

START_TEST(a_connection_that_failed_is_replaced)
{
    struct database *database = new_database();
    weir_lease_pool *connections = connect_to(database, 1, 0);
    ck_assert_int_eq(with_connection(connections, "SELECT no such thing"), -EIO);
    ck_assert_uint_eq(atomic_load(&database->closed), 1);
    ck_assert_int_eq(with_connection(connections, "CREATE TABLE t (x INTEGER)"), 0);
    ck_assert_uint_eq(atomic_load(&database->opened), 2);
    weir_lease_pool_free(connections);
    drop_database(database);
}
END_TEST

START_TEST(a_file_that_became_something_else_is_noticed_by_the_check)
{
    struct database *database = new_database();
    weir_lease_pool *connections = connect_to(database, 2, 0);
    ck_assert_int_eq(with_connection(connections, "CREATE TABLE t (x INTEGER)"), 0);
    char garbage[4096];
    memset(garbage, 'x', sizeof garbage);
    FILE *out = fopen(database->path, "r+");
    ck_assert_ptr_nonnull(out);
    ck_assert_uint_eq(fwrite(garbage, 1, sizeof garbage, out), sizeof garbage);
    ck_assert_int_eq(fclose(out), 0);
    atomic_store(&database->unreachable, true);
    void *none;
    ck_assert_int_eq(weir_lease_acquire(connections, &none), -ECONNREFUSED);
    ck_assert_uint_eq(atomic_load(&database->closed), 1); /* it failed its check */
    weir_lease_pool_free(connections);
    drop_database(database);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("lease_sqlite");
    TCase *contract = add_group(suite, "contract");
    tcase_add_test(contract, tasks_share_a_few_connections);
    tcase_add_test(contract, a_connection_that_failed_is_replaced);
    tcase_add_test(contract, a_file_that_became_something_else_is_noticed_by_the_check);
    return suite;
}
