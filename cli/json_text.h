/* SPDX-License-Identifier: MIT */
/* json_text.h - text as JSON wants it. */
#ifndef CLI_JSON_TEXT_H
#define CLI_JSON_TEXT_H

#include "bytes.h"

/* Appends `text` between quotes. Bytes that are not UTF-8 become U+FFFD. */
void json_append(struct buffer *buffer, struct bytes text);

#endif
