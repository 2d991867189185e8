/* SPDX-License-Identifier: MIT */
/* common.c - what scenarios share and the explorer must see: it sees the plain accesses of what is
 * in this folder and of the library, not its own. */
#include "scenario.h"

int count_run(weir_context *ctx, void *arg)
{
    (void)ctx;
    ++*(unsigned *)arg;
    return 0;
}
