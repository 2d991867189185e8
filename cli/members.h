/* SPDX-License-Identifier: MIT */
/* members.h - records that are JSON objects. A build without jansson has none. */
#ifndef CLI_MEMBERS_H
#define CLI_MEMBERS_H

#include "bytes.h"

bool members_are_supported(void);

/* Reads a record. Returns NULL, and says why, if it is not an object. */
void *members_read(struct bytes record, char *why, size_t size);

/* Appends the value of a member: a string as its text, anything else as JSON. Returns whether there
 * is such a member. */
bool members_append(struct buffer *buffer, const void *object, struct bytes name);

void members_free(void *object);

#endif
