/* SPDX-License-Identifier: MIT */
/* render.c - puts a job's records into the template. */
#include "render.h"

#include "braces.h"
#include "members.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What is rendered: all records of the job, or one of them. */
struct filling {
    struct argv *argv;
    struct buffer *buffer;
    struct job *job;
    unsigned slot;
    size_t first, end; /* records */
    int err;
};

static void fail(struct filling *filling, const char *why, struct bytes name)
{
    if (filling->err == 0)
        snprintf(filling->argv->why, sizeof(filling->argv->why), "%s%.*s", why, (int)name.size,
                 name.data);
    filling->err = -EINVAL;
}

static void put(struct filling *filling, const struct part *part, struct bytes value)
{
    if (value.size > 0 && memchr(value.data, '\0', value.size) != NULL)
        fail(filling, "its record has a NUL byte, which a word cannot hold", (struct bytes){"", 0});
    quote(filling->buffer, value, part->place, part->quote_always);
}

/* A record: its columns, joined by one space. */
static void put_record(struct filling *filling, const struct part *part, size_t record)
{
    const struct job *job = filling->job;
    size_t begin = record == 0 ? 0 : job->ends[record - 1];
    if (job->ends[record] == begin + 1) {
        put(filling, part, template_trim(job->columns[begin], part->trim));
        return;
    }
    struct buffer joined = {0};
    for (size_t i = begin; i < job->ends[record]; i++) {
        struct bytes value = template_trim(job->columns[i], part->trim);
        buffer_append(&joined, " ", i > begin);
        buffer_append(&joined, value.data, value.size);
    }
    filling->buffer->failed |= joined.failed;
    put(filling, part, (struct bytes){joined.size == 0 ? "" : joined.data, joined.size});
    buffer_free(&joined);
}

static void put_column(struct filling *filling, const struct part *part)
{
    const struct job *job = filling->job;
    size_t begin = filling->first == 0 ? 0 : job->ends[filling->first - 1];
    size_t column = begin + part->column;
    struct bytes value = {"", 0};
    if (column < job->n_columns && column < job->ends[filling->end - 1])
        value = template_trim(job->columns[column], part->trim);
    put(filling, part, value);
}

/* The column of this name, by the header that came with the job. */
static void put_named(struct filling *filling, const struct part *part, struct bytes name)
{
    struct part column = *part;
    if (braces_read_name(&column, filling->job->names, name))
        put_column(filling, &column);
    else
        fail(filling, "its header has no column ", name);
}

static void put_member(struct filling *filling, const struct part *part, size_t record)
{
    struct job *job = filling->job;
    struct bytes name = {part->text.data + 1, part->text.size - 2};
    if (job->names != NULL) {
        put_named(filling, part, name);
        return;
    }
    struct buffer value = {0};
    void *object = job->n_records == 1 ? job->object : NULL;
    if (object == NULL)
        object = members_read(job->columns[record], filling->argv->why, sizeof(filling->argv->why));
    if (object == NULL) {
        filling->err = -EINVAL;
        return;
    }
    if (!members_append(&value, object, name))
        fail(filling, "its record has no member ", name);
    if (job->n_records == 1)
        job->object = object;
    else
        members_free(object);
    put(filling, part, (struct bytes){value.size == 0 ? "" : value.data, value.size});
    filling->buffer->failed |= value.failed;
    buffer_free(&value);
}

static void put_number(struct filling *filling, const struct part *part)
{
    char digits[24];
    uint64_t number = part->what == WHAT_SEQ ? filling->job->seq : filling->slot;
    if (filling->slot == RENDER_KEY)
        snprintf(digits, sizeof(digits), "%.*s", (int)part->text.size, part->text.data);
    else
        snprintf(digits, sizeof(digits), "%llu", (unsigned long long)number);
    enum place place = filling->slot == RENDER_KEY ? PLACE_WORD : part->place;
    quote(filling->buffer, (struct bytes){digits, strlen(digits)}, place,
          part->quote_always && filling->slot != RENDER_KEY);
}

static void put_part(struct filling *filling, const struct part *part)
{
    switch (part->what) {
    case WHAT_TEXT:
        buffer_append(filling->buffer, part->text.data, part->text.size);
        break;
    case WHAT_RECORD:
    case WHAT_MEMBER:
        for (size_t i = filling->first; i < filling->end; i++) {
            buffer_append(filling->buffer, " ", i > filling->first);
            if (part->what == WHAT_RECORD)
                put_record(filling, part, i);
            else
                put_member(filling, part, i);
        }
        break;
    case WHAT_COLUMNS:
        for (size_t i = 0; i < filling->job->n_columns; i++) {
            buffer_append(filling->buffer, " ", i > 0);
            put(filling, part, filling->job->columns[i]);
        }
        break;
    case WHAT_COLUMN:
        put_column(filling, part);
        break;
    case WHAT_SEQ:
    case WHAT_SLOT:
        put_number(filling, part);
        break;
    }
}

/* Makes room for one more word. */
static bool begin_word(struct argv *argv)
{
    if (argv->n + 1 >= argv->room) {
        size_t room = argv->room == 0 ? 16 : 2 * argv->room;
        size_t *begins = realloc(argv->begins, room * sizeof(*begins));
        if (begins != NULL)
            argv->begins = begins;
        char **words = realloc(argv->words, room * sizeof(*words));
        if (words != NULL)
            argv->words = words;
        if (begins == NULL || words == NULL) {
            argv->text.failed = true;
            return false;
        }
        argv->room = room;
    }
    argv->begins[argv->n++] = argv->text.size;
    return true;
}

static void put_word(struct filling *filling, const struct word *word)
{
    struct argv *argv = filling->argv;
    if (!begin_word(argv))
        return;
    for (size_t i = 0; i < word->n; i++)
        put_part(filling, &word->parts[i]);
    buffer_append(&argv->text, "", 1);
}

/* The record that is appended: a word for each of its columns. */
static void put_columns(struct filling *filling, const struct part *part)
{
    for (size_t i = 0; i < filling->job->n_columns; i++) {
        if (!begin_word(filling->argv))
            return;
        put(filling, part, filling->job->columns[i]);
        buffer_append(&filling->argv->text, "", 1);
    }
}

/* Is this a word that several records make several of? */
static bool is_repeated(const struct word *word, bool fill)
{
    if (word->n == 1 && word->parts[0].place == PLACE_WORD)
        return word->parts[0].what == WHAT_RECORD;
    for (size_t i = 0; i < word->n && fill; i++)
        if (word->parts[i].what == WHAT_RECORD && word->parts[i].place == PLACE_WORD)
            return true;
    return false;
}

/* The log has {#} and {%} for numbers, as they are no part of a job's name there. */
static void put_numbers(struct buffer *buffer, const char *command, uint64_t seq, unsigned slot)
{
    const char *begin = command;
    while ((command = strchr(command, '{')) != NULL) {
        bool is_seq = strncmp(command, "{#}", 3) == 0;
        if (!is_seq && strncmp(command, "{%}", 3) != 0) {
            command++;
            continue;
        }
        buffer_append(buffer, begin, (size_t)(command - begin));
        buffer_append_number(buffer, is_seq ? seq : slot);
        command += 3;
        begin = command;
    }
    buffer_append_text(buffer, begin);
}

/* A command from the log. */
static int shell_command(struct argv *argv, const struct job *job, unsigned slot)
{
    static const char prefix[] = "/bin/sh\0-c"; /* and the zero behind it */
    argv->n = 0;
    buffer_append(&argv->text, prefix, sizeof(prefix));
    size_t begin = argv->text.size;
    if (slot == RENDER_KEY)
        buffer_append_text(&argv->text, job->command);
    else
        put_numbers(&argv->text, job->command, job->seq, slot);
    buffer_append(&argv->text, "", 1);
    char **list = realloc(argv->words, 4 * sizeof(*list));
    if (list == NULL || argv->text.failed)
        return -ENOMEM;
    list[0] = argv->text.data;
    list[1] = argv->text.data + 8;
    list[2] = argv->text.data + begin;
    list[3] = NULL;
    argv->words = list;
    argv->n = 3;
    return 0;
}

int render_command(struct argv *argv, const struct template *template, struct job *job,
                   unsigned slot, bool fill)
{
    struct filling filling = {argv, &argv->text, job, slot, 0, job->n_records, 0};
    buffer_clear(&argv->text);
    argv->n = 0;
    if (job->command != NULL)
        return shell_command(argv, job, slot);
    for (size_t i = 0; i < template->n; i++) {
        const struct word *word = &template->words[i];
        filling.first = 0;
        filling.end = job->n_records;
        if (word->n == 1 && word->parts[0].what == WHAT_COLUMNS) {
            put_columns(&filling, &word->parts[0]);
            continue;
        }
        if (job->n_records < 2 || !is_repeated(word, fill)) {
            put_word(&filling, word);
            continue;
        }
        for (size_t j = 0; j < job->n_records; j++) {
            filling.first = j;
            filling.end = j + 1;
            put_word(&filling, word);
        }
    }
    if (argv->text.failed || argv->words == NULL) {
        snprintf(argv->why, sizeof(argv->why), "no memory is left");
        return -ENOMEM;
    }
    for (size_t i = 0; i < argv->n; i++)
        argv->words[i] = argv->text.data + argv->begins[i];
    argv->words[argv->n] = NULL;
    return filling.err;
}

void render_shown(struct buffer *buffer, const struct argv *argv, bool shell)
{
    if (shell) {
        buffer_append_text(buffer, argv->words[2]);
        return;
    }
    for (size_t i = 0; i < argv->n; i++) {
        buffer_append(buffer, " ", i > 0);
        quote(buffer, (struct bytes){argv->words[i], strlen(argv->words[i])}, PLACE_BARE, false);
    }
}

void render_text(struct buffer *buffer, const struct template *template, struct job *job,
                 unsigned slot)
{
    struct argv unused = {0};
    struct filling filling = {&unused, buffer, job, slot, 0, job->n_records, 0};
    for (size_t i = 0; i < template->n; i++)
        for (size_t j = 0; j < template->words[i].n; j++)
            put_part(&filling, &template->words[i].parts[j]);
}

/* Quotes can make four bytes of one; a pointer belongs to each word. */
size_t render_cost(const struct template *template, const struct bytes columns[], size_t n)
{
    size_t size = 1;
    size_t quotes = 0;
    for (size_t i = 0; i < n; i++) {
        size += columns[i].size + 1;
        for (size_t j = 0; template->shell && j < columns[i].size; j++)
            quotes += strchr("'$`\"\\", columns[i].data[j]) != NULL;
    }
    size += template->shell ? 3 * quotes + 2 : 0;
    size_t cost = 0;
    for (size_t i = 0; i < template->n; i++) {
        const struct word *word = &template->words[i];
        size_t uses = 0;
        size_t text = 0;
        for (size_t j = 0; j < word->n; j++) {
            enum what what = word->parts[j].what;
            uses += what == WHAT_RECORD || what == WHAT_COLUMNS || what == WHAT_MEMBER;
            text += word->parts[j].what == WHAT_TEXT ? word->parts[j].text.size : 0;
        }
        if (uses > 0)
            cost += uses * (size + (n - 1) * sizeof(char *)) +
                    (template->shell ? 0 : text + sizeof(char *) + 1);
    }
    return cost;
}

void argv_free(struct argv *argv)
{
    buffer_free(&argv->text);
    free(argv->begins);
    free(argv->words);
    *argv = (struct argv){0};
}
