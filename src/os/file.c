/* SPDX-License-Identifier: MIT */
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static int open_with(const char *path, int flags)
{
    int fd;
    do
        fd = open(path, flags | O_CLOEXEC, 0666);
    while (fd < 0 && errno == EINTR);
    return fd >= 0 ? fd : -errno;
}

int weir__file_open(const char *path)
{
    return open_with(path, O_RDONLY);
}

int weir__file_create(const char *path)
{
    return open_with(path, O_WRONLY | O_CREAT | O_TRUNC);
}

int weir__file_close(int fd)
{
    return close(fd) == 0 || errno == EINTR ? 0 : -errno;
}

long weir__file_read(int fd, void *ret, size_t size)
{
    ssize_t n;
    do
        n = read(fd, ret, size);
    while (n < 0 && errno == EINTR);
    return n >= 0 ? (long)n : -errno;
}

int weir__file_read_at(int fd, void *ret, size_t size, uint64_t offset)
{
    char *at = ret;
    while (size > 0) {
        ssize_t n = pread(fd, at, size, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EIO;
        at += n;
        size -= (size_t)n;
        offset += (uint64_t)n;
    }
    return 0;
}

int weir__file_write(int fd, const char *text, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, text, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        text += n;
        size -= (size_t)n;
    }
    return 0;
}
