/* SPDX-License-Identifier: MIT */
#include "os/peek.h"

#include <stdint.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

bool weir__peek(const void *from, void *ret, size_t size)
{
    struct iovec own = {ret, size}, other = {(void *)(uintptr_t)from, size};
    return process_vm_readv(getpid(), &own, 1, &other, 1, 0) == (ssize_t)size;
}

/* A text may end right before memory that is not there, so no piece crosses the end of a page. */
bool weir__peek_text(const char *from, char *ret, size_t size)
{
    enum { PAGE = 4096 }; /* or more: then some pieces are smaller than they could be */
    memset(ret, 0, size);
    for (size_t have = 0; have + 1 < size;) {
        size_t rest = PAGE - ((uintptr_t)from + have) % PAGE, n = size - 1 - have;
        if (n > rest)
            n = rest;
        if (!weir__peek(from + have, ret + have, n))
            return false;
        if (memchr(ret + have, '\0', n) != NULL)
            break;
        have += n;
    }
    size_t length = strlen(ret);
    memset(ret + length, 0, size - length); /* what is behind the NUL is not the text */
    return true;
}
