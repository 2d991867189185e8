/* SPDX-License-Identifier: MIT */
/* text.c - a text that grows, and what is to be read from texts that others have sent. */
#include "text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool make_room(struct text *text, size_t n)
{
    if (text->failed)
        return false;
    if (n < text->room - text->length) /* one more for the NUL */
        return true;
    size_t room = 2 * text->room + n + 64;
    char *larger = realloc(text->data, room);
    if (larger == NULL) {
        text->failed = true;
        return false;
    }
    text->data = larger;
    text->room = room;
    return true;
}

void text_add(struct text *text, const char *data, size_t n)
{
    if (!make_room(text, n))
        return;
    if (n > 0)
        memcpy(text->data + text->length, data, n);
    text->length += n;
    text->data[text->length] = '\0';
}

void text_put(struct text *text, const char *string)
{
    text_add(text, string, strlen(string));
}

void text_format(struct text *text, const char *format, ...)
{
    for (int round = 0; round < 2; round++) {
        size_t room = text->room - text->length;
        va_list args;
        va_start(args, format);
        int n = vsnprintf(room > 0 ? text->data + text->length : NULL, room, format, args);
        va_end(args);
        if (n < 0) {
            text->failed = true;
            return;
        }
        if ((size_t)n < room) {
            text->length += (size_t)n;
            return;
        }
        if (!make_room(text, (size_t)n))
            return;
    }
}

void text_json(struct text *text, const char *string)
{
    text_put(text, "\"");
    for (const char *c = string; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\')
            text_format(text, "\\%c", *c);
        else if ((unsigned char)*c < 0x20 || *c == 0x7f)
            text_format(text, "\\u%04x", (unsigned)*c);
        else
            text_add(text, c, 1);
    }
    text_put(text, "\"");
}

char *text_take(struct text *text, size_t *ret_length)
{
    char *data = NULL;
    if (make_room(text, 0)) {
        data = text->data;
        data[text->length] = '\0';
        if (ret_length != NULL)
            *ret_length = text->length;
    } else {
        free(text->data);
    }
    *text = (struct text){0};
    return data;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int percent_decode(char *text, bool plus)
{
    char *to = text;
    for (const char *from = text; *from != '\0'; from++) {
        char c = *from;
        if (c == '+' && plus) {
            c = ' ';
        } else if (c == '%') {
            int high = hex_digit(from[1]);
            int low = high < 0 ? -1 : hex_digit(from[2]);
            if (low < 0)
                return -EINVAL;
            c = (char)(high * 16 + low);
            from += 2;
        }
        if ((unsigned char)c < 0x20 || c == 0x7f)
            return -EINVAL;
        *to++ = c;
    }
    *to = '\0';
    return 0;
}

int match_pattern(const char *pattern, const char *path, struct param ret[MAX_PARAMS])
{
    int n = 0;
    while (*pattern != '\0') {
        if (*pattern == ':' && n < MAX_PARAMS) {
            struct param *param = &ret[n++];
            param->name = pattern + 1;
            param->name_length = strcspn(param->name, "/");
            param->value = path;
            param->value_length = strcspn(path, "/");
            if (param->value_length == 0)
                return -ENOENT;
            pattern = param->name + param->name_length;
            path += param->value_length;
        } else if (*pattern++ != *path++) {
            return -ENOENT;
        }
    }
    return *path == '\0' ? n : -ENOENT;
}

int read_number(const char *text, int64_t least, int64_t most, int64_t *ret)
{
    char *end;
    if (text == NULL || !((*text >= '0' && *text <= '9') || *text == '-'))
        return -EINVAL;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0' || value < least || value > most)
        return -EINVAL;
    *ret = value;
    return 0;
}

bool is_plain_name(const char *text)
{
    static const char fine[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
    return *text != '\0' && text[strspn(text, fine)] == '\0';
}

/* The length of the character that begins here, or 0. */
static size_t utf8_length(const unsigned char *c, size_t n)
{
    size_t length = *c < 0x80   ? 1
                    : *c < 0xc2 ? 0
                    : *c < 0xe0 ? 2
                    : *c < 0xf0 ? 3
                    : *c < 0xf5 ? 4
                                : 0;
    if (*c == 0 || length > n)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((c[i] & 0xc0) != 0x80)
            return 0;
    if ((*c == 0xe0 && c[1] < 0xa0) || (*c == 0xed && c[1] > 0x9f) || /* too long; a surrogate */
        (*c == 0xf0 && c[1] < 0x90) || (*c == 0xf4 && c[1] > 0x8f))   /* too long; too large */
        return 0;
    return length;
}

bool is_utf8(const char *text, size_t n)
{
    const unsigned char *c = (const unsigned char *)text;
    while (n > 0) {
        size_t length = utf8_length(c, n);
        if (length == 0)
            return false;
        c += length;
        n -= length;
    }
    return true;
}

bool fts_expression(struct text *text, const char *words)
{
    bool any = false;
    while (*words != '\0') {
        words += strspn(words, " \t\r\n");
        size_t n = strcspn(words, " \t\r\n");
        if (n == 0)
            break;
        text_put(text, any ? " \"" : "\"");
        for (size_t i = 0; i < n; i++)
            text_add(text, words[i] == '"' ? "\"\"" : &words[i], words[i] == '"' ? 2 : 1);
        text_put(text, "\"");
        words += n;
        any = true;
    }
    return any;
}

int read_text(FILE *file, char *ret, size_t room)
{
    errno = 0;
    size_t n = fread(ret, 1, room, file);
    if (ferror(file))
        return errno != 0 ? -errno : -EIO;
    if (n == room)
        return -EFBIG;
    ret[n] = '\0';
    return strlen(ret) == n ? 0 : -EINVAL;
}

/* A cursor over JSON. */
struct cursor {
    const char *at, *end;
};

static void skip_blanks(struct cursor *cursor)
{
    while (cursor->at < cursor->end && memchr(" \t\r\n", *cursor->at, 4) != NULL)
        cursor->at++;
}

static bool take_char(struct cursor *cursor, char wanted)
{
    skip_blanks(cursor);
    if (cursor->at == cursor->end || *cursor->at != wanted)
        return false;
    cursor->at++;
    return true;
}

/* The code unit behind a \u, or -1. */
static int take_unit(struct cursor *cursor)
{
    int unit = 0;
    if (cursor->end - cursor->at < 4)
        return -1;
    for (int i = 0; i < 4; i++) {
        int digit = hex_digit(*cursor->at++);
        if (digit < 0)
            return -1;
        unit = unit * 16 + digit;
    }
    return unit;
}

/* \u0041 and the like, outside the surrogates, which are refused: who needs such a character can
 * write it as it is. */
static bool take_escaped_unit(struct cursor *cursor, struct text *text)
{
    int unit = take_unit(cursor);
    if (unit <= 0 || (unit >= 0xd800 && unit <= 0xdfff))
        return false;
    char utf8[3];
    size_t n = 0;
    if (unit < 0x80) {
        utf8[n++] = (char)unit;
    } else if (unit < 0x800) {
        utf8[n++] = (char)(0xc0 | (unit >> 6));
        utf8[n++] = (char)(0x80 | (unit & 0x3f));
    } else {
        utf8[n++] = (char)(0xe0 | (unit >> 12));
        utf8[n++] = (char)(0x80 | ((unit >> 6) & 0x3f));
        utf8[n++] = (char)(0x80 | (unit & 0x3f));
    }
    text_add(text, utf8, n);
    return true;
}

static bool take_string(struct cursor *cursor, struct text *text)
{
    static const char escapes[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    if (!take_char(cursor, '"'))
        return false;
    while (cursor->at < cursor->end && *cursor->at != '"') {
        char c = *cursor->at++;
        if ((unsigned char)c < 0x20)
            return false;
        if (c != '\\') {
            text_add(text, &c, 1);
            continue;
        }
        if (cursor->at == cursor->end)
            return false;
        c = *cursor->at++;
        const char *escape = memchr(escapes, c, sizeof escapes - 1);
        if (escape != NULL)
            text_add(text, &meanings[escape - escapes], 1);
        else if (c != 'u' || !take_escaped_unit(cursor, text))
            return false;
    }
    return take_char(cursor, '"');
}

char *json_field(const char *json, size_t n, const char *name)
{
    struct cursor cursor = {json, json + n};
    struct text found = {0};
    bool whole = is_utf8(json, n) && take_char(&cursor, '{'), any = false;
    do {
        struct text key = {0}, value = {0};
        whole = whole && take_string(&cursor, &key) && take_char(&cursor, ':') &&
                take_string(&cursor, &value);
        if (whole && !any && key.data != NULL && strcmp(key.data, name) == 0) {
            any = true;
            found = value;
            value = (struct text){0};
        }
        free(key.data);
        free(value.data);
    } while (whole && take_char(&cursor, ','));
    whole = whole && take_char(&cursor, '}');
    skip_blanks(&cursor);
    if (whole && any && cursor.at == cursor.end)
        return text_take(&found, NULL);
    free(found.data);
    return NULL;
}
