/* SPDX-License-Identifier: MIT */
/* error.c - the texts of the codes, the version, and how weir stops a program on misuse. */
#include "weir/base.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

/* Of a code that is not weir's. The GNU C library has texts that are static and in no language but
 * English; elsewhere strerror's are, as a rule, and where not it says so. */
static const char *system_text(int number)
{
#ifdef __GLIBC__
    const char *text = strerrordesc_np(number);
    return text != NULL ? text : "Unknown error";
#else
    return strerror(number);
#endif
}

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
        return "Try again later";
    case -ETIMEDOUT:
        return "Timed out";
    case -ECANCELED:
        return "Cancelled";
    case -EPIPE:
        return "Closed";
    case -EDEADLK:
        return "Would never return";
    case -EBUSY:
        return "Object in use";
    case -EINVAL:
        return "Invalid argument";
    case -ENOMEM:
        return "Out of memory";
    case -E2BIG:
        return "Options from a newer version of weir";
    case -EOVERFLOW:
        return "Count too large";
    case -ESTALE:
        return "Handle from before fork()";
    case -EINPROGRESS:
        return "Task is running";
    case -EALREADY:
        return "Already done";
    case -ENOBUFS:
        return "Too many unreaped results";
    case -EEXIST:
        return "Already there";
    case -EMFILE:
        return "Too many open files in this process";
    case -ENFILE:
        return "Too many open files in the system";
    default:
        return code < 0 && code > INT_MIN ? system_text(-code) : "Unknown error";
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
