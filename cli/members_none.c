/* SPDX-License-Identifier: MIT */
/* members_none.c - records that are JSON objects, in a build without jansson: --json is refused. */
#include "members.h"

bool members_are_supported(void)
{
    return false;
}

void *members_read(struct bytes record, char *why, size_t size)
{
    (void)record;
    (void)why;
    (void)size;
    return NULL;
}

bool members_append(struct buffer *buffer, const void *object, struct bytes name)
{
    (void)buffer;
    (void)object;
    (void)name;
    return false;
}

void members_free(void *object)
{
    (void)object;
}
