/* SPDX-License-Identifier: MIT */
/* failure.c - an error with its text, and the last one of each thread. */
#include "failure.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Of a thread, so that no other thread changes a text that is being read. */
static _Thread_local struct {
    const weir_queue *queue;
    char text[256];
} last;

int weir__fail(struct failure *ret, int code, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(ret->text, sizeof ret->text, format, arguments);
    va_end(arguments);
    for (char *at = ret->text; *at != '\0'; at++)
        if (iscntrl((unsigned char)*at))
            *at = ' ';
    ret->code = code;
    return code;
}

int weir__fail_queue(const weir_queue *queue, const struct failure *failure)
{
    last.queue = queue;
    memcpy(last.text, failure->text, sizeof last.text);
    return failure->code;
}

int weir__fail_code(const weir_queue *queue, int code)
{
    struct failure failure;
    (void)weir__fail(&failure, code, "%s", weir_strerror(code));
    return weir__fail_queue(queue, &failure);
}

const char *weir_queue_error(const weir_queue *queue)
{
    return last.queue == queue ? last.text : "";
}

/* What servers say. A script's error begins with the code of the call in it. */
static const struct {
    const char *word;
    int code;
} classes[] = {
    {"NOAUTH", -EACCES},    {"WRONGPASS", -EACCES}, {"NOPERM", -EACCES},  {"READONLY", -EROFS},
    {"MISCONF", -EROFS},    {"NOREPLICAS", -EROFS}, {"OOM", -ENOSPC},     {"LOADING", -EBUSY},
    {"BUSY", -EBUSY},       {"MASTERDOWN", -EBUSY}, {"TRYAGAIN", -EBUSY}, {"CLUSTERDOWN", -EBUSY},
    {"NOSCRIPT", -ENOEXEC},
};

int weir__classify(const char *text, size_t size)
{
    static const char old_password[] = "ERR invalid password", no_password[] = "ERR AUTH";
    static const char too_many[] = "ERR max number of clients";
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        size_t length = strlen(classes[i].word);
        if (size > length && memcmp(text, classes[i].word, length) == 0 && text[length] == ' ')
            return classes[i].code;
    }
    if (strncmp(text, old_password, sizeof old_password - 1) == 0 ||
        strncmp(text, no_password, sizeof no_password - 1) == 0)
        return -EACCES;
    return strncmp(text, too_many, sizeof too_many - 1) == 0 ? -EBUSY : -EPROTO;
}

bool weir__is_transient(int code)
{
    switch (code) {
    case -EACCES:
    case -EPROTO:
    case -ENOMEM:
    case -ECANCELED:
    case -EMFILE:
    case -ENFILE:
        return false;
    default:
        return true;
    }
}
