/* SPDX-License-Identifier: MIT */
/* descriptors.h - how many files a run may have open. */
#ifndef CLI_DESCRIPTORS_H
#define CLI_DESCRIPTORS_H

#include "process.h"
#include "settings.h"

/* How many jobs -k lets go ahead of the one whose turn it is. */
unsigned descriptors_ahead(unsigned slots);

/* Raises this process's limit of open files as far as that takes, and says in the launcher what
 * jobs are to get. Where it is not enough, makes `*slots` fewer, and says so; and has the outputs
 * that wait for their turn share a file. */
void descriptors_make_room(struct launcher *launcher, const struct settings *settings,
                           unsigned *slots, unsigned ahead, bool *ret_share);

#endif
