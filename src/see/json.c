/* SPDX-License-Identifier: MIT */
#include "see/json.h"

#include <stdbool.h>
#include <string.h>

void weir__json_flush(struct json *json)
{
    if (json->err == 0 && json->n > 0)
        json->err = json->write(json->buffer, json->n, json->arg);
    json->n = 0;
}

static void put_bytes(struct json *json, const char *bytes, size_t n)
{
    while (n > 0) {
        if (json->n == json->size)
            weir__json_flush(json);
        size_t room = json->size - json->n, part = n < room ? n : room;
        memcpy(json->buffer + json->n, bytes, part);
        json->n += part;
        bytes += part;
        n -= part;
    }
}

void weir__json_text(struct json *json, const char *text)
{
    put_bytes(json, text, strlen(text));
}

/* At least `digits` of them. */
static void put_digits(struct json *json, uint64_t value, unsigned base, unsigned digits)
{
    char text[20];
    size_t at = sizeof text;
    while (value != 0 || sizeof text - at < digits) {
        text[--at] = "0123456789abcdef"[value % base];
        value /= base;
    }
    put_bytes(json, text + at, sizeof text - at);
}

void weir__json_number(struct json *json, int64_t value)
{
    if (value < 0)
        weir__json_text(json, "-");
    put_digits(json, value < 0 ? -(uint64_t)value : (uint64_t)value, 10, 1);
}

void weir__json_time(struct json *json, int64_t ns)
{
    put_digits(json, (uint64_t)ns / 1000, 10, 1);
    weir__json_text(json, ".");
    put_digits(json, (uint64_t)ns % 1000, 10, 3);
}

void weir__json_address(struct json *json, uintptr_t address)
{
    weir__json_text(json, "\"0x");
    put_digits(json, address, 16, 1);
    weir__json_text(json, "\"");
}

/* How many of the `n` bytes are one sign of UTF-8; 0: they do not begin with one. */
static size_t utf8_sign(const unsigned char *bytes, size_t n)
{
    unsigned char first = bytes[0];
    if (first < 0x80)
        return 1;
    size_t length = first >= 0xf0 ? 4 : (first >= 0xe0 ? 3 : 2);
    if (first < 0xc2 || first > 0xf4 || n < length)
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
    /* Longer than it need be, a surrogate, beyond the last: the second byte shows it. */
    bool bad = (first == 0xe0 && bytes[1] < 0xa0) || (first == 0xed && bytes[1] > 0x9f) ||
               (first == 0xf0 && bytes[1] < 0x90) || (first == 0xf4 && bytes[1] > 0x8f);
    return bad ? 0 : length;
}

void weir__json_string(struct json *json, const char *text, size_t most)
{
    size_t n = 0;
    while (n < most && text[n] != '\0')
        n++;
    weir__json_text(json, "\"");
    while (n > 0) {
        unsigned char byte = (unsigned char)*text;
        size_t length = utf8_sign((const unsigned char *)text, n);
        if (length == 0) {
            weir__json_text(json, "\\ufffd");
            length = 1;
        } else if (byte < 0x20 || byte == 0x7f) {
            weir__json_text(json, "\\u");
            put_digits(json, byte, 16, 4);
        } else {
            if (byte == '"' || byte == '\\')
                weir__json_text(json, "\\");
            put_bytes(json, text, length);
        }
        text += length;
        n -= length;
    }
    weir__json_text(json, "\"");
}
