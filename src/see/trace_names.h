/* SPDX-License-Identifier: MIT */
/* trace_names.h - the names of functions, which are slow to find (os/symbol.h), so each is kept. */
#ifndef WEIR_SEE_TRACE_NAMES_H
#define WEIR_SEE_TRACE_NAMES_H

#include <stdint.h>

enum { TRACE_NAMES = 256, TRACE_NAME = 72 };

/* All-zero at first. Two functions that share a place take turns in it. */
struct trace_names {
    struct trace_name {
        uintptr_t fn; /* 0: none */
        char text[TRACE_NAME];
    } all[TRACE_NAMES];
};

/* Valid until the next call. */
const char *weir__trace_function(struct trace_names *names, uintptr_t fn);

#endif
