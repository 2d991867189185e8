/* SPDX-License-Identifier: MIT */
/* walk.h - from names to files, one after the other, in order.
 *
 * The order: names as they are given; the files below a folder sorted bytewise by their whole path,
 * as `find FOLDER -type f -print0 | LC_ALL=C sort -z` has them. Below a folder only regular files
 * count and symbolic links are not followed; a name that is given is followed and taken for
 * whatever it is, as sha256sum does.
 *
 * Memory: the names in one folder, and in each of those above it, up to the name given. The order
 * needs them: the last name that readdir() returns may come first.
 */
#ifndef CHECKSUM_WALK_H
#define CHECKSUM_WALK_H

#include <stdbool.h>
#include <stdio.h>

#include "names.h"

struct walk;

struct walk_item {
    const char *path; /* borrowed until the next call */
    bool given;       /* one of the names, not found below a folder */
    int error;        /* 0: a file to read; else the negative errno of a folder that cannot be read,
                         or of the list of names itself */
};

/* `names` is borrowed. Returns 0 or -ENOMEM. */
int walk_new(struct walk **ret, struct names *names);
void walk_free(struct walk *walk);

/* Blocks while `names` does. Returns 1; 0 at the end; -ECANCELED or -ETIMEDOUT once the context of
 * the names is done; -ENOMEM. */
int walk_next(struct walk *walk, struct walk_item *ret_item);

/* Tells of `path`; of what is below `path` after `after`, if that is not NULL; of what standard
 * input still lists, if both are NULL. */
typedef void walk_tell(const char *path, const char *after, void *user);

/* Calls `tell` for everything that walk_next has not come to. `after` is the last path that it came
 * to. */
void walk_rest(const struct walk *walk, walk_tell *tell, void *user);

#endif
