/* SPDX-License-Identifier: MIT */
/* columns.h - a record that is cut into columns, and their names. */
#ifndef CLI_COLUMNS_H
#define CLI_COLUMNS_H

#include "bytes.h"

/* All-zero is none. The bytes are those of the records. */
struct columns {
    struct bytes *all;
    size_t n, room;
};

/* Adds the columns of `record`, which are between `separator`s; NULL: it is one column. Returns 0
 * or -ENOMEM. */
int columns_split(struct columns *columns, struct bytes record, const char *separator);
void columns_clear(struct columns *columns);
void columns_free(struct columns *columns);

/* All-zero is none. */
struct names {
    char **names;
    size_t n;
};

/* Copies names from a header. Returns 0 or -ENOMEM; names_free is due in either case. */
int names_of(struct names *ret, const struct columns *header);
void names_free(struct names *names);

#endif
