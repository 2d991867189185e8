/* SPDX-License-Identifier: MIT */
#ifndef WEIR_SEE_TRACE_JSON_H
#define WEIR_SEE_TRACE_JSON_H

#include "record/event.h"
#include "see/json.h"
#include "see/trace_names.h"

struct trace_span {
    int64_t began, ended;
    uint64_t lost;
};

/* Writes what was recorded as Chrome's trace events, one a line; uses up its order. */
void weir__trace_write(struct json *json, struct trace_names *names, struct recording *recording,
                       const struct trace_span *span);

#endif
