/* SPDX-License-Identifier: MIT */
/* tracing.h - is a trace on? In a file of its own for the explorer, which has another. */
#ifndef WEIR_RECORD_TRACING_H
#define WEIR_RECORD_TRACING_H

#include "base/assert.h"
#include "base/atomic.h"

/* The number of the trace that is on, or 0. Hidden: so that no access goes by way of a table. */
#if defined(__GNUC__) || defined(__clang__)
__attribute__((visibility("hidden")))
#endif
extern atomic(uint32_t) weir__trace;

static inline bool trace_on(void)
{
    return unlikely(load_rlx(&weir__trace) != 0); /* a hint: event.c looks again */
}

#endif
