/* SPDX-License-Identifier: MIT */
/* quote.h - text that the shell takes for one word. */
#ifndef CLI_QUOTE_H
#define CLI_QUOTE_H

#include "bytes.h"

/* Where in a shell command a text is to stand. */
enum place {
    PLACE_WORD,   /* no shell reads it */
    PLACE_BARE,   /* outside quotes */
    PLACE_SINGLE, /* within '...' */
    PLACE_DOUBLE  /* within "..." */
};

/* Appends `text`, quoted for `place`. `always`: also if it has nothing special in it, and apart
 * from what stands before it. */
void quote(struct buffer *buffer, struct bytes text, enum place place, bool always);

#endif
