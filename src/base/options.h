/* SPDX-License-Identifier: MIT */
/* options.h - reads the options of a caller that was compiled against another version of weir.
 *
 * The first field of every options struct is its size. A shorter one comes from an older caller:
 * what it lacks is zero, and zero means default. A longer one comes from a newer caller: it is fine
 * as long as what this version does not know is zero.
 */
#ifndef WEIR_BASE_OPTIONS_H
#define WEIR_BASE_OPTIONS_H

#include <errno.h>
#include <stddef.h>
#include <string.h>

/* Copies `given` (NULL: all default) to `ret`, `known` bytes long; `first` is the size that the
 * struct had in its first version. Returns 0, -EINVAL or -E2BIG; on failure `ret` is undefined. */
static inline int read_options(void *ret, size_t known, size_t first, const void *given)
{
    memset(ret, 0, known);
    if (given == NULL)
        return 0;
    size_t size;
    memcpy(&size, given, sizeof size);
    if (size < first)
        return -EINVAL;
    for (size_t i = known; i < size; i++)
        if (((const unsigned char *)given)[i] != 0)
            return -E2BIG;
    memcpy(ret, given, size < known ? size : known);
    return 0;
}

#endif
