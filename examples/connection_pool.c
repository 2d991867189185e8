/* SPDX-License-Identifier: MIT */
/* connection_pool.c - many tasks share a few connections to a database.
 *
 * A hundred transfers run on eight workers with three SQLite connections. A worker waits for a
 * connection, in order of arrival, for a minute at most. A connection that failed is returned as
 * failed, so that the next worker gets a new one. */
#include <errno.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <weir.h>

enum { TRANSFERS = 100, CONNECTIONS = 3 };

struct bank {
    char path[64];
    weir_lease_pool *connections;
    atomic_int opened, closed, done;
};

static int run(sqlite3 *db, const char *sql)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : -EIO;
}

static void close_connection(void *user, void *resource)
{
    struct bank *bank = user;
    sqlite3_close(resource);
    atomic_fetch_add(&bank->closed, 1);
}

static int open_connection(void *user, void **ret_resource)
{
    struct bank *bank = user;
    sqlite3 *db = NULL;
    if (sqlite3_open(bank->path, &db) != SQLITE_OK ||
        sqlite3_busy_timeout(db, 60000) != SQLITE_OK) {
        sqlite3_close(db);
        return -EIO;
    }
    atomic_fetch_add(&bank->opened, 1);
    *ret_resource = db;
    return 0;
}

static int check_connection(void *user, void *resource)
{
    (void)user;
    return run(resource, "SELECT 1");
}

static int transfer(weir_context *ctx, void *arg)
{
    struct bank *bank = arg;
    void *db;
    int err = weir_lease_acquire_until(bank->connections, &db, ctx, weir_after(WEIR_S(60)));
    if (err != 0)
        return err;
    err = run(db, "BEGIN IMMEDIATE;"
                  "UPDATE account SET cents = cents - 5 WHERE name = 'ann';"
                  "UPDATE account SET cents = cents + 5 WHERE name = 'bob';"
                  "COMMIT");
    weir_lease_release(bank->connections, db, err);
    if (err == 0)
        atomic_fetch_add(&bank->done, 1);
    return err;
}

static int print_account(void *unused, int columns, char **values, char **names)
{
    (void)unused;
    (void)columns;
    (void)names;
    printf("%s has %s cents\n", values[0], values[1]);
    return 0;
}

static int with_connection(struct bank *bank, const char *sql)
{
    void *db;
    int err = weir_lease_acquire(bank->connections, &db);
    if (err == 0) {
        err = sqlite3_exec(db, sql, print_account, NULL, NULL) == SQLITE_OK ? 0 : -EIO;
        weir_lease_release(bank->connections, db, err);
    }
    return err;
}

static int transfer_all(struct bank *bank)
{
    weir_pool *pool;
    int err = weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 8));
    if (err != 0)
        return err;
    for (int i = 0; i < TRANSFERS && err == 0; i++)
        err = weir_pool_submit(pool, transfer, bank);
    if (err == 0)
        err = weir_pool_drain(pool);
    weir_pool_free(pool);
    return err;
}

static int run_bank(struct bank *bank)
{
    int err = with_connection(bank, "PRAGMA synchronous = OFF;"
                                    "CREATE TABLE account (name TEXT, cents INTEGER);"
                                    "INSERT INTO account VALUES ('ann', 1000), ('bob', 0)");
    if (err == 0)
        err = transfer_all(bank);
    if (err == 0)
        printf("%d transfers\n", atomic_load(&bank->done));
    return err != 0 ? err : with_connection(bank, "SELECT name, cents FROM account ORDER BY name");
}

int main(void)
{
    static struct bank bank = {.path = "/tmp/weir-bank-XXXXXX"};
    int file = mkstemp(bank.path);
    if (file < 0)
        return 1;
    (void)close(file);
    int err = weir_lease_pool_new(
        &bank.connections,
        WEIR_LEASE_OPTIONS(.max = CONNECTIONS, .min_idle = 1, .idle_timeout = WEIR_S(60),
                           .make = open_connection, .check = check_connection,
                           .destroy = close_connection, .user = &bank));
    if (err == 0) {
        err = run_bank(&bank);
        weir_lease_pool_free(bank.connections);
    }
    (void)unlink(bank.path);
    if (err != 0) {
        fprintf(stderr, "connection_pool: %s\n", weir_strerror(err));
        return 1;
    }
    printf("at most %d connections: %s; all closed: %s\n", CONNECTIONS,
           atomic_load(&bank.opened) <= CONNECTIONS ? "yes" : "no",
           atomic_load(&bank.opened) == atomic_load(&bank.closed) ? "yes" : "no");
    return 0;
}
