/* SPDX-License-Identifier: MIT */
#include "see/trace_names.h"

#include "os/symbol.h"

const char *weir__trace_function(struct trace_names *names, uintptr_t fn)
{
    uint64_t hash = (uint64_t)fn * UINT64_C(0x9E3779B97F4A7C15);
    struct trace_name *name = &names->all[hash >> 32 & (TRACE_NAMES - 1)];
    if (name->fn != fn || fn == 0) {
        weir__symbol(fn, name->text, sizeof name->text);
        name->fn = fn;
    }
    return name->text;
}
