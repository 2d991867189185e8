/* SPDX-License-Identifier: MIT */
/* option.h - the table of the options of all subcommands: how each is spelled and what sets it. */
#ifndef CLI_OPTION_H
#define CLI_OPTION_H

#include "settings.h"

#include <stddef.h>

enum option_kind {
    OPTION_FLAG,     /* a bool; takes no value */
    OPTION_TEXT,     /* a const char * */
    OPTION_NUMBER,   /* an int64_t between `least` and `most` */
    OPTION_DURATION, /* an int64_t, above 0 unless `least` is -1 */
    OPTION_SIZE,     /* an int64_t, above 0 */
    OPTION_SET,      /* a function that takes no value */
    OPTION_READ      /* a function that takes a value, and says whether it is one */
};

struct option {
    unsigned of;      /* the subcommands that have it: a sum of enum subcommand */
    const char *name; /* without the two hyphens; "" if there is none */
    char letter;      /* 0: none */
    enum option_kind kind;
    size_t offset; /* in struct settings */
    int64_t least, most;
    bool (*read)(struct settings *settings, const char *value);
    const char *wanted; /* what the value should have been, for the sentence about a wrong one */
};

extern const struct option options[];
extern const size_t n_options;

/* The option of this name or letter that one of these subcommands has, or NULL. */
const struct option *option_find(unsigned of, const char *name, size_t size);
const struct option *option_find_letter(unsigned of, char letter);

/* The name of theirs that is spelled most like `name`; NULL if none is near. */
const char *option_nearest(unsigned of, const char *name, size_t size);

#endif
