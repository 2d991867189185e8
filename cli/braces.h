/* SPDX-License-Identifier: MIT */
/* braces.h - reads one replacement: {}, {.}, {3/.}, {name} ... */
#ifndef CLI_BRACES_H
#define CLI_BRACES_H

#include "template.h"

/* Reads a replacement at the beginning of `text`. Returns how many bytes it is, and fills what
 * `ret` says of it; 0 if there is none. */
size_t braces_read(struct part *ret, const struct settings *settings, const struct names *names,
                   const char *text);

/* Reads what is between braces as the name of a column, which may be cut: name, name/. ... */
bool braces_read_name(struct part *ret, const struct names *names, struct bytes text);

#endif
