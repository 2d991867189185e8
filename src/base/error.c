/* SPDX-License-Identifier: MIT */
/* error.c - the texts of the codes, the version, and how weir stops a program that misuses it. */
#include "weir/base.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"

#define TEXT_(x) #x
#define TEXT(x) TEXT_(x)

const char *weir_version(void)
{
    return TEXT(WEIR_VERSION_MAJOR) "." TEXT(WEIR_VERSION_MINOR) "." TEXT(WEIR_VERSION_PATCH);
}

const char *weir_strerror(int code)
{
    switch (code) {
    case 0:
        return "Success";
    case -EAGAIN:
        return "Full, empty, not yet over, or no permit just now";
    case -ETIMEDOUT:
        return "The deadline has passed, or will pass before this can succeed";
    case -ECANCELED:
        return "The context was cancelled";
    case -EPIPE:
        return "Closed or shut down";
    case -EDEADLK:
        return "This call could never end";
    case -EBUSY:
        return "The object is in use";
    case -EINVAL:
        return "An argument that can never be valid";
    case -ENOMEM:
        return "No memory";
    case -E2BIG:
        return "The options are newer than this version of weir";
    case -EOVERFLOW:
        return "A count would wrap";
    case -ESTALE:
        return "The handle was inherited through fork()";
    case -EINPROGRESS:
        return "The task is running";
    case -EALREADY:
        return "It is over, closed or called already";
    case -EMFILE:
        return "The process has no file descriptor left";
    case -ENFILE:
        return "The system has no file descriptor left";
    default:
        return "A code that weir does not define";
    }
}

_Noreturn void weir__misuse(const char *call, const char *sentence)
{
    (void)fprintf(stderr, "weir: %s: %s\n", call, sentence);
    abort();
}

#if defined(WEIR_DEBUG_CHECKS) && WEIR_DEBUG_CHECKS
_Noreturn void weir__assert_failed(const char *condition, const char *file, int line)
{
    (void)fprintf(stderr, "weir: internal error: %s does not hold at %s:%d.\n", condition, file,
                  line);
    abort();
}
#endif
