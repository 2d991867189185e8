/* SPDX-License-Identifier: MIT */
/* documents.c - the store of documents: add, get, delete, search.
 *
 * Each handler runs on a worker, and calls the database with the request's context: a query ends
 * when nobody waits for it any more. */
#include "inside.h"

#include "cache.h"
#include "idempotency.h"
#include "events.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct document {
    int64_t id;
    const char *text;
    size_t size;
    char *found; /* malloc's */
    struct idempotency once;
};

static int insert(struct db *db, void *arg)
{
    struct document *document = arg;
    int err = idempotency_look(db, &document->once);
    if (err != 0 || document->once.known)
        return err;
    sqlite3_stmt *statement = db_statement(db, "INSERT INTO documents(text) VALUES (?)");
    if (statement == NULL)
        return db_error(db);
    sqlite3_bind_text(statement, 1, document->text, (int)document->size, SQLITE_STATIC);
    err = db_step(db, statement);
    if (err != 0)
        return err;
    document->id = sqlite3_last_insert_rowid(db_handle(db));
    snprintf(document->once.location, sizeof document->once.location, "/documents/%lld",
             (long long)document->id);
    return idempotency_keep(db, &document->once);
}

static int add_document(struct request *request)
{
    struct document document = {0};
    document.text = request_body(request, &document.size);
    if (document.size == 0 || !is_utf8(document.text, document.size))
        return -EINVAL;
    int err = idempotency_init(&document.once, request);
    if (err == 0)
        err = store_call(&request->service->store, WRITE, request->context, insert, &document);
    if (err == -EEXIST)
        return respond_json(request, 422,
                            "{\"error\":\"this key was used for another request\"}\n");
    if (err != 0)
        return err;
    if (!document.once.known)
        events_publish(request->service->events, document.id, document.size);
    respond_header(request, "Location", document.once.location);
    return respond_json(request, 201, "{\"location\":\"%s\"}\n", document.once.location);
}

static int select_text(struct db *db, void *arg)
{
    struct document *document = arg;
    sqlite3_stmt *statement = db_statement(db, "SELECT text FROM documents WHERE id = ?");
    if (statement == NULL)
        return db_error(db);
    sqlite3_bind_int64(statement, 1, document->id);
    int err = db_step(db, statement);
    if (err <= 0)
        return err;
    const char *text = (const char *)sqlite3_column_text(statement, 0);
    document->size = (size_t)sqlite3_column_bytes(statement, 0);
    document->found = malloc(document->size + 1);
    if (document->found != NULL && text != NULL)
        memcpy(document->found, text, document->size);
    err = document->found == NULL || text == NULL ? -ENOMEM : 0;
    db_reset(statement);
    return err;
}

static int get_document(struct request *request)
{
    struct document document = {0};
    if (read_number(request_param(request, "id"), 1, INT64_MAX, &document.id) != 0)
        return -ENOENT;
    int err = store_call(&request->service->store, READ, request->context, select_text, &document);
    if (err != 0 || document.found == NULL) {
        free(document.found);
        return err != 0 ? err : -ENOENT;
    }
    return respond(request, 200, "text/plain; charset=utf-8", document.found, document.size);
}

static int delete_row(struct db *db, void *arg)
{
    struct document *document = arg;
    sqlite3_stmt *statement = db_statement(db, "DELETE FROM documents WHERE id = ?");
    if (statement == NULL)
        return db_error(db);
    sqlite3_bind_int64(statement, 1, document->id);
    int err = db_step(db, statement);
    document->size = (size_t)sqlite3_changes(db_handle(db));
    return err;
}

static int delete_document(struct request *request)
{
    struct document document = {0};
    if (read_number(request_param(request, "id"), 1, INT64_MAX, &document.id) != 0)
        return -ENOENT;
    int err = store_call(&request->service->store, WRITE, request->context, delete_row, &document);
    if (err != 0)
        return err;
    return document.size == 0 ? -ENOENT : respond(request, 204, NULL, NULL, 0);
}

struct search {
    const char *expression;
    int64_t limit;
    struct text found;
};

static int search_words(struct db *db, void *arg)
{
    struct search *search = arg;
    sqlite3_stmt *statement =
        db_statement(db, "SELECT rowid, snippet(words, 0, '[', ']', '…', 12) FROM words"
                         " WHERE words MATCH ? ORDER BY rank LIMIT ?");
    if (statement == NULL)
        return db_error(db);
    sqlite3_bind_text(statement, 1, search->expression, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, search->limit);
    int more;
    bool first = true;
    while ((more = db_step(db, statement)) == 1) {
        const char *snippet = (const char *)sqlite3_column_text(statement, 1);
        text_format(&search->found, "%s{\"id\":%lld,\"snippet\":", first ? "" : ",",
                    (long long)sqlite3_column_int64(statement, 0));
        text_json(&search->found, snippet != NULL ? snippet : "");
        text_put(&search->found, "}");
        first = false;
    }
    return more;
}

/* From the cache, and marked, when the database does not answer in time. */
static int answer_degraded(struct request *request, const char *key, int err)
{
    size_t size;
    char *hits = cache_get(request->service->cache, key, &size);
    if (hits == NULL)
        return err;
    respond_header(request, "Warning", "110 - \"from the cache\"");
    int failed = respond_json(request, 200, "{\"degraded\":true,\"hits\":[%s]}\n", hits);
    free(hits);
    return failed;
}

static int run_search(struct request *request, struct search *search)
{
    struct service *service = request->service;
    struct text key = {0};
    text_format(&key, "%lld %s", (long long)search->limit, search->expression);
    if (key.failed) {
        free(key.data);
        return -ENOMEM;
    }
    int err = store_call(&service->store, READ, request->context, search_words, search);
    size_t size = 0;
    char *hits = text_take(&search->found, &size);
    if (err == 0 && hits == NULL)
        err = -ENOMEM;
    if (err == 0) {
        cache_put(service->cache, key.data, hits, size);
        err = respond_json(request, 200, "{\"degraded\":false,\"hits\":[%s]}\n", hits);
    } else if (err != -ENOMEM && weir_context_err(request->context) == 0) {
        err = answer_degraded(request, key.data, err);
    }
    free(hits);
    free(key.data);
    return err;
}

static int search(struct request *request)
{
    struct search search = {.limit = 10};
    struct text expression = {0};
    const char *words = request_query(request, "q"), *limit = request_query(request, "limit");
    bool fine = words != NULL && is_utf8(words, strlen(words)) &&
                fts_expression(&expression, words) &&
                (limit == NULL || read_number(limit, 1, 100, &search.limit) == 0);
    search.expression = expression.data;
    int err = !fine ? -EINVAL : expression.failed ? -ENOMEM : run_search(request, &search);
    free(expression.data);
    return err;
}

int add_documents(struct service *service)
{
    int err = service_add_route(service, "POST", "/documents", add_document, ROUTE_WRITES);
    if (err == 0)
        err = service_add_route(service, "GET", "/documents/:id", get_document, 0);
    if (err == 0)
        err = service_add_route(service, "DELETE", "/documents/:id", delete_document, ROUTE_WRITES);
    if (err == 0)
        err = service_add_route(service, "GET", "/search", search, 0);
    return err;
}
