/* SPDX-License-Identifier: MIT */
/* hook.h - hooks of contexts, for those who keep to the deadline by themselves. */
#ifndef WEIR_SYNC_HOOK_H
#define WEIR_SYNC_HOOK_H

#include "weir/context.h"

/* weir_context_on_done, but not for the deadline: no alarm is set for it, nor a thread started. */
int weir__context_on_cancel(weir_context *ctx, weir_context_hook *hook, void (*fn)(void *arg),
                            void *arg);

#endif
