/* SPDX-License-Identifier: MIT */
/* print.h - how digests and names are written: as sha256sum writes them. */
#ifndef CHECKSUM_PRINT_H
#define CHECKSUM_PRINT_H

#include <stdio.h>

#include "hash.h"

/* A file name on one line: newline, carriage return and backslash as \n, \r and \\. */
void print_name(FILE *out, const char *name);

/* The digest, two spaces, the name. A line whose name had to be changed begins with a backslash, by
 * which `sha256sum --check` knows it. */
void print_digest(FILE *out, const unsigned char digest[DIGEST_SIZE], const char *name);

#endif
