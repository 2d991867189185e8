/* SPDX-License-Identifier: MIT */
#include "see/text.h"

#include <stdbool.h>
#include <string.h>

int weir__text_flush(struct text *text)
{
    if (text->err == 0 && text->length > 0)
        text->err = text->write(text->bytes, text->length, text->arg);
    text->length = 0;
    return text->err;
}

static void put(struct text *text, char byte)
{
    if (text->length == sizeof text->bytes)
        (void)weir__text_flush(text);
    text->bytes[text->length++] = byte;
}

void weir__text(struct text *text, const char *string)
{
    for (; *string != '\0'; string++)
        put(text, *string);
}

void weir__text_line(struct text *text)
{
    put(text, '\n');
    (void)weir__text_flush(text);
}

static void put_digits(struct text *text, uint64_t number, unsigned base, unsigned least)
{
    char digits[64];
    unsigned n = 0;
    for (; number != 0 || n < least; number /= base)
        digits[n++] = "0123456789abcdef"[number % base];
    while (n > 0)
        put(text, digits[--n]);
}

void weir__text_number(struct text *text, uint64_t number)
{
    put_digits(text, number, 10, 1);
}

void weir__text_address(struct text *text, const void *address)
{
    weir__text(text, "0x");
    put_digits(text, (uintptr_t)address, 16, 1);
}

void weir__text_count(struct text *text, uint64_t number, const char *what)
{
    weir__text_number(text, number);
    put(text, ' ');
    weir__text(text, what);
    if (number != 1)
        put(text, 's');
}

/* Times. */

static void put_parts(struct text *text, uint64_t ns, uint64_t unit, unsigned decimals,
                      const char *name)
{
    uint64_t step = unit;
    weir__text_number(text, ns / unit);
    if (decimals > 0)
        put(text, '.');
    for (; decimals > 0; decimals--) {
        step /= 10;
        put_digits(text, ns / step % 10, 10, 1);
    }
    weir__text(text, name);
}

void weir__text_time(struct text *text, int64_t signed_ns)
{
    uint64_t ns = signed_ns > 0 ? (uint64_t)signed_ns : 0;
    if (ns < 1000)
        put_parts(text, ns, 1, 0, " ns");
    else if (ns < 1000000)
        put_parts(text, ns, 1000, 1, " us");
    else if (ns < 1000000000)
        put_parts(text, ns, 1000000, 1, " ms");
    else
        put_parts(text, ns, 1000000000, 3, " s");
}

/* Names. */

/* How many bytes the character has that begins here, if it is well-formed UTF-8; or 0. */
static unsigned character_size(const unsigned char *at)
{
    unsigned size = at[0] < 0x80 ? 1 : at[0] < 0xc2 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : 4;
    if (at[0] > 0xf4)
        return 0;
    for (unsigned i = 1; i < size; i++)
        if ((at[i] & 0xc0) != 0x80) /* also the NUL at the end */
            return 0;
    bool beyond =
        (at[0] == 0xc2 && at[1] < 0xa0) || /* control characters: to be escaped */
        (size > 2 &&
         ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) || /* surrogates */
          (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f)));
    return beyond ? 0 : size;
}

/* Is it the beginning of a character whose rest is missing? */
static bool is_cut(const unsigned char *at)
{
    unsigned size = at[0] < 0xc2 ? 1 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : at[0] < 0xf5 ? 4 : 1;
    unsigned have = 1;
    while (have < size && (at[have] & 0xc0) == 0x80)
        have++;
    return have < size && at[have] == '\0';
}

static void put_escaped(struct text *text, unsigned char byte)
{
    put(text, '\\');
    if (byte == '"' || byte == '\\') {
        put(text, (char)byte);
    } else if (byte == '\n') {
        put(text, 'n');
    } else {
        put(text, 'x');
        put_digits(text, byte, 16, 2);
    }
}

void weir__text_quoted(struct text *text, const char *string)
{
    const unsigned char *at = (const unsigned char *)string;
    put(text, '"');
    while (*at != '\0' && !is_cut(at)) {
        unsigned size = character_size(at);
        if (size == 0 || *at < 0x20 || *at == 0x7f || *at == '"' || *at == '\\') {
            put_escaped(text, *at++);
            continue;
        }
        for (; size > 0; size--)
            put(text, (char)*at++);
    }
    put(text, '"');
}
