/* SPDX-License-Identifier: MIT */
#include "pool/size_options.h"

#include <stddef.h>

const char *weir__size_options_wrong(const weir_pool_options *options, unsigned most)
{
    if (options->workers_max > most)
        return "workers_max: above 1024";
    if (options->workers_max != 0 && options->workers > options->workers_max)
        return "workers_max: below workers";
    if (options->idle_timeout < 0)
        return "idle_timeout: negative";
    if (options->idle_timeout > 0 && options->workers_max == 0)
        return "idle_timeout: set without workers_max";
    if (options->growth_rule != NULL && options->workers_max == 0)
        return "growth_rule: set without workers_max";
    return NULL;
}

unsigned weir__size_options_seats(const weir_pool_options *options)
{
    return options->workers_max != 0 ? options->workers_max : options->workers;
}
