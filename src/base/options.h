/* SPDX-License-Identifier: MIT */
/* options.h - reads the options of a caller that was compiled against another version of weir.
 *
 * The first field of every options struct is its size. A shorter one comes from an older caller:
 * what it lacks is zero, and zero means default. A longer one comes from a newer caller: it is fine
 * as long as what this version does not know is zero.
 *
 * Each struct has a function that says what is wrong with its fields, as "FIELD: what", or NULL.
 * The call that takes the options asks it, and so does weir_x_options_error for the user: what the
 * one refuses the other explains.
 */
#ifndef WEIR_BASE_OPTIONS_H
#define WEIR_BASE_OPTIONS_H

#include <errno.h>
#include <stddef.h>
#include <string.h>

/* Copies `given` (NULL: all default) to `ret`, `known` bytes long; `first` is the size that the
 * struct had in its first version. Returns 0, -EINVAL or -E2BIG; on failure `ret` is zero. */
static inline int read_options(void *ret, size_t known, size_t first, const void *given)
{
    size_t size = 0;
    if (given != NULL)
        memcpy(&size, given, sizeof size);
    if (size == known) {
        memcpy(ret, given, known); /* a constant for the compiler, so this is no call */
        return 0;
    }
    memset(ret, 0, known);
    if (given == NULL)
        return 0;
    if (size < first)
        return -EINVAL;
    for (size_t i = known; i < size; i++)
        if (((const unsigned char *)given)[i] != 0)
            return -E2BIG;
    memcpy(ret, given, size < known ? size : known);
    return 0;
}

/* What `err` of read_options means; or `wrong`, if that is 0. */
static inline const char *options_error(int err, const char *wrong)
{
    if (err == -E2BIG)
        return "size: a field that this version of weir does not know is set";
    return err != 0 ? "size: set by neither the macro nor the init function" : wrong;
}

#endif
