/* SPDX-License-Identifier: MIT */
/* lease_options.c - what a lease pool is made with. */
#include "flow/lease_options.h"

#include <errno.h>

#include "base/options.h"

enum { MAX_MAX = 1 << 20 };

void weir_lease_options_init(weir_lease_options *options)
{
    if (options != NULL)
        *options = (weir_lease_options){.size = sizeof *options};
}

/* With the defaults filled in. */
static int read_lease_options(weir_lease_options *ret, const weir_lease_options *given)
{
    int err = read_options(ret, sizeof *ret, offsetof(weir_lease_options, user) + sizeof ret->user,
                           given);
    if (err != 0)
        return err;
    if (ret->max == 0)
        ret->max = 10;
    if (ret->idle_timeout == 0)
        ret->idle_timeout = INT64_MAX;
    if (ret->max_lifetime == 0)
        ret->max_lifetime = INT64_MAX;
    return 0;
}

static const char *wrong_field(const weir_lease_options *options)
{
    if (options->max > MAX_MAX)
        return "max: above 2^20";
    if (options->min_idle > options->max)
        return "min_idle: above max";
    if (options->idle_timeout < 0)
        return "idle_timeout: negative";
    if (options->max_lifetime < 0)
        return "max_lifetime: negative";
    return options->make == NULL ? "make: not set" : NULL;
}

const char *weir_lease_options_error(const weir_lease_options *given)
{
    weir_lease_options options;
    int err = read_lease_options(&options, given);
    return options_error(err, wrong_field(&options));
}

int weir__lease_read(weir_lease_options *ret, const weir_lease_options *given)
{
    int err = read_lease_options(ret, given);
    if (err == 0 && wrong_field(ret) != NULL)
        err = -EINVAL;
    return err;
}
