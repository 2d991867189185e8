/* SPDX-License-Identifier: MIT */
/* quote.c - quotes so that any sh reads back the very bytes.
 * Outside quotes: '...', in which only ' is special; it becomes '\'' (end, a quoted ', begin).
 * Within '...': the same without the outer pair. Within "...": a backslash before $ ` " and \, and
 * behind $x a new pair, as the text could go on with the name.
 */
#include "quote.h"

#include <string.h>

/* What the shell reads as itself wherever it stands. Neither = (an assignment) nor ~ is here. */
static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                            "_-./:,+@%";

static bool is_plain(struct bytes text)
{
    static const char *const reserved[] = {"if",   "then", "else",     "elif",   "fi",    "do",
                                           "done", "case", "esac",     "while",  "until", "for",
                                           "in",   "time", "function", "select", "coproc"};
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] == '\0' || strchr(plain, text.data[i]) == NULL)
            return false;
    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
        if (strlen(reserved[i]) == text.size && memcmp(reserved[i], text.data, text.size) == 0)
            return false;
    return text.size > 0;
}

static void in_single_quotes(struct buffer *buffer, struct bytes text)
{
    const char *begin = text.data;
    const char *end = text.data + text.size;
    while (begin < end) {
        const char *found = memchr(begin, '\'', (size_t)(end - begin));
        const char *stop = found == NULL ? end : found;
        buffer_append(buffer, begin, (size_t)(stop - begin));
        if (found == NULL)
            return;
        buffer_append_text(buffer, "'\\''");
        begin = found + 1;
    }
}

static void in_double_quotes(struct buffer *buffer, struct bytes text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] != '\0' && strchr("$`\"\\", text.data[i]) != NULL)
            buffer_append(buffer, "\\", 1);
        buffer_append(buffer, text.data + i, 1);
    }
}

void quote(struct buffer *buffer, struct bytes text, enum place place, bool always)
{
    switch (place) {
    case PLACE_WORD:
        buffer_append(buffer, text.data, text.size);
        break;
    case PLACE_BARE:
        if (!always && is_plain(text)) {
            buffer_append(buffer, text.data, text.size);
            break;
        }
        buffer_append(buffer, "'", 1);
        in_single_quotes(buffer, text);
        buffer_append(buffer, "'", 1);
        break;
    case PLACE_SINGLE:
        in_single_quotes(buffer, text);
        break;
    case PLACE_DOUBLE:
        if (always)
            buffer_append_text(buffer, "\"\""); /* ends the quotes, and begins new ones */
        in_double_quotes(buffer, text);
        break;
    }
}
