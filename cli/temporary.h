/* SPDX-License-Identifier: MIT */
/* temporary.h - files without a name. */
#ifndef CLI_TEMPORARY_H
#define CLI_TEMPORARY_H

/* A file in $TMPDIR (/tmp) that goes away with its last descriptor. Returns the descriptor, or a
 * negative errno. */
int temporary_file(void);

/* The folder that they are in. */
const char *temporary_folder(void);

/* The same in memory, for what does not outgrow it. */
int temporary_memory(void);

#endif
