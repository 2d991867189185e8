/* SPDX-License-Identifier: MIT */
/* spelling.c - counts the letters that must change. */
#include "spelling.h"

#include <stdbool.h>
#include <string.h>

#define LONGEST 32

static size_t smallest(size_t a, size_t b, size_t c)
{
    size_t least = a < b ? a : b;
    return least < c ? least : c;
}

/* How many letters must be added, left out or replaced to make one of the other. */
static size_t distance(const char *a, size_t size, const char *b)
{
    size_t row[LONGEST + 1];
    size_t width = strlen(b);
    for (size_t j = 0; j <= width; j++)
        row[j] = j;
    for (size_t i = 1; i <= size; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= width; j++) {
            size_t replaced = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            row[j] = smallest(row[j] + 1, row[j - 1] + 1, replaced);
        }
    }
    return row[width];
}

void spelling_begin(struct spelling *spelling, const char *word, size_t size)
{
    *spelling = (struct spelling){.word = word, .size = size, .least = 1 + (size + 1) / 3};
    /* Two letters that have changed places count as two. */
    if (size >= 3 && spelling->least < 3)
        spelling->least = 3;
}

void spelling_try(struct spelling *spelling, const char *name)
{
    size_t size = spelling->size;
    if (size > LONGEST || strlen(name) > LONGEST)
        return;
    bool begins = size >= 3 && strncmp(name, spelling->word, size) == 0;
    size_t far = begins ? 1 : distance(spelling->word, size, name);
    if (far < spelling->least) {
        spelling->least = far;
        spelling->nearest = name;
    }
}
