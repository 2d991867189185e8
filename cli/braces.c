/* SPDX-License-Identifier: MIT */
/* braces.c - the spelling of replacements. What is in braces and is none stays as it is. */
#include "braces.h"

#include "values.h"

#include <stdio.h>
#include <string.h>

static bool read_trim(struct bytes text, enum trim *ret)
{
    static const char *const spelled[] = {"", ".", "/", "//", "/."};
    for (size_t i = 0; i < sizeof(spelled) / sizeof(spelled[0]); i++) {
        if (strlen(spelled[i]) == text.size && memcmp(spelled[i], text.data, text.size) == 0) {
            *ret = (enum trim)i;
            return true;
        }
    }
    return false;
}

/* 1, 2/, 3/. */
static bool read_column(struct part *ret, struct bytes text)
{
    char digits[8];
    int64_t number;
    size_t size = 0;
    while (size < text.size && text.data[size] >= '0' && text.data[size] <= '9')
        size++;
    if (size == 0 || size >= sizeof(digits))
        return false;
    memcpy(digits, text.data, size);
    digits[size] = '\0';
    if (!read_number(digits, 1, 1000000, &number))
        return false;
    ret->what = WHAT_COLUMN;
    ret->column = (size_t)number - 1;
    return read_trim((struct bytes){text.data + size, text.size - size}, &ret->trim);
}

bool braces_read_name(struct part *ret, const struct names *names, struct bytes text)
{
    for (size_t i = 0; i < names->n; i++) {
        size_t size = strlen(names->names[i]);
        if (size == 0 || size > text.size || memcmp(names->names[i], text.data, size) != 0)
            continue;
        ret->what = WHAT_COLUMN;
        ret->column = i;
        if (read_trim((struct bytes){text.data + size, text.size - size}, &ret->trim))
            return true;
    }
    return false;
}

/* Letters, digits, _, - and dots: other braces are more likely to be something else. Of a column
 * that is looked up in the job's own header, `cut` follows. */
static bool read_member(struct part *ret, struct bytes text, bool cut)
{
    size_t whole = text.size;
    while (cut && text.size > 0 && whole - text.size < 2 && strchr("/.", text.data[text.size - 1]))
        text.size--;
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' ||
                      (unsigned char)c >= 0x80;
        if (!letter && (i == 0 || ((c < '0' || c > '9') && c != '-' && c != '.')))
            return false;
    }
    ret->what = WHAT_MEMBER;
    return text.size > 0;
}

size_t braces_read(struct part *ret, const struct settings *settings, const struct names *names,
                   const char *text)
{
    size_t size = strlen(settings->placeholder);
    *ret = (struct part){.what = WHAT_RECORD, .text = {text, size}};
    if (strncmp(text, settings->placeholder, size) == 0)
        return size;
    const char *end = text[0] == '{' ? strchr(text, '}') : NULL;
    if (end == NULL)
        return 0;
    struct bytes in = {text + 1, (size_t)(end - text) - 1};
    size = in.size + 2;
    ret->text.size = size;
    if (in.size == 1 && (in.data[0] == '#' || in.data[0] == '%')) {
        ret->what = in.data[0] == '#' ? WHAT_SEQ : WHAT_SLOT;
        return size;
    }
    if (in.size > 0 && read_trim(in, &ret->trim))
        return size;
    if (braces_read_name(ret, names, in) || read_column(ret, in))
        return size;
    bool late = settings->names_in_job;
    return (settings->json || late) && read_member(ret, in, late) ? size : 0;
}
