/* SPDX-License-Identifier: MIT */
/* settings.c - what can be set: by flags, before the environment, before a file.
 *
 * One table has all of them. --NAME VALUE, --NAME=VALUE or, for a switch, --NAME; in the
 * environment WEIR_SERVICE_NAME with _ for -; in the file of --config lines of NAME = VALUE. */
#include "settings.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

enum kind { NUMBER, SWITCH, TEXT };
enum { FIXED, RELOADED };

struct setting {
    const char *name, *help;
    enum kind kind;
    int when; /* RELOADED: a running service takes it over */
    size_t offset;
    int64_t least, most, preset;
    const char *text;
};

#define AT(field) offsetof(struct settings, field)

static const struct setting table[] = {
    {"listen", "address and port; port 0: a free one", TEXT, FIXED, AT(listen), 0, 0, 0,
     "127.0.0.1:8080"},
    {"admin", "the same, for metrics, dumps and traces", TEXT, FIXED, AT(admin), 0, 0, 0,
     "127.0.0.1:9090"},
    {"database", "file", TEXT, FIXED, AT(database), 0, 0, 0, "documents.db"},
    {"tokens", "file with the tokens that may write, one a line", TEXT, RELOADED, AT(tokens), 0, 0,
     0, ""},
    {"plugin", "file to load", TEXT, FIXED, AT(plugin), 0, 0, 0, ""},
    {"open", "anybody may write", SWITCH, RELOADED, AT(open), 0, 1, 0, NULL},
    {"bench", "routes for measurements", SWITCH, FIXED, AT(bench), 0, 1, 0, NULL},
    {"access-log", "a line for each request", SWITCH, FIXED, AT(access_log), 0, 1, 1, NULL},
    {"shed", "refuse by delay", SWITCH, RELOADED, AT(shed), 0, 1, 1, NULL},
    {"workers", "threads for requests; 0: one for each CPU", NUMBER, RELOADED, AT(workers), 0, 1024,
     0, NULL},
    {"capacity", "requests that wait for a worker", NUMBER, RELOADED, AT(capacity), 1, 65536, 256,
     NULL},
    {"job-workers", "threads for background jobs", NUMBER, FIXED, AT(job_workers), 1, 64, 1, NULL},
    {"db-connections", "to read; one more writes", NUMBER, FIXED, AT(db_connections), 1, 256, 8,
     NULL},
    {"target-ms", "a wait in the queue that is still fine", NUMBER, RELOADED, AT(target_ms), 1,
     60000, 5, NULL},
    {"interval-ms", "for so long it may be longer", NUMBER, RELOADED, AT(interval_ms), 1, 60000,
     100, NULL},
    {"timeout-ms", "of a request that does not say", NUMBER, RELOADED, AT(timeout_ms), 1, 30000,
     30000, NULL},
    {"rate", "requests a second of one client; 0: any", NUMBER, RELOADED, AT(rate), 0, 1000000,
     1000, NULL},
    {"burst", "of them at once", NUMBER, FIXED, AT(burst), 1, 1000000, 2000, NULL},
    {"breaker-window", "calls of the database that count", NUMBER, RELOADED, AT(breaker_window), 1,
     1024, 50, NULL},
    {"breaker-percent", "of them failed: it opens", NUMBER, RELOADED, AT(breaker_percent), 1, 100,
     50, NULL},
    {"breaker-open-ms", "until it is tried again", NUMBER, RELOADED, AT(breaker_open_ms), 1, 600000,
     1000, NULL},
    {"db-acquire-ms", "longest wait for a connection", NUMBER, RELOADED, AT(db_acquire_ms), 1,
     30000, 1000, NULL},
    {"db-slow-ms", "a call that takes longer has failed", NUMBER, RELOADED, AT(db_slow_ms), 1,
     30000, 1000, NULL},
    {"max-connections", "of clients", NUMBER, FIXED, AT(max_connections), 1, 1000000, 16384, NULL},
    {"max-body", "bytes of a document", NUMBER, FIXED, AT(max_body), 1, 16777216, 1048576, NULL},
    {"max-bodies", "bytes of all bodies and answers at once", NUMBER, FIXED, AT(max_bodies), 1,
     1073741824, 67108864, NULL},
    {"subscribers", "readers of events", NUMBER, FIXED, AT(subscribers), 0, 4096, 256, NULL},
    {"head-s", "until the head of a request is there", NUMBER, FIXED, AT(head_s), 1, 3600, 10,
     NULL},
    {"body-s", "until its body is", NUMBER, FIXED, AT(body_s), 1, 3600, 60, NULL},
    {"idle-s", "until a silent connection is closed", NUMBER, FIXED, AT(idle_s), 1, 86400, 120,
     NULL},
    {"heartbeat-s", "between signs of life to readers of events", NUMBER, FIXED, AT(heartbeat_s), 1,
     3600, 15, NULL},
    {"lame-duck-ms", "not ready, but still accepting, before it stops", NUMBER, RELOADED,
     AT(lame_duck_ms), 0, 600000, 2000, NULL},
    {"grace-ms", "for what was accepted", NUMBER, RELOADED, AT(grace_ms), 0, 600000, 20000, NULL},
};

enum { SETTINGS = sizeof table / sizeof table[0] };

static void *field(struct settings *settings, const struct setting *setting)
{
    return (char *)settings + setting->offset;
}

static const struct setting *find(const char *name, size_t n)
{
    for (size_t i = 0; i < SETTINGS; i++)
        if (strlen(table[i].name) == n && strncmp(table[i].name, name, n) == 0)
            return &table[i];
    return NULL;
}

static int set(struct settings *settings, const struct setting *setting, const char *value)
{
    if (setting->kind == TEXT) {
        if (strlen(value) >= SETTING_TEXT)
            return -EINVAL;
        memcpy(field(settings, setting), value, strlen(value) + 1);
        return 0;
    }
    if (setting->kind == SWITCH) {
        bool yes = strcmp(value, "yes") == 0;
        if (!yes && strcmp(value, "no") != 0)
            return -EINVAL;
        *(int64_t *)field(settings, setting) = yes;
        return 0;
    }
    return read_number(value, setting->least, setting->most, field(settings, setting));
}

/* What was wrong with a value, for people. */
static int refuse(const struct setting *setting, const char *value, const char *where, char *why,
                  size_t size)
{
    if (setting->kind == NUMBER)
        snprintf(why, size, "%s: %s is '%.60s', but is a number in %lld..%lld", where,
                 setting->name, value, (long long)setting->least, (long long)setting->most);
    else if (setting->kind == SWITCH)
        snprintf(why, size, "%s: %s is '%.60s', but is yes or no", where, setting->name, value);
    else
        snprintf(why, size, "%s: %s is too long", where, setting->name);
    return -EINVAL;
}

static char *trim(char *text)
{
    while (isspace((unsigned char)*text))
        text++;
    size_t n = strlen(text);
    while (n > 0 && isspace((unsigned char)text[n - 1]))
        text[--n] = '\0';
    return text;
}

static int read_line(struct settings *settings, char *line, const char *where, char *why,
                     size_t size)
{
    char *name = trim(line);
    if (*name == '\0' || *name == '#')
        return 0;
    char *value = strchr(name, '=');
    if (value == NULL) {
        snprintf(why, size, "%s: '%.60s' is not NAME = VALUE", where, name);
        return -EINVAL;
    }
    *value++ = '\0';
    name = trim(name);
    value = trim(value);
    const struct setting *setting = find(name, strlen(name));
    if (setting == NULL) {
        snprintf(why, size, "%s: there is no setting '%.60s'", where, name);
        return -EINVAL;
    }
    return set(settings, setting, value) == 0 ? 0 : refuse(setting, value, where, why, size);
}

static int read_file(struct settings *settings, const char *path, char *why, size_t size)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        snprintf(why, size, "%s: %s", path, strerror(errno));
        return -EINVAL;
    }
    char text[65536];
    char where[SETTING_TEXT + 32], *rest = text, *line;
    int err = read_text(file, text, sizeof text);
    fclose(file);
    if (err != 0)
        snprintf(why, size, "%s: %s", path,
                 err == -EINVAL  ? "there is a NUL in it"
                 : err == -EFBIG ? "it is too long"
                                 : strerror(-err));
    for (unsigned number = 1; err == 0 && (line = strsep(&rest, "\n")) != NULL; number++) {
        snprintf(where, sizeof where, "%s:%u", path, number);
        err = read_line(settings, line, where, why, size);
    }
    return err == 0 ? 0 : -EINVAL;
}

static int read_environment(struct settings *settings, char *why, size_t size)
{
    for (size_t i = 0; i < SETTINGS; i++) {
        char name[64] = "WEIR_SERVICE_";
        size_t n = strlen(name);
        for (const char *c = table[i].name; *c != '\0'; c++)
            name[n++] = (char)(*c == '-' ? '_' : toupper((unsigned char)*c));
        name[n] = '\0';
        const char *value = getenv(name);
        if (value != NULL && set(settings, &table[i], value) != 0)
            return refuse(&table[i], value, name, why, size);
    }
    return 0;
}

static int no_such_flag(const char *arg, char *why, size_t size)
{
    snprintf(why, size, "there is no setting '%.60s'; --help lists them", arg);
    return -EINVAL;
}

static int read_flag(struct settings *settings, int argc, char **argv, int *at, char *why,
                     size_t size)
{
    const char *arg = argv[*at];
    if (strcmp(arg, "--check") == 0 || strcmp(arg, "--help") == 0) {
        *(arg[2] == 'c' ? &settings->check : &settings->help) = true;
        return 0;
    }
    if (strncmp(arg, "--", 2) != 0)
        return no_such_flag(arg, why, size);
    size_t n = strcspn(arg + 2, "=");
    bool config = n == 6 && strncmp(arg + 2, "config", 6) == 0;
    const struct setting *setting = find(arg + 2, n);
    if (setting == NULL && !config)
        return no_such_flag(arg, why, size);
    const char *value = arg[2 + n] == '=' ? arg + 3 + n : NULL;
    if (value == NULL && !config && setting->kind == SWITCH &&
        (*at + 1 == argc || strncmp(argv[*at + 1], "--", 2) == 0))
        value = "yes";
    if (value == NULL && *at + 1 < argc)
        value = argv[++*at];
    if (value == NULL || (config && strlen(value) >= SETTING_TEXT)) {
        snprintf(why, size, "%s needs a value", arg);
        return -EINVAL;
    }
    if (config) {
        memcpy(settings->config, value, strlen(value) + 1);
        return 0;
    }
    return set(settings, setting, value) == 0 ? 0 : refuse(setting, value, "flag", why, size);
}

static int read_flags(struct settings *settings, int argc, char **argv, char *why, size_t size)
{
    for (int i = 1; i < argc; i++) {
        int err = read_flag(settings, argc, argv, &i, why, size);
        if (err != 0)
            return err;
    }
    return 0;
}

int settings_read(struct settings *ret, int argc, char **argv, char *ret_why, size_t size)
{
    struct settings settings = {0}, flags = {0};
    for (size_t i = 0; i < SETTINGS; i++) {
        if (table[i].kind == TEXT)
            memcpy(field(&settings, &table[i]), table[i].text, strlen(table[i].text) + 1);
        else
            *(int64_t *)field(&settings, &table[i]) = table[i].preset;
    }
    /* The flags are read twice: to learn which file, and to have the last word. */
    int err = read_flags(&flags, argc, argv, ret_why, size);
    if (err == 0 && flags.config[0] != '\0')
        err = read_file(&settings, flags.config, ret_why, size);
    if (err == 0)
        err = read_environment(&settings, ret_why, size);
    if (err == 0)
        err = read_flags(&settings, argc, argv, ret_why, size);
    if (err == 0)
        *ret = settings;
    return err;
}

const char *settings_fixed_change(const struct settings *before, const struct settings *after)
{
    for (size_t i = 0; i < SETTINGS; i++) {
        const char *one = (const char *)before + table[i].offset;
        const char *other = (const char *)after + table[i].offset;
        bool same = table[i].kind == TEXT ? strcmp(one, other) == 0
                                          : *(const int64_t *)(const void *)one ==
                                                *(const int64_t *)(const void *)other;
        if (table[i].when == FIXED && !same)
            return table[i].name;
    }
    return NULL;
}

void settings_usage(void)
{
    puts("usage: weir-service [--config FILE] [--check] [--NAME VALUE]...\n\n"
         "Flags come before WEIR_SERVICE_NAME in the environment, and that before the file, which\n"
         "has lines of NAME = VALUE. Those with * are read again at SIGHUP.\n");
    for (size_t i = 0; i < SETTINGS; i++) {
        const struct setting *s = &table[i];
        char preset[SETTING_TEXT];
        if (s->kind == NUMBER)
            snprintf(preset, sizeof preset, "%lld", (long long)s->preset);
        else
            snprintf(preset, sizeof preset, "%s",
                     s->kind == TEXT ? s->text : (s->preset ? "yes" : "no"));
        printf("  --%-16s%c %-46s %s\n", s->name, s->when == RELOADED ? '*' : ' ', s->help, preset);
    }
}
