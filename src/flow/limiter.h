/* SPDX-License-Identifier: MIT */
/* limiter.h - tokens of a limiter that can be given back, without a wait. */
#ifndef WEIR_FLOW_LIMITER_H
#define WEIR_FLOW_LIMITER_H

#include "weir/limiter.h"

#include "flow/gaps.h"

/* Takes n tokens if they are there within `most` ns. Returns the ns until then, or -EAGAIN: later;
 * -EDEADLK: never; -EOVERFLOW; -EINVAL. On success *ret says what to give back. */
int64_t weir__limiter_take(weir_limiter *limiter, uint32_t n, int64_t now, int64_t most,
                           struct gap *ret);
/* As a wait that is cancelled does. Takes a short lock. */
void weir__limiter_give_back(weir_limiter *limiter, struct gap given);

#endif
