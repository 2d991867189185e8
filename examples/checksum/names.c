/* SPDX-License-Identifier: MIT */
/* names.c - the names to work on: the command line's and, for "-", those on standard input. */
#include "names.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "readable.h"

void names_init(struct names *names, char *const args[], size_t n_args, const weir_context *ctx,
                int stop_fd)
{
    *names = (struct names){.args = args, .n_args = n_args, .ctx = ctx, .stop_fd = stop_fd};
}

/* Reads more of the list into the room after `end`. Returns 0, also at the end of the list. */
static int fill(struct names *names)
{
    memmove(names->buffer, names->buffer + names->begin, names->end - names->begin);
    names->end -= names->begin;
    names->begin = 0;
    for (;;) {
        int err = readable_wait(STDIN_FILENO, names->stop_fd, names->ctx);
        if (err != 0)
            return err;
        /* One byte is kept for the NUL that the last name may lack. */
        ssize_t n =
            read(STDIN_FILENO, names->buffer + names->end, sizeof(names->buffer) - 1 - names->end);
        if (n > 0)
            names->end += (size_t)n;
        else if (n == 0)
            names->list_over = true;
        else if (errno == EINTR || errno == EAGAIN)
            continue;
        else
            return -errno;
        return 0;
    }
}

static int list_next(struct names *names, const char **ret_name)
{
    for (;;) {
        char *name = names->buffer + names->begin;
        size_t have = names->end - names->begin;
        char *nul = memchr(name, '\0', have);
        bool full = have == sizeof(names->buffer) - 1;
        if (nul == NULL && !full && !names->list_over) {
            int err = fill(names);
            if (err == 0)
                continue;
            names->in_list = weir_context_err(names->ctx) != 0;
            names->begin = names->end;
            return err;
        }
        if (nul == NULL && have == 0)
            return 0;
        bool skipped = names->skipping;
        if (nul != NULL) {
            names->begin += (size_t)(nul - name) + 1;
            names->skipping = false;
        } else {
            name[have] = '\0';
            names->begin = names->end;
            names->skipping = full;
            if (full && !skipped)
                return -ENAMETOOLONG;
        }
        if (!skipped) {
            *ret_name = name;
            return 1;
        }
    }
}

int names_next(struct names *names, const char **ret_name)
{
    for (;;) {
        int err = weir_context_err(names->ctx);
        if (err != 0)
            return err;
        if (names->in_list) {
            int got = list_next(names, ret_name);
            if (got != 0)
                return got;
            names->in_list = false;
        } else if (names->next == names->n_args) {
            return 0;
        } else if (strcmp(names->args[names->next], "-") == 0) {
            names->next++;
            names->in_list = true;
            names->list_over = false;
            names->skipping = false;
        } else {
            *ret_name = names->args[names->next++];
            return 1;
        }
    }
}

bool names_list_unread(const struct names *names)
{
    return names->in_list && !(names->list_over && names->begin == names->end);
}
