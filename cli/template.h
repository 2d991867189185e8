/* SPDX-License-Identifier: MIT */
/* template.h - a command with places in which each job puts its own: {}, {.}, {1}, {name} ... */
#ifndef CLI_TEMPLATE_H
#define CLI_TEMPLATE_H

#include "input.h"
#include "quote.h"
#include "settings.h"

enum what {
    WHAT_TEXT,    /* stands in the command as it is */
    WHAT_RECORD,  /* {} */
    WHAT_COLUMNS, /* the record that is appended: each column is a word */
    WHAT_COLUMN,  /* {1}, or {name} with a header */
    WHAT_MEMBER,  /* {name} of a JSON object */
    WHAT_SEQ,     /* {#} */
    WHAT_SLOT     /* {%} */
};

enum trim {
    TRIM_NOTHING,
    TRIM_EXTENSION, /* {.} */
    TRIM_TO_BASE,   /* {/} */
    TRIM_TO_FOLDER, /* {//} */
    TRIM_TO_STEM    /* {/.} */
};

struct part {
    enum what what;
    enum trim trim;
    enum place place;
    bool quote_always; /* bare, the value could be more than a word, or not all of one */
    struct bytes text; /* of TEXT; else how it is spelled; of MEMBER also the name in braces */
    size_t column;     /* of COLUMN, from 0 */
};

struct word {
    struct part *parts;
    size_t n;
};

struct template
{
    struct word *words;
    size_t n;
    bool shell; /* words are sh, -c, and the command */
    bool has_record, has_seq, has_slot;
    char *joined; /* the command that was made of several words for the shell */
};

/* Reads a command of `n` words. `names` are those of the columns. Returns 0; a negative errno after
 * it has complained. The words must live as long as the template. */
int template_read(struct template *ret, const struct settings *settings, const struct names *names,
                  char *const words[], size_t n);
/* The same for a text that no shell reads, of one word: --tagstring. */
int template_read_text(struct template *ret, const struct settings *settings,
                       const struct names *names, const char *text);
void template_free(struct template *template);

/* The value of a column, cut as `trim` says. */
struct bytes template_trim(struct bytes value, enum trim trim);

#endif
