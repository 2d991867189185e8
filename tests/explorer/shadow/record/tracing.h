/* SPDX-License-Identifier: MIT */
/* tracing.h - in the explorer no hook looks whether a trace is on: it would only add points at
 * which to switch. What a hook does then is explored by itself (scenarios/trace.c). */
#ifndef WEIR_RECORD_TRACING_H
#define WEIR_RECORD_TRACING_H

#include "base/assert.h"
#include "base/atomic.h"

extern atomic(uint32_t) weir__trace;

static inline bool trace_on(void)
{
    return false;
}

#endif
