/* SPDX-License-Identifier: MIT */
/* breaker.h - when to ask a breaker again. */
#ifndef WEIR_FLOW_BREAKER_H
#define WEIR_FLOW_BREAKER_H

#include "weir/breaker.h"

#include <stdbool.h>

/* False: it is all-zero. */
bool weir__breaker_made(const weir_breaker *breaker);

/* It has refused a call: when may it allow one, if it is told no result until then? */
int64_t weir__breaker_ask_again(weir_breaker *breaker, int64_t now);

#endif
