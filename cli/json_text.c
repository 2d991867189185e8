/* SPDX-License-Identifier: MIT */
/* json_text.c - quotes text for JSON. */
#include "json_text.h"

#include <string.h>

/* How many bytes the UTF-8 character at the beginning of `text` has; 0: it is none. */
static size_t character(struct bytes text)
{
    const unsigned char *data = (const unsigned char *)text.data;
    size_t size = data[0] < 0x80                      ? 1
                  : data[0] >= 0xc2 && data[0] < 0xe0 ? 2
                  : data[0] >= 0xe0 && data[0] < 0xf0 ? 3
                  : data[0] >= 0xf0 && data[0] < 0xf5 ? 4
                                                      : 0;
    if (size == 0 || size > text.size)
        return 0;
    for (size_t i = 1; i < size; i++)
        if ((data[i] & 0xc0) != 0x80)
            return 0;
    /* Longer than need be, a surrogate, or beyond U+10FFFF. */
    if ((data[0] == 0xe0 && data[1] < 0xa0) || (data[0] == 0xed && data[1] >= 0xa0) ||
        (data[0] == 0xf0 && data[1] < 0x90) || (data[0] == 0xf4 && data[1] >= 0x90))
        return 0;
    return size;
}

void json_append(struct buffer *buffer, struct bytes text)
{
    buffer_append(buffer, "\"", 1);
    while (text.size > 0) {
        size_t size = character(text);
        unsigned char byte = (unsigned char)text.data[0];
        if (size == 0) {
            buffer_append_text(buffer, "\\ufffd");
            size = 1;
        } else if (byte == '"' || byte == '\\') {
            buffer_append(buffer, "\\", 1);
            buffer_append(buffer, text.data, 1);
        } else if (byte == '\n') {
            buffer_append_text(buffer, "\\n");
        } else if (byte == '\t') {
            buffer_append_text(buffer, "\\t");
        } else if (byte < 0x20 || byte == 0x7f) {
            buffer_printf(buffer, "\\u%04x", byte);
        } else {
            buffer_append(buffer, text.data, size);
        }
        text = (struct bytes){text.data + size, text.size - size};
    }
    buffer_append(buffer, "\"", 1);
}
