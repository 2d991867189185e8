/* SPDX-License-Identifier: MIT */
/* template.c - reads a command into words, and words into parts. In a command for the shell each
 * replacement is told the quotes that it stands in; where none can be told, there is no run.
 */
#include "template.h"

#include "braces.h"
#include "complain.h"
#include "shell_scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int no_memory(void)
{
    complain("no memory is left");
    return -ENOMEM;
}

static int add_part(struct word *word, struct part part)
{
    struct part *parts = realloc(word->parts, (word->n + 1) * sizeof(part));
    if (parts == NULL)
        return no_memory();
    word->parts = parts;
    word->parts[word->n++] = part;
    return 0;
}

static int add_text(struct word *word, const char *text, size_t size)
{
    if (size == 0)
        return 0;
    return add_part(word, (struct part){.what = WHAT_TEXT, .text = {text, size}});
}

static struct word *add_word(struct template *template)
{
    struct word *words = realloc(template->words, (template->n + 1) * sizeof(*words));
    if (words == NULL) {
        no_memory();
        return NULL;
    }
    template->words = words;
    words[template->n] = (struct word){NULL, 0};
    return &words[template->n++];
}

static void note(struct template *template, enum what what)
{
    template->has_seq |= what == WHAT_SEQ;
    template->has_slot |= what == WHAT_SLOT;
    template->has_record |= what == WHAT_RECORD || what == WHAT_COLUMN || what == WHAT_MEMBER;
}

/* A word that no shell reads. */
static int read_word(struct template *template, const struct settings *settings,
                     const struct names *names, const char *text)
{
    struct word *word = add_word(template);
    int err = word == NULL ? -ENOMEM : 0;
    const char *begin = text;
    while (err == 0 && *text != '\0') {
        struct part part;
        size_t size = braces_read(&part, settings, names, text);
        if (size == 0) {
            text++;
            continue;
        }
        note(template, part.what);
        err = add_text(word, begin, (size_t)(text - begin));
        err = err != 0 ? err : add_part(word, part);
        text += size;
        begin = text;
    }
    return err != 0 ? err : add_text(word, begin, (size_t)(text - begin));
}

/* Where a replacement stands. Numbers of weir's own are safe everywhere but within quotes of its
 * own making, which they do not need. */
static int set_place(struct part *part, const struct shell_scan *scan, const char *next)
{
    const char *why;
    bool number = part->what == WHAT_SEQ || part->what == WHAT_SLOT;
    if (!shell_scan_is_safe(scan, &why)) {
        part->place = PLACE_WORD;
        if (number)
            return 0;
        complain("%.*s cannot be quoted safely within %s", (int)part->text.size, part->text.data,
                 why);
        return -EINVAL;
    }
    enum shell_level level = scan->levels[scan->depth];
    part->place = level == SHELL_DOUBLE   ? PLACE_DOUBLE
                  : level == SHELL_SINGLE ? PLACE_SINGLE
                                          : PLACE_BARE;
    /* Before <, > or a digit it could be a descriptor, before = + [ an assignment, before ( a
     * function; behind $x it could go on with the name. */
    bool bare = part->place == PLACE_BARE;
    part->quote_always = scan->dollar == SHELL_NAME ||
                         (bare && *next != '\0' && strchr("<>=+[(0123456789", *next) != NULL);
    return 0;
}

/* The command that the shell is to read. */
static int read_command(struct template *template, struct word *word,
                        const struct settings *settings, const struct names *names,
                        const char *text)
{
    struct shell_scan scan;
    const char *begin = text;
    const char *why;
    int err = 0;
    shell_scan_init(&scan);
    while (err == 0 && *text != '\0') {
        struct part part;
        /* ${1} and its like are the shell's, as long as the shell sees a $ there. */
        size_t size = braces_read(&part, settings, names, text);
        if (size == 0) {
            text += shell_scan_step(&scan, text);
            continue;
        }
        note(template, part.what);
        err = add_text(word, begin, (size_t)(text - begin));
        err = err != 0 ? err : set_place(&part, &scan, text + size);
        err = err != 0 ? err : add_part(word, part);
        shell_scan_replacement(&scan);
        text += size;
        begin = text;
    }
    if (err == 0 && !shell_scan_is_complete(&scan, &why)) {
        complain("the command has an unterminated quote or substitution: %s", why);
        err = -EINVAL;
    }
    return err != 0 ? err : add_text(word, begin, (size_t)(text - begin));
}

/* Does a record that is appended to this command come where it can be quoted? */
static int check_end(const char *text)
{
    struct shell_scan scan;
    const char *why;
    shell_scan_init(&scan);
    while (*text != '\0')
        text += shell_scan_step(&scan, text);
    (void)shell_scan_step(&scan, " "); /* comes before the record */
    if (shell_scan_is_safe(&scan, &why))
        return 0;
    complain("the record cannot be appended: it would stand within %s; say {} where it belongs",
             why);
    return -EINVAL;
}

static int append_record(struct template *template, bool shell)
{
    struct part part = {.what = WHAT_COLUMNS, .text = {"{}", 2}};
    struct word *word;
    template->has_record = true;
    if (!shell) {
        word = add_word(template);
        return word == NULL ? -ENOMEM : add_part(word, part);
    }
    word = &template->words[template->n - 1];
    part.place = PLACE_BARE;
    int err = add_text(word, " ", 1);
    return err != 0 ? err : add_part(word, part);
}

static bool needs_shell(const struct settings *settings, char *const words[], size_t n)
{
    if (settings->shell != SHELL_AUTO)
        return settings->shell == SHELL_ALWAYS;
    return n == 1 && (strpbrk(words[0], " \t\n|&;<>()$`\\\"'*?[]#") != NULL || words[0][0] == '~');
}

/* sh, -c, and all words as one. */
static int read_for_shell(struct template *template, const struct settings *settings,
                          const struct names *names, char *const words[], size_t n)
{
    static const char *const shell[] = {"/bin/sh", "-c"};
    struct buffer joined = {0};
    for (size_t i = 0; i < n; i++) {
        buffer_append(&joined, " ", i > 0);
        buffer_append_text(&joined, words[i]);
    }
    buffer_append(&joined, "", 1);
    if (joined.failed)
        return no_memory();
    template->joined = joined.data;
    template->shell = true;
    for (int i = 0; i < 2; i++) {
        struct word *word = add_word(template);
        int err = word == NULL ? -ENOMEM : add_text(word, shell[i], strlen(shell[i]));
        if (err != 0)
            return err;
    }
    struct word *word = add_word(template);
    return word == NULL ? -ENOMEM : read_command(template, word, settings, names, joined.data);
}

int template_read(struct template *ret, const struct settings *settings, const struct names *names,
                  char *const words[], size_t n)
{
    int err = 0;
    *ret = (struct template){0};
    if (needs_shell(settings, words, n))
        err = read_for_shell(ret, settings, names, words, n);
    for (size_t i = 0; i < n && err == 0 && !ret->shell; i++)
        err = read_word(ret, settings, names, words[i]);
    bool replaced = ret->has_record || ret->has_seq || ret->has_slot;
    if (err == 0 && !replaced && !settings->pipe) {
        if (ret->shell)
            err = check_end(ret->joined);
        err = err != 0 ? err : append_record(ret, ret->shell);
    }
    if (err == 0 && ret->has_record && settings->pipe) {
        complain("with --pipe a job has no record that could replace {}: it reads its block");
        err = -EINVAL;
    }
    if (err != 0)
        template_free(ret);
    return err;
}

int template_read_text(struct template *ret, const struct settings *settings,
                       const struct names *names, const char *text)
{
    *ret = (struct template){0};
    int err = read_word(ret, settings, names, text);
    if (err != 0)
        template_free(ret);
    return err;
}

void template_free(struct template *template)
{
    for (size_t i = 0; i < template->n; i++)
        free(template->words[i].parts);
    free(template->words);
    free(template->joined);
    *template = (struct template){0};
}

static struct bytes base(struct bytes value)
{
    const char *slash = memrchr(value.data, '/', value.size);
    if (slash == NULL)
        return value;
    return (struct bytes){slash + 1, value.size - (size_t)(slash + 1 - value.data)};
}

/* As GNU parallel does: up to the last dot behind the last slash. */
static struct bytes without_extension(struct bytes value)
{
    struct bytes name = base(value);
    const char *dot = memrchr(name.data, '.', name.size);
    if (dot == NULL)
        return value;
    return (struct bytes){value.data, (size_t)(dot - value.data)};
}

static struct bytes folder(struct bytes value)
{
    while (value.size > 1 && value.data[value.size - 1] == '/')
        value.size--;
    struct bytes name = base(value);
    size_t size = value.size - name.size;
    if (size == 0)
        return (struct bytes){".", 1};
    while (size > 1 && value.data[size - 1] == '/')
        size--;
    return (struct bytes){value.data, size};
}

struct bytes template_trim(struct bytes value, enum trim trim)
{
    switch (trim) {
    case TRIM_EXTENSION:
        return without_extension(value);
    case TRIM_TO_BASE:
        return base(value);
    case TRIM_TO_FOLDER:
        return folder(value);
    case TRIM_TO_STEM:
        return without_extension(base(value));
    case TRIM_NOTHING:
        break;
    }
    return value;
}
