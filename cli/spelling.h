/* SPDX-License-Identifier: MIT */
/* spelling.h - the word that somebody meant who misspelt it. */
#ifndef CLI_SPELLING_H
#define CLI_SPELLING_H

#include <stddef.h>

struct spelling {
    const char *word;
    size_t size;
    size_t least;        /* how far the nearest is, or what would be too far */
    const char *nearest; /* NULL: none is near */
};

void spelling_begin(struct spelling *spelling, const char *word, size_t size);
void spelling_try(struct spelling *spelling, const char *name);

#endif
