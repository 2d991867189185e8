/* SPDX-License-Identifier: MIT */
/* unwind.h - a function that is called with the address of a variable when its scope is left, also
 * when a task ends its thread and the stack is unwound. Costs nothing until then; needs
 * -fexceptions. */
#ifndef WEIR_BASE_UNWIND_H
#define WEIR_BASE_UNWIND_H

#include <stdbool.h>

#include "base/assert.h"

#define ON_LEAVE(function) __attribute__((cleanup(function)))

/* A call of a function of the user's that must not end its thread: with ON_LEAVE(check_returned) it
 * aborts if it does. */
struct user_call {
    const char *name;
    bool returned;
};

static inline void check_returned(const struct user_call *call)
{
    if (unlikely(!call->returned))
        weir__misuse(call->name, "it must not end its thread.");
}

#endif
