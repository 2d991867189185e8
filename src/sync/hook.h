/* SPDX-License-Identifier: MIT */
/* hook.h - hooks of contexts: what context.c tells them. */
#ifndef WEIR_SYNC_HOOK_H
#define WEIR_SYNC_HOOK_H

#include "weir/context.h"

/* After a cancellation was written: runs the hooks of contexts that are over by now. The caller
 * holds no lock. */
void weir__hooks_run(void);

#endif
