/* SPDX-License-Identifier: MIT */
/* lease_options.h - reads what a lease pool is made with. */
#ifndef WEIR_FLOW_LEASE_OPTIONS_H
#define WEIR_FLOW_LEASE_OPTIONS_H

#include "weir/lease.h"

/* With the defaults filled in. Returns 0, -EINVAL or -E2BIG; on failure *ret is undefined. */
int weir__lease_read(weir_lease_options *ret, const weir_lease_options *given);

#endif
