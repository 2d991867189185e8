/* SPDX-License-Identifier: MIT */
/* columns.c - cuts records. */
#include "columns.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int add(struct columns *columns, const char *data, size_t size)
{
    if (columns->n == columns->room) {
        size_t room = columns->room == 0 ? 8 : 2 * columns->room;
        struct bytes *all = realloc(columns->all, room * sizeof(*all));
        if (all == NULL)
            return -ENOMEM;
        columns->all = all;
        columns->room = room;
    }
    columns->all[columns->n++] = (struct bytes){data, size};
    return 0;
}

int columns_split(struct columns *columns, struct bytes record, const char *separator)
{
    size_t width = separator == NULL ? 0 : strlen(separator);
    const char *found;
    while (width > 0 && record.size >= width &&
           (found = memmem(record.data, record.size, separator, width)) != NULL) {
        size_t size = (size_t)(found - record.data);
        int err = add(columns, record.data, size);
        if (err != 0)
            return err;
        record = (struct bytes){found + width, record.size - size - width};
    }
    return add(columns, record.data, record.size);
}

void columns_clear(struct columns *columns)
{
    columns->n = 0;
}

void columns_free(struct columns *columns)
{
    free(columns->all);
    *columns = (struct columns){NULL, 0, 0};
}

int names_of(struct names *ret, const struct columns *header)
{
    ret->names = calloc(header->n, sizeof(char *));
    if (ret->names == NULL)
        return -ENOMEM;
    for (; ret->n < header->n; ret->n++) {
        ret->names[ret->n] = strndup(header->all[ret->n].data, header->all[ret->n].size);
        if (ret->names[ret->n] == NULL)
            return -ENOMEM;
    }
    return 0;
}

void names_free(struct names *names)
{
    for (size_t i = 0; i < names->n; i++)
        free(names->names[i]);
    free(names->names);
    *names = (struct names){NULL, 0};
}
