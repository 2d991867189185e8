/* SPDX-License-Identifier: MIT */
/* idempotency.c - the same Idempotency-Key gets the first answer for an hour. */
#include "idempotency.h"

#include "inside.h"

#include <stdio.h>
#include <string.h>

enum { LONGEST_KEY = 128 };

static uint64_t mix(uint64_t hash, const char *text, size_t n)
{
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ (unsigned char)text[i]) * 0x100000001b3;
    return (hash ^ n) * 0x100000001b3;
}

int idempotency_init(struct idempotency *once, const struct request *request)
{
    once->key = request->idempotency_key;
    if (once->key == NULL)
        return 0;
    size_t n = strlen(once->key);
    if (n == 0 || n > LONGEST_KEY || !is_utf8(once->key, n))
        return -EINVAL;
    const char *pattern = request->route->pattern;
    uint64_t hash = mix(0xcbf29ce484222325, pattern, strlen(pattern));
    size_t size;
    const char *body = request_body(request, &size);
    once->digest = (int64_t)mix(hash, body, size);
    return 0;
}

int idempotency_look(struct db *db, struct idempotency *once)
{
    if (once->key == NULL)
        return 0;
    sqlite3_stmt *statement = db_statement(
        db, "SELECT digest, location FROM answers WHERE key = ? AND expires > unixepoch()");
    if (statement == NULL)
        return db_error(db);
    sqlite3_bind_text(statement, 1, once->key, -1, SQLITE_STATIC);
    int err = db_step(db, statement);
    if (err <= 0)
        return err;
    once->known = true;
    err = sqlite3_column_int64(statement, 0) == once->digest ? 0 : -EEXIST;
    snprintf(once->location, sizeof once->location, "%s",
             (const char *)sqlite3_column_text(statement, 1));
    db_reset(statement);
    return err;
}

int idempotency_keep(struct db *db, const struct idempotency *once)
{
    if (once->key == NULL)
        return 0;
    sqlite3_stmt *statement =
        db_statement(db, "INSERT OR REPLACE INTO answers(key, digest, location, expires)"
                         " VALUES (?, ?, ?, unixepoch() + 3600)");
    if (statement == NULL)
        return db_error(db);
    sqlite3_bind_text(statement, 1, once->key, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, once->digest);
    sqlite3_bind_text(statement, 3, once->location, -1, SQLITE_STATIC);
    return db_step(db, statement);
}
