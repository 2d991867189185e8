/* SPDX-License-Identifier: MIT */
#include "see/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void weir__text_begin(struct text *text, weir_write_fn *write, void *arg)
{
    text->write = write;
    text->arg = arg;
    text->err = 0;
    text->length = 0;
}

static void flush(struct text *text)
{
    if (text->err == 0 && text->length > 0)
        text->err = text->write(text->buffer, text->length, text->arg);
    text->length = 0;
}

int weir__text_end(struct text *text)
{
    flush(text);
    return text->err;
}

void weir__text_put(struct text *text, const char *string)
{
    size_t left = strlen(string);
    while (left > 0) {
        size_t room = TEXT_BUFFER - text->length, n = left < room ? left : room;
        memcpy(text->buffer + text->length, string, n);
        text->length += n;
        string += n;
        left -= n;
        if (text->length == TEXT_BUFFER)
            flush(text);
    }
}

void weir__text_put_integer(struct text *text, int64_t number)
{
    char digits[32];
    (void)snprintf(digits, sizeof digits, "%" PRId64, number);
    weir__text_put(text, digits);
}

void weir__text_put_seconds(struct text *text, uint64_t ns)
{
    char digits[32];
    (void)snprintf(digits, sizeof digits, "%" PRIu64 ".%09" PRIu64, ns / 1000000000,
                   ns % 1000000000);
    weir__text_put(text, digits);
}

/* The C library writes the decimal point of the program's locale, which may take several bytes. */
static void put_with_point(struct text *text, char *number)
{
    static const char plain[] = "0123456789+-e";
    size_t whole = strspn(number, plain);
    char *rest = number + whole;
    if (*rest != '\0') {
        char *fraction = rest + strcspn(rest, plain);
        *rest = '\0';
        weir__text_put(text, number);
        weir__text_put(text, ".");
        rest = fraction;
    } else {
        rest = number;
    }
    weir__text_put(text, rest);
}

void weir__text_put_double(struct text *text, double number)
{
    if (isnan(number) || isinf(number)) {
        weir__text_put(text, isnan(number) ? "NaN" : number > 0 ? "+Inf" : "-Inf");
        return;
    }
    char digits[64];
    (void)snprintf(digits, sizeof digits, "%.15g", number);
    if (strtod(digits, NULL) != number)
        (void)snprintf(digits, sizeof digits, "%.17g", number);
    put_with_point(text, digits);
}
