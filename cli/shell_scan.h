/* SPDX-License-Identifier: MIT */
/* shell_scan.h - follows a shell command byte by byte, to know what quotes each stands in. */
#ifndef CLI_SHELL_SCAN_H
#define CLI_SHELL_SCAN_H

#include <stdbool.h>
#include <stddef.h>

/* What the scan is inside of. */
enum shell_level {
    SHELL_BARE,       /* the command itself */
    SHELL_DOUBLE,     /* "..." */
    SHELL_SINGLE,     /* '...' */
    SHELL_COMMAND,    /* $(...) */
    SHELL_GROUP,      /* (...) */
    SHELL_COMMENT,    /* # up to the end of the line */
    SHELL_BACKQUOTES, /* `...` */
    SHELL_PARAMETER,  /* ${...} */
    SHELL_ARITHMETIC, /* $((...)) */
    SHELL_ANSI        /* $'...', which not every sh knows */
};

/* What a $ before the place has begun. */
enum shell_dollar {
    SHELL_NO_DOLLAR,
    SHELL_DOLLAR, /* nothing yet: what follows decides */
    SHELL_NAME    /* a parameter, whose name may go on */
};

#define SHELL_DEPTH 64

struct shell_scan {
    enum shell_level levels[SHELL_DEPTH];
    size_t depth;        /* the innermost level is levels[depth]; levels[0] is SHELL_BARE */
    const char *unclear; /* from here on no place can be told, and why; NULL: all is clear */
    char before;         /* the byte before, as far as it decides whether a word begins */
    char word[5];        /* the first letters of the word so far */
    size_t word_size;
    enum shell_dollar dollar;
};

void shell_scan_init(struct shell_scan *scan);

/* Moves over the bytes of `text` that belong together; returns how many, at least 1. */
size_t shell_scan_step(struct shell_scan *scan, const char *text);

/* Moves over a replacement, which is part of a word. */
void shell_scan_replacement(struct shell_scan *scan);

/* Whether a text that comes here can be quoted so that the shell reads back its bytes; if not,
 * `ret_why` says what it stands in. */
bool shell_scan_is_safe(const struct shell_scan *scan, const char **ret_why);

/* Whether the command is complete if it ends here; if not, `ret_why` is what has no end. */
bool shell_scan_is_complete(const struct shell_scan *scan, const char **ret_why);

#endif
