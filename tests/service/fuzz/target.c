/* SPDX-License-Identifier: MIT */
/* target.c - what the service reads of texts that others have sent, each checked against something
 * else: a reading of its own, or SQLite's.
 *
 * An input is a byte, which says what reads it, and a text. */
#include "target.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "inside.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition);    \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static sqlite3 *db;

static void open_db(void)
{
    if (db == NULL)
        CHECK(sqlite3_open(":memory:", &db) == SQLITE_OK &&
              sqlite3_exec(db, "CREATE VIRTUAL TABLE words USING fts5(text)", NULL, NULL, NULL) ==
                  SQLITE_OK);
}

/* What SQLite says of two texts: the first column of the first row, malloc's; NULL: nothing, or an
 * error. */
static char *ask(const char *sql, const char *one, size_t n, const char *other)
{
    sqlite3_stmt *statement = NULL;
    char *found = NULL;
    open_db();
    CHECK(sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK);
    (void)sqlite3_bind_text(statement, 1, one, (int)n, SQLITE_STATIC);
    if (other != NULL)
        (void)sqlite3_bind_text(statement, 2, other, -1, SQLITE_STATIC);
    if (sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_text(statement, 0) != NULL)
        found = strdup((const char *)sqlite3_column_text(statement, 0));
    (void)sqlite3_finalize(statement);
    return found;
}

/* A decoded text, written with every byte encoded, must be decoded to the same. */
static void check_percent(char *text, size_t n)
{
    char *copy = strdup(text), *long_form = malloc(3 * n + 1);
    CHECK(copy != NULL && long_form != NULL);
    bool plain = strpbrk(text, "%+") == NULL;
    if (percent_decode(text, true) == 0) {
        size_t length = strlen(text);
        CHECK(length <= n);
        CHECK(!plain || strcmp(text, copy) == 0);
        for (size_t i = 0; i < length; i++) {
            CHECK((unsigned char)text[i] >= 0x20 && text[i] != 0x7f);
            (void)sprintf(long_form + 3 * i, "%%%02X", (unsigned char)text[i]);
        }
        long_form[3 * length] = '\0';
        CHECK(percent_decode(long_form, false) == 0 && strcmp(long_form, text) == 0);
    }
    free(copy);
    free(long_form);
}

/* Up to a line feed the pattern, then the path: with the parameters in their places, the one is the
 * other. */
static void check_pattern(char *text, size_t n)
{
    char *path = strchr(text, '\n'), *again = malloc(2 * n + 1), *to = again;
    struct param params[MAX_PARAMS];
    CHECK(again != NULL);
    if (path != NULL) {
        *path++ = '\0';
        int found = match_pattern(text, path, params);
        CHECK(found == -ENOENT || (found >= 0 && found <= MAX_PARAMS));
        const char *from = text;
        for (int i = 0; i < found; i++) {
            CHECK(params[i].value_length > 0);
            CHECK(memchr(params[i].value, '/', params[i].value_length) == NULL);
            while (from < params[i].name - 1)
                *to++ = *from++;
            memcpy(to, params[i].value, params[i].value_length);
            to += params[i].value_length;
            from = params[i].name + params[i].name_length;
        }
        strcpy(to, from);
        CHECK(found < 0 || strcmp(again, path) == 0);
    }
    free(again);
}

/* The same by hand. */
static void check_number(char *text, size_t n)
{
    enum { LEAST = -1000, MOST = 1000000 };
    const char *digits = text + (*text == '-');
    bool whole = n > 0 && *digits != '\0' && digits[strspn(digits, "0123456789")] == '\0';
    int64_t value = 0;
    for (const char *c = digits; whole && *c != '\0' && value <= MOST; c++)
        value = value * 10 + (*c - '0');
    value = *text == '-' ? -value : value;
    int64_t got = 77;
    int err = read_number(text, LEAST, MOST, &got);
    CHECK((err == 0) == (whole && value >= LEAST && value <= MOST));
    CHECK(err == 0 ? got == value : (err == -EINVAL && got == 77));
}

/* Read as numbers of characters, and written again in the shortest way. */
static bool is_utf8_by_hand(const unsigned char *text, size_t n)
{
    static const unsigned least[] = {0, 1, 0x80, 0x800, 0x10000};
    for (size_t i = 0; i < n;) {
        unsigned c = text[i], length = c < 0x80   ? 1
                                       : c < 0xc0 ? 0
                                       : c < 0xe0 ? 2
                                       : c < 0xf0 ? 3
                                                  : 4;
        if (length == 0 || length > n - i || c > 0xf7)
            return false;
        unsigned long code = length == 1 ? c : c & (0xffu >> (length + 1));
        for (unsigned k = 1; k < length; k++) {
            if (text[i + k] < 0x80 || text[i + k] > 0xbf)
                return false;
            code = code << 6 | (text[i + k] & 0x3f);
        }
        if (code < least[length] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
            return false;
        i += length;
    }
    return true;
}

static void check_utf8(char *text, size_t n)
{
    CHECK(is_utf8(text, n) == is_utf8_by_hand((const unsigned char *)text, n));
}

/* Whatever the words are, they are an expression that FTS5 takes. */
static void check_words(char *text, size_t n)
{
    struct text expression = {0};
    if (is_utf8(text, n) && fts_expression(&expression, text)) {
        sqlite3_stmt *statement = NULL;
        open_db();
        CHECK(sqlite3_prepare_v2(db, "SELECT rowid FROM words WHERE words MATCH ?", -1, &statement,
                                 NULL) == SQLITE_OK);
        (void)sqlite3_bind_text(statement, 1, expression.data, -1, SQLITE_STATIC);
        CHECK(sqlite3_step(statement) == SQLITE_DONE);
        (void)sqlite3_finalize(statement);
    }
    free(expression.data);
}

/* What is found in an object, SQLite finds there, too. */
static void check_object(char *text, size_t n)
{
    char *found = json_field(text, n, "q");
    if (found != NULL) {
        char *other = ask("SELECT json_extract(?, '$.q')", text, n, NULL);
        CHECK(other != NULL && strcmp(found, other) == 0);
        free(other);
    }
    free(found);
}

/* A text that was put into JSON comes out of it as it was. */
static void check_string(char *text, size_t n)
{
    struct text json = {0};
    if (is_utf8(text, n)) {
        text_put(&json, "[");
        text_json(&json, text);
        text_put(&json, "]");
        char *other = ask("SELECT json_extract(?, '$[0]')", json.data, json.length, NULL);
        CHECK(other != NULL && strcmp(other, text) == 0);
        free(other);
    }
    free(json.data);
}

/* A target that fits: what is read of it is decoded, and nothing points outside of it. */
static void check_target(char *text, size_t n)
{
    static struct service service;
    static const struct route route = {"GET", "/a/:one/b/:two", NULL, 0};
    struct param ignored[MAX_PARAMS];
    struct request *request = request_new(&service, text);
    CHECK(request != NULL);
    CHECK(strlen(request->path) <= n && strchr(request->path, '?') == NULL);
    request->route = &route;
    if (match_pattern(route.pattern, request->path, ignored) >= 0 &&
        request_take_params(request) == 0)
        CHECK(strlen(request_param(request, "one")) + strlen(request_param(request, "two")) <= n);
    CHECK(request_param(request, "three") == NULL);
    if (request_take_queries(request) == 0)
        for (size_t i = 0; i < request->n_queries; i++) {
            const char *first = request_query(request, request->queries[i].name);
            CHECK(first != NULL && strlen(first) <= n);
        }
    request_unref(request);
}

static void check_id(char *text, size_t n)
{
    bool plain = n > 0;
    for (size_t i = 0; i < n; i++)
        plain =
            plain && ((text[i] >= 'a' && text[i] <= 'z') || (text[i] >= 'A' && text[i] <= 'Z') ||
                      (text[i] >= '0' && text[i] <= '9') || text[i] == '-' || text[i] == '_' ||
                      text[i] == '.');
    CHECK(is_plain_name(text) == plain);
}

/* A file of these bytes that only its owner can read; its name is in `ret`. */
static int make_file(const char *bytes, size_t n, char ret[32])
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    CHECK(fd >= 0 && fchmod(fd, S_IRUSR | S_IWUSR) == 0 && write(fd, bytes, n) == (ssize_t)n);
    (void)snprintf(ret, 32, "/proc/self/fd/%d", fd);
    return fd;
}

/* What is taken is within its bounds; what is not is told in words that fit. */
static void check_settings(char *text, size_t n)
{
    char path[32], why[64], *argv[] = {path, (char[]){"--config"}, path, NULL};
    struct settings settings = {.workers = -1};
    int fd = make_file(text, n, path);
    memset(why, '?', sizeof why);
    int err = settings_read(&settings, 3, argv, why, sizeof why);
    if (n > 5 && strncmp(text, "shed=", 5) == 0 && strpbrk(text, " \t\n\v\f\r") == NULL)
        CHECK((err == 0) == (strcmp(text + 5, "yes") == 0 || strcmp(text + 5, "no") == 0));
    if (err == 0) {
        CHECK(strlen(text) == n);
        CHECK(settings.workers >= 0 && settings.workers <= 1024);
        CHECK(settings.rate >= 0 && settings.grace_ms >= 0 && settings.max_body >= 1);
        CHECK(settings.capacity >= 1 && settings.capacity <= 65536);
        CHECK(settings.breaker_percent >= 1 && settings.breaker_percent <= 100);
        CHECK(settings.shed == 0 || settings.shed == 1);
        CHECK(memchr(settings.database, '\0', SETTING_TEXT) != NULL);
    } else {
        CHECK(err == -EINVAL && settings.workers == -1);
        CHECK(memchr(why, '\0', sizeof why) != NULL && why[0] != '\0');
    }
    (void)close(fd);
}

/* The same lines, one argument each. */
static void check_flags(char *text, size_t n)
{
    char *argv[16] = {text}, *rest = text, *line, why[64] = "";
    struct settings settings;
    int argc = 1;
    (void)n;
    while (argc < 15 && (line = strsep(&rest, "\n")) != NULL)
        if (strncmp(line, "--config", 8) != 0)
            argv[argc++] = line;
    if (settings_read(&settings, argc, argv, why, sizeof why) == 0)
        CHECK(settings.capacity >= 1 && settings.capacity <= 65536);
    else
        CHECK(why[0] != '\0');
}

/* If a file of tokens is taken, each of its lines is one, and nothing else is. */
static void check_tokens(char *text, size_t n)
{
    struct tokens *tokens = NULL;
    char path[32], *all = strdup(text), *rest = text, *line;
    int fd = make_file(text, n, path);
    int err = tokens_read(&tokens, path);
    (void)close(fd);
    CHECK((err == 0) == (tokens != NULL) && (err != 0 || strlen(text) == n));
    while (err == 0 && (line = strsep(&rest, "\n")) != NULL) {
        line[strcspn(line, "\r")] = '\0';
        if (*line == '\0' || *line == '#')
            continue;
        CHECK(strlen(line) >= 16 && tokens_has(tokens, line));
        size_t last = strlen(line) - 1;
        line[last] ^= 1; /* that may be another line */
        CHECK(!tokens_has(tokens, line) || strstr(all, line) != NULL);
        line[last] = '\0';
    }
    CHECK(err != 0 || (!tokens_has(tokens, "") && !tokens_has(tokens, NULL)));
    tokens_free(tokens);
    free(all);
}

void target_run(const uint8_t *bytes, size_t size)
{
    static void (*const targets[])(char *text, size_t n) = {
        check_percent, check_pattern, check_number, check_utf8,     check_words, check_object,
        check_string,  check_target,  check_id,     check_settings, check_flags, check_tokens,
    };
    if (size == 0)
        return;
    /* A block of its own, so that a sanitizer sees what reads behind it. Most of what is read here
     * is a string, which ends at its first NUL. */
    size_t n = size - 1;
    char *text = malloc(n + 1);
    CHECK(text != NULL);
    memcpy(text, bytes + 1, n);
    text[n] = '\0';
    size_t which = bytes[0] % (sizeof targets / sizeof targets[0]);
    bool has_bytes = targets[which] == check_utf8 || targets[which] == check_object ||
                     targets[which] == check_settings || targets[which] == check_tokens;
    targets[which](text, has_bytes ? n : strlen(text));
    free(text);
}

void target_end(void)
{
    (void)sqlite3_close(db);
    db = NULL;
}
