/* SPDX-License-Identifier: MIT */
/* spelling.c - counts the letters that must change to make one word of the other. */
#include "spelling.h"

#include <stdbool.h>
#include <string.h>

#define LONGEST 32

static size_t least_of(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* How many letters must be added, left out, replaced, or change places with the next one. Each row
 * of the table is for one letter more of `a`, each column for one more of `b`. */
static size_t distance(const char *a, size_t size, const char *b)
{
    size_t rows[3][LONGEST + 1];
    size_t width = strlen(b);
    for (size_t j = 0; j <= width; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= size; i++) {
        size_t *row = rows[i % 3];
        const size_t *last = rows[(i + 2) % 3];
        const size_t *last_but_one = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= width; j++) {
            size_t replaced = last[j - 1] + (a[i - 1] != b[j - 1]);
            row[j] = least_of(least_of(last[j], row[j - 1]) + 1, replaced);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                row[j] = least_of(row[j], last_but_one[j - 2] + 1);
        }
    }
    return rows[size % 3][width];
}

void spelling_begin(struct spelling *spelling, const char *word, size_t size)
{
    *spelling = (struct spelling){.word = word, .size = size, .least = 1 + (size + 1) / 3};
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
