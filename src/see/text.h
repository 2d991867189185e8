/* SPDX-License-Identifier: MIT */
/* text.h - writing text piece by piece, without stdio, which takes locks and allocates. */
#ifndef WEIR_SEE_TEXT_H
#define WEIR_SEE_TEXT_H

#include "weir/dump.h"

/* Collects a line, or as much of it as there is room for, and hands it on. */
struct text {
    weir_write_fn *write;
    void *arg;
    int err; /* the first that `write` returned; then nothing more is written */
    size_t length;
    char bytes[1024];
};

void weir__text(struct text *text, const char *string);
void weir__text_number(struct text *text, uint64_t number);
void weir__text_address(struct text *text, const void *address);
/* As "850 ns", "12.3 us", "1.204 s". */
void weir__text_time(struct text *text, int64_t ns);
/* In double quotes. Quotes, backslashes, control characters and bytes that are no UTF-8 are escaped
 * as in C; a character that was cut off at the end is left out. */
void weir__text_quoted(struct text *text, const char *string);
/* "1 worker", "2 workers". */
void weir__text_count(struct text *text, uint64_t number, const char *what);
/* Ends a line and hands it on. */
void weir__text_line(struct text *text);
/* Hands on what there is. Returns what `write` returned first that was not 0, or 0. */
int weir__text_flush(struct text *text);

#endif
