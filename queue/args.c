/* SPDX-License-Identifier: MIT */
/* args.c - the words of a command for the server. */
#include "args.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

void weir__args_init(struct args *args, size_t room)
{
    *args = (struct args){.room = room};
    args->words = calloc(room, sizeof args->words[0]);
    args->sizes = calloc(room, sizeof args->sizes[0]);
    args->numbers = calloc(room, sizeof args->numbers[0]);
    args->failed = args->words == NULL || args->sizes == NULL || args->numbers == NULL;
}

void weir__args_destroy(struct args *args)
{
    free(args->words);
    free(args->sizes);
    free(args->numbers);
}

void weir__args_add(struct args *args, const void *word, size_t size)
{
    if (args->failed)
        return;
    args->words[args->count] = size > 0 ? word : "";
    args->sizes[args->count++] = size;
}

void weir__args_text(struct args *args, const char *text)
{
    weir__args_add(args, text, strlen(text));
}

void weir__args_number(struct args *args, int64_t number)
{
    if (args->failed)
        return;
    char *text = args->numbers[args->numbers_count++];
    int size = snprintf(text, sizeof args->numbers[0], "%" PRId64, number);
    weir__args_add(args, text, (size_t)size);
}
