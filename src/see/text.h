/* SPDX-License-Identifier: MIT */
/* text.h - text that is put together in a small buffer and goes out by a callback.
 *
 * Allocates nothing. The callback is called when the buffer is full, and at the end. Once it has
 * returned an error it is not called again, and that error is the result.
 */
#ifndef WEIR_SEE_TEXT_H
#define WEIR_SEE_TEXT_H

#include "weir/metrics.h"

enum { TEXT_BUFFER = 1024 };

struct text {
    weir_write_fn *write;
    void *arg;
    int err; /* what `write` returned, once it was not 0 */
    size_t length;
    char buffer[TEXT_BUFFER];
};

void weir__text_begin(struct text *text, weir_write_fn *write, void *arg);
/* Writes what is left. 0, or the error of `write`. */
int weir__text_end(struct text *text);

void weir__text_put(struct text *text, const char *string);
void weir__text_put_integer(struct text *text, int64_t number);
/* Nanoseconds as seconds, exactly. */
void weir__text_put_seconds(struct text *text, uint64_t ns);
/* As few digits as give the same number again; NaN, +Inf, -Inf; whatever the locale. */
void weir__text_put_double(struct text *text, double number);

#endif
