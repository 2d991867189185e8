/* SPDX-License-Identifier: MIT */
/* temporary.c - files without a name: they need no tidying up, whatever happens to weir. */
#include "temporary.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

const char *temporary_folder(void)
{
    const char *folder = getenv("TMPDIR");
    return folder == NULL || *folder == '\0' ? "/tmp" : folder;
}

int temporary_file(void)
{
    const char *folder = temporary_folder();
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0)
        return fd;
    if (errno != EOPNOTSUPP && errno != EISDIR)
        return -errno;
    /* A file system that knows no such files. */
    char path[4096];
    int size = snprintf(path, sizeof(path), "%s/weir.XXXXXX", folder);
    if (size < 0 || (size_t)size >= sizeof(path))
        return -ENAMETOOLONG;
    fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    unlink(path);
    return fd;
}

int temporary_memory(void)
{
    int fd = memfd_create("weir", MFD_CLOEXEC);
    return fd < 0 ? temporary_file() : fd;
}
