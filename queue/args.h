/* SPDX-License-Identifier: MIT */
/* args.h - the words of a command for the server. */
#ifndef WEIR_QUEUE_ARGS_H
#define WEIR_QUEUE_ARGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Words are borrowed, numbers are kept here. Without memory it becomes `failed`, and what uses it
 * finds that out; so each addition need not be checked. */
struct args {
    const char **words;
    size_t *sizes;
    size_t count, room;
    char (*numbers)[24];
    size_t numbers_count;
    bool failed;
};

/* Room for `room` words is made at once, so that numbers do not move. */
void weir__args_init(struct args *args, size_t room);
void weir__args_destroy(struct args *args);
void weir__args_add(struct args *args, const void *word, size_t size);
void weir__args_text(struct args *args, const char *text);
void weir__args_number(struct args *args, int64_t number);

#endif
