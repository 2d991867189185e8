/* SPDX-License-Identifier: MIT */
/* covered.c - sums in memory that a test's process shares with the one that started it. The
 * processes run one after the other, so there is nothing to lock. */
#include "support/covered.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "support/suite.h"

enum { NOTES = 16 };

struct note {
    char what[60];
    unsigned long sum;
};

static struct note *notes;

void covered_begin(void)
{
    void *memory = mmap(NULL, NOTES * sizeof(struct note), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        give_up("there is no memory to share");
    notes = memory;
}

void covered(const char *what, unsigned long n)
{
    for (int i = 0; i < NOTES; i++) {
        if (notes[i].what[0] == '\0')
            (void)snprintf(notes[i].what, sizeof notes[i].what, "%s", what);
        if (strcmp(notes[i].what, what) == 0) {
            notes[i].sum += n;
            return;
        }
    }
    give_up("there are too many things to cover, or one has too long a name");
}

void covered_print(void)
{
    const char *before = "covered: ";
    for (int i = 0; i < NOTES && notes[i].what[0] != '\0'; i++, before = ", ")
        (void)printf("%s%lu %s", before, notes[i].sum, notes[i].what);
    if (notes[0].what[0] != '\0')
        (void)printf("\n");
    (void)munmap(notes, NOTES * sizeof *notes);
}
