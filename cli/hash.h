/* SPDX-License-Identifier: MIT */
/* hash.h - 128 bits for a text, so that among any number of commands no two are taken for one. */
#ifndef CLI_HASH_H
#define CLI_HASH_H

#include "bytes.h"

#include <stdint.h>

struct hash {
    uint64_t a, b;
};

struct hash hash_of(struct bytes text);

#endif
