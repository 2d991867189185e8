/* SPDX-License-Identifier: MIT */
/* tokens.h - who may write: a file with one token a line, any of which is right. */
#ifndef TOKENS_H
#define TOKENS_H

#include <stdbool.h>
#include <stddef.h>

struct tokens;

/* Reads the file. Returns 0; -EPERM: others than its owner can read or write it, except that a file
 * of root's may be read by its group, too; -EINVAL: it has no token, one that is shorter than 16
 * characters, or a NUL; -EFBIG: too many; what opening or reading it failed with. */
int tokens_read(struct tokens **ret, const char *path);
void tokens_free(struct tokens *tokens);

/* Is this one of them? Takes as long for a near miss as for a wild guess. False for NULL. */
bool tokens_has(const struct tokens *tokens, const char *token);

#endif
