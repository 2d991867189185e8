/* SPDX-License-Identifier: MIT */
/* size_options.h - what the options of a pool say of the number of its workers. */
#ifndef WEIR_POOL_SIZE_OPTIONS_H
#define WEIR_POOL_SIZE_OPTIONS_H

#include "weir/pool_options.h"

/* What is wrong with them, or NULL. `most`: workers. */
const char *weir__size_options_wrong(const weir_pool_options *options, unsigned most);

/* How many workers there may ever be, once the options are settled. */
unsigned weir__size_options_seats(const weir_pool_options *options);

#endif
