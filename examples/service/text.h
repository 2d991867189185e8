/* SPDX-License-Identifier: MIT */
/* text.h - a text that grows, and what is to be read from texts that others have sent.
 *
 * Plain functions of their arguments: they are what the fuzzer is given. */
#ifndef TEXT_H
#define TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* All-zero is empty. Once memory was short, `failed` stays set, and what is added is lost. */
struct text {
    char *data;
    size_t length, room;
    bool failed;
};

void text_add(struct text *text, const char *data, size_t n);
void text_put(struct text *text, const char *string);
void text_format(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Adds a string of JSON, quotes and all. */
void text_json(struct text *text, const char *string);

/* Takes the text out: malloc's, with a NUL behind it; NULL if memory was short. Leaves it empty. */
char *text_take(struct text *text, size_t *ret_length);

/* Decodes what is percent-encoded, in place; `plus` makes a blank of a +, as in a query. Returns 0;
 * -EINVAL: % without two hex digits, or a NUL, or another control character. */
int percent_decode(char *text, bool plus);

/* Does the path fit the pattern? The parts that stand for parameters are noted in the order of the
 * pattern, as places in `path`. Returns how many there are; -ENOENT: it does not fit. */
enum { MAX_PARAMS = 4 };
struct param {
    const char *name; /* in the pattern, up to the next / or its end */
    const char *value;
    size_t name_length, value_length;
};
int match_pattern(const char *pattern, const char *path, struct param ret[MAX_PARAMS]);

/* A whole decimal number in this range, and nothing around it. Returns 0; -EINVAL. */
int read_number(const char *text, int64_t least, int64_t most, int64_t *ret);

/* Is it letters, digits, and - _ . alone, and at least one? It may go into a log and a header. */
bool is_plain_name(const char *text);

/* Is it UTF-8 without a NUL? */
bool is_utf8(const char *text, size_t n);

/* The words of a query as an expression of FTS5: each in quotes, so that it has no other meaning.
 * False: there is no word. */
bool fts_expression(struct text *text, const char *words);

/* Reads a file to its end, and puts a NUL behind it. Returns 0; -EFBIG: there is no room for all of
 * it; -EINVAL: it has a NUL of its own; -EIO and the like. */
int read_text(FILE *file, char *ret, size_t room);

/* The string that the field `name` has in a flat JSON object: {"q":"words"}. malloc's; NULL: there
 * is none, or this is no such object, or memory is short. */
char *json_field(const char *json, size_t n, const char *name);

#endif
