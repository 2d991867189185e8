/* SPDX-License-Identifier: MIT */
/* json.h - text that is put together in a buffer and given to a function each time that is full. */
#ifndef WEIR_SEE_JSON_H
#define WEIR_SEE_JSON_H

#include <stddef.h>
#include <stdint.h>

#include "weir/dump.h"

struct json {
    weir_write_fn *write;
    void *arg;
    char *buffer;
    size_t size, n;
    int err; /* the first that `write` returned; then it is not called again */
};

void weir__json_flush(struct json *json);

/* As it is. */
void weir__json_text(struct json *json, const char *text);
void weir__json_number(struct json *json, int64_t value);
/* In microseconds, with three decimals. */
void weir__json_time(struct json *json, int64_t ns);
/* A string of at most `most` bytes, or up to its end, with its quotes. What is not UTF-8 is shown
 * as U+FFFD. */
void weir__json_string(struct json *json, const char *text, size_t most);
/* An address, as a string. */
void weir__json_address(struct json *json, uintptr_t address);

#endif
