/* SPDX-License-Identifier: MIT */
/* failure.h - an error with its text, and the last one of each thread. */
#ifndef WEIR_QUEUE_FAILURE_H
#define WEIR_QUEUE_FAILURE_H

#include "weir/queue.h"

#include <stdbool.h>

struct failure {
    int code; /* a negative errno */
    char text[256];
};

/* Sets both and returns the code. The text loses what does not fit, and bytes that would move a
 * terminal's cursor. */
int weir__fail(struct failure *ret, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Makes it the last failure of this thread, on that queue (NULL: a failed open). Returns its code.
 */
int weir__fail_queue(const weir_queue *queue, const struct failure *failure);

/* The same for a code that says it all. */
int weir__fail_code(const weir_queue *queue, int code);

/* The code that an error reply of the server stands for. `text` is not terminated. */
int weir__classify(const char *text, size_t size);

/* Whether it may be over soon: no server, one that is not ready, or one that was lost. */
bool weir__is_transient(int code);

#endif
