/* SPDX-License-Identifier: MIT */
/* entry.c - names, labels and help texts: what they may be, and how they are escaped.
 *
 * The labels of a metric are kept as they will be written. Those of an own metric are put in the
 * order of their names, so that the same labels are the same text.
 */
#include "see/entry.h"

#include <stdint.h>
#include <string.h>

#include "os/alloc.h"

static const char *const object_label[] = {
    [KIND_POOL] = "pool",
    [KIND_SEMAPHORE] = "semaphore",
    [KIND_CHANNEL] = "channel",
    [KIND_LIMITER] = "limiter",
    [KIND_WINDOW] = "window",
    [KIND_BREAKER] = "breaker",
    [KIND_LEASE_POOL] = "lease_pool",
    [KIND_TOPIC] = "topic",
    [KIND_ERRGROUP] = "errgroup",
};

/* What may be. */

/* How many bytes the character at `text` has in UTF-8 (Unicode 15, table 3-7); 0: it is none. */
static size_t utf8_length(const unsigned char *text)
{
    unsigned char first = text[0], low = 0x80, high = 0xbf;
    size_t n;
    if (first < 0x80)
        return 1;
    if (first >= 0xc2 && first <= 0xdf) {
        n = 2;
    } else if (first >= 0xe0 && first <= 0xef) {
        n = 3;
        low = first == 0xe0 ? 0xa0 : low;
        high = first == 0xed ? 0x9f : high; /* no surrogates */
    } else if (first >= 0xf0 && first <= 0xf4) {
        n = 4;
        low = first == 0xf0 ? 0x90 : low;
        high = first == 0xf4 ? 0x8f : high;
    } else {
        return 0;
    }
    if (text[1] < low || text[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++)
        if (text[i] < 0x80 || text[i] > 0xbf) /* also at the end of the text */
            return 0;
    return n;
}

static bool is_text(const char *string)
{
    if (string == NULL)
        return false;
    const unsigned char *at = (const unsigned char *)string;
    while (*at != '\0') {
        size_t n = utf8_length(at);
        if (n == 0)
            return false;
        at += n;
    }
    return true;
}

static bool is_name(const char *name, bool colons)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_:";
    static const char all[] = "0123456789"
                              "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_:";
    return name != NULL && name[0] != '\0' && strchr(letters, name[0]) != NULL &&
           name[strspn(name, all)] == '\0' && (colons || strchr(name, ':') == NULL);
}

static bool begins(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

static bool valid_labels(const weir_label labels[])
{
    for (size_t i = 0; labels != NULL && labels[i].name != NULL; i++) {
        if (!is_name(labels[i].name, false) || begins(labels[i].name, "__"))
            return false;
        if (!weir__entry_valid_name(labels[i].value))
            return false;
        for (size_t j = 0; j < i; j++)
            if (strcmp(labels[i].name, labels[j].name) == 0)
                return false;
    }
    return true;
}

bool weir__entry_valid_name(const char *name)
{
    return is_text(name) && name[0] != '\0';
}

bool weir__entry_valid_own(const char *name, const char *help, const weir_label labels[])
{
    return is_name(name, true) && !begins(name, "weir_") && weir__entry_valid_name(help) &&
           valid_labels(labels);
}

/* Putting together. Every function appends to `at` and returns the new end; with a NULL `at` it
 * only counts, and returns the length so far. */

struct place {
    char *at; /* NULL: count only */
    size_t length;
};

static void put(struct place *place, char c)
{
    if (place->at != NULL)
        place->at[place->length] = c;
    place->length++;
}

static void put_escaped(struct place *place, const char *string, bool quotes)
{
    for (; *string != '\0'; string++) {
        char c = *string;
        if (c == '\\' || c == '\n' || (quotes && c == '"'))
            put(place, '\\');
        if (c == '\n')
            c = 'n';
        put(place, c);
    }
}

static void put_label(struct place *place, const char *name, const char *value)
{
    put_escaped(place, name, true);
    put(place, '=');
    put(place, '"');
    put_escaped(place, value, true);
    put(place, '"');
}

/* The label whose name comes next after `before` (NULL: the first), or NULL. */
static const weir_label *next_label(const weir_label labels[], const char *before)
{
    const weir_label *next = NULL;
    for (; labels != NULL && labels->name != NULL; labels++)
        if ((before == NULL || strcmp(labels->name, before) > 0) &&
            (next == NULL || strcmp(labels->name, next->name) < 0))
            next = labels;
    return next;
}

struct texts {
    const char *name, *help;   /* NULL: an object */
    const char *label, *value; /* of an object */
    const weir_label *labels;  /* of an own metric */
    size_t name_at, help_at, labels_at;
};

static void put_texts(struct place *place, struct texts *texts)
{
    texts->name_at = place->length;
    put_escaped(place, texts->name != NULL ? texts->name : "", false);
    put(place, '\0');
    texts->help_at = place->length;
    put_escaped(place, texts->help != NULL ? texts->help : "", false);
    put(place, '\0');
    texts->labels_at = place->length;
    if (texts->label != NULL)
        put_label(place, texts->label, texts->value);
    const weir_label *label = NULL;
    while ((label = next_label(texts->labels, label != NULL ? label->name : NULL)) != NULL) {
        if (place->length > texts->labels_at)
            put(place, ',');
        put_label(place, label->name, label->value);
    }
    put(place, '\0');
}

static struct entry *new_entry(struct texts *texts)
{
    struct place place = {NULL, 0};
    put_texts(&place, texts);
    struct entry *entry = weir__alloc_unaligned(sizeof *entry + place.length);
    if (entry == NULL)
        return NULL;
    place = (struct place){entry->texts, 0};
    put_texts(&place, texts);
    entry->name = entry->texts + texts->name_at;
    entry->help = entry->texts + texts->help_at;
    entry->labels = entry->texts + texts->labels_at;
    return entry;
}

struct entry *weir__entry_object(enum kind kind, const char *name, const void *object)
{
    struct texts texts = {.label = object_label[kind], .value = name};
    struct entry *entry = new_entry(&texts);
    if (entry != NULL) {
        entry->kind = kind;
        entry->object = object;
    }
    return entry;
}

struct entry *weir__entry_own(const char *name, const char *help, const weir_label labels[])
{
    struct texts texts = {.name = name, .help = help, .labels = labels};
    struct entry *entry = new_entry(&texts);
    if (entry != NULL)
        entry->kind = KIND_OWN;
    return entry;
}
