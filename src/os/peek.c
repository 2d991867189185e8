/* SPDX-License-Identifier: MIT */
#include "os/peek.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* For kernels built without process_vm_readv, and filters of system calls that refuse it. */
static bool read_own_memory(const void *from, void *ret, size_t size)
{
    int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    if (memory < 0)
        return false;
    ssize_t n = pread(memory, ret, size, (off_t)(uintptr_t)from);
    (void)close(memory);
    return n == (ssize_t)size;
}

bool weir__peek(const void *from, void *ret, size_t size)
{
    struct iovec own = {ret, size}, other = {(void *)(uintptr_t)from, size};
    ssize_t n = process_vm_readv(getpid(), &own, 1, &other, 1, 0);
    if (n == -1 && (errno == ENOSYS || errno == EPERM))
        return read_own_memory(from, ret, size);
    return n == (ssize_t)size;
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
