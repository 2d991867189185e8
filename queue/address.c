/* SPDX-License-Identifier: MIT */
/* address.c - takes the URL of a queue apart. */
#include "address.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define QUEUE_NAME_MAX 200
#define PASSWORD_MAX 4096

static const char tcp[] = "redis://", local[] = "redis+unix://";

/* The text between `begin` and `end` with its %XX decoded. Returns 0, -ENOMEM, -EINVAL. */
static int decode(char **ret, const char *begin, const char *end)
{
    char *text = malloc((size_t)(end - begin) + 1), *to = text;
    if (text == NULL)
        return -ENOMEM;
    for (const char *at = begin; at < end; at++) {
        if (*at != '%') {
            *to++ = *at;
            continue;
        }
        if (end - at < 3 || !isxdigit((unsigned char)at[1]) || !isxdigit((unsigned char)at[2])) {
            free(text);
            return -EINVAL;
        }
        char digits[3] = {at[1], at[2], '\0'};
        *to = (char)strtol(digits, NULL, 16);
        if (*to++ == '\0') {
            free(text);
            return -EINVAL;
        }
        at += 2;
    }
    *to = '\0';
    *ret = text;
    return 0;
}

static int set(char **field, const char *begin, const char *end, const char *what,
               struct failure *failure)
{
    char *text;
    int err = decode(&text, begin, end);
    if (err == -ENOMEM)
        return weir__fail(failure, err, "no memory");
    if (err < 0)
        return weir__fail(failure, err, "the %s in the queue's URL has a %% without two digits",
                          what);
    free(*field);
    *field = text;
    return 0;
}

/* The first line of the file. */
static int read_password(struct address *address, const char *path, struct failure *failure)
{
    char line[PASSWORD_MAX];
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        int err = -errno;
        return weir__fail(failure, err, "cannot open the password file %s: %s", path,
                          weir_strerror(err));
    }
    bool found = fgets(line, sizeof line, file) != NULL;
    fclose(file);
    if (!found)
        return weir__fail(failure, -EINVAL, "the password file %s is empty", path);
    free(address->password);
    address->password = strndup(line, strcspn(line, "\r\n"));
    memset(line, 0, sizeof line);
    return address->password != NULL ? 0 : weir__fail(failure, -ENOMEM, "no memory");
}

static int set_prefix(struct address *address, const char *queue, struct failure *failure)
{
    size_t size = strlen(queue);
    if (size == 0)
        return weir__fail(failure, -EINVAL, "the URL names no queue, as redis://HOST/QUEUE does");
    if (size > QUEUE_NAME_MAX || strpbrk(queue, "{}") != NULL)
        return weir__fail(failure, -EINVAL,
                          "the name of a queue has at most %d bytes, and no braces",
                          QUEUE_NAME_MAX);
    if (asprintf(&address->prefix, "weir:{%s}:", queue) < 0) {
        address->prefix = NULL;
        return weir__fail(failure, -ENOMEM, "no memory");
    }
    return 0;
}

static int set_database(struct address *address, const char *text, struct failure *failure)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 5 || text[digits] != '\0')
        return weir__fail(failure, -EINVAL, "db in the queue's URL is not a number: %.40s", text);
    free(address->database);
    address->database = strdup(text);
    return address->database != NULL ? 0 : weir__fail(failure, -ENOMEM, "no memory");
}

static int set_parameter(struct address *address, const char *name, size_t length,
                         const char *value, struct failure *failure)
{
    if (length == 2 && memcmp(name, "db", 2) == 0)
        return set_database(address, value, failure);
    if (length == 5 && memcmp(name, "queue", 5) == 0 && address->path != NULL)
        return address->prefix != NULL ? weir__fail(failure, -EINVAL, "the URL names two queues")
                                       : set_prefix(address, value, failure);
    if (length == 13 && memcmp(name, "password-file", 13) == 0)
        return read_password(address, value, failure);
    return weir__fail(failure, -EINVAL, "the queue's URL has a parameter that is none: %.*s",
                      length < 40 ? (int)length : 40, name);
}

/* The part behind the question mark. */
static int set_parameters(struct address *address, const char *at, struct failure *failure)
{
    while (*at != '\0') {
        const char *end = at + strcspn(at, "&");
        size_t length = strcspn(at, "=&");
        if (at[length] != '=')
            return weir__fail(failure, -EINVAL, "a parameter of the queue's URL has no value");
        char *value = NULL;
        int err = set(&value, at + length + 1, end, "parameter", failure);
        if (err == 0)
            err = set_parameter(address, at, length, value, failure);
        free(value);
        if (err < 0)
            return err;
        at = *end == '&' ? end + 1 : end;
    }
    return 0;
}

/* [USER:PASSWORD@] before `end`; returns where the host begins, or NULL. */
static const char *set_user(struct address *address, const char *begin, const char *end,
                            int *ret_err, struct failure *failure)
{
    const char *at = end;
    while (at > begin && at[-1] != '@')
        at--;
    if (at == begin)
        return begin;
    const char *colon = memchr(begin, ':', (size_t)(at - begin));
    if (colon == NULL) {
        *ret_err = weir__fail(failure, -EINVAL,
                              "before the @ of the queue's URL stand USER:PASSWORD, or :PASSWORD");
        return NULL;
    }
    if (colon > begin)
        *ret_err = set(&address->user, begin, colon, "user", failure);
    if (*ret_err == 0)
        *ret_err = set(&address->password, colon + 1, at - 1, "password", failure);
    return *ret_err == 0 ? at : NULL;
}

static int set_host(struct address *address, const char *begin, const char *end,
                    struct failure *failure)
{
    const char *host_end = end;
    const char *digits = end;
    while (digits > begin && isdigit((unsigned char)digits[-1]))
        digits--;
    if (digits > begin && digits[-1] == ':' && (*begin != '[' || digits[-2] == ']'))
        host_end = digits - 1;
    else
        digits = NULL;
    if (digits == end ||
        (digits != NULL && (end - digits > 5 || atoi(digits) > 65535 || atoi(digits) == 0)))
        return weir__fail(failure, -EINVAL, "the port in the queue's URL is not one");
    if (begin < host_end && *begin == '[' && host_end[-1] == ']') {
        begin++;
        host_end--;
    } else if (memchr(begin, ':', (size_t)(host_end - begin)) != NULL) {
        return weir__fail(failure, -EINVAL, "the port in the queue's URL is not one");
    }
    if (begin == host_end)
        return weir__fail(failure, -EINVAL, "the queue's URL names no host");
    int err = set(&address->host, begin, host_end, "host", failure);
    if (err == 0)
        err = digits != NULL ? set(&address->port, digits, end, "port", failure)
                             : set(&address->port, "6379", &"6379"[4], "port", failure);
    return err;
}

static int parse_tcp(struct address *address, const char *at, struct failure *failure)
{
    /* A password may hold a slash if it is written as %2F; so the first one ends the host. */
    const char *slash = at + strcspn(at, "/?");
    int err = 0;
    const char *host = set_user(address, at, slash, &err, failure);
    if (host == NULL)
        return err;
    err = set_host(address, host, slash, failure);
    if (err < 0)
        return err;
    if (asprintf(&address->name, "%s:%s", address->host, address->port) < 0) {
        address->name = NULL;
        return weir__fail(failure, -ENOMEM, "no memory");
    }
    const char *queue = *slash == '/' ? slash + 1 : slash;
    const char *end = queue + strcspn(queue, "?");
    char *name = NULL;
    err = set(&name, queue, end, "queue", failure);
    if (err == 0)
        err = set_prefix(address, name, failure);
    free(name);
    return err < 0 || *end == '\0' ? err : set_parameters(address, end + 1, failure);
}

static int parse_local(struct address *address, const char *at, struct failure *failure)
{
    const char *end = at + strcspn(at, "?");
    int err = 0;
    const char *slash = at + strcspn(at, "/?");
    const char *path = set_user(address, at, slash, &err, failure);
    if (path == NULL)
        return err;
    if (path != slash || *path != '/')
        return weir__fail(failure, -EINVAL,
                          "the URL of a socket is redis+unix:///PATH?queue=QUEUE");
    err = set(&address->path, path, end, "path", failure);
    if (err < 0)
        return err;
    address->name = strdup(address->path);
    if (address->name == NULL)
        return weir__fail(failure, -ENOMEM, "no memory");
    err = *end == '\0' ? 0 : set_parameters(address, end + 1, failure);
    return err == 0 && address->prefix == NULL ? set_prefix(address, "", failure) : err;
}

int weir__address_parse(struct address *ret, const char *url, const char *password,
                        struct failure *ret_failure)
{
    struct address address = {0};
    int err;
    if (strncmp(url, tcp, sizeof tcp - 1) == 0)
        err = parse_tcp(&address, url + sizeof tcp - 1, ret_failure);
    else if (strncmp(url, local, sizeof local - 1) == 0)
        err = parse_local(&address, url + sizeof local - 1, ret_failure);
    else
        err = weir__fail(ret_failure, -EINVAL,
                         "the URL of a queue begins with redis:// or redis+unix://");
    if (err == 0 && address.password == NULL && password != NULL && *password != '\0') {
        address.password = strdup(password);
        if (address.password == NULL)
            err = weir__fail(ret_failure, -ENOMEM, "no memory");
    }
    if (err < 0) {
        weir__address_destroy(&address);
        return err;
    }
    *ret = address;
    return 0;
}

void weir__address_destroy(struct address *address)
{
    if (address->password != NULL)
        explicit_bzero(address->password, strlen(address->password));
    free(address->host);
    free(address->port);
    free(address->path);
    free(address->user);
    free(address->password);
    free(address->database);
    free(address->prefix);
    free(address->name);
}
