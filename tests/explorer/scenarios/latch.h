/* SPDX-License-Identifier: MIT */
/* latch.h - the blocking object that src/wait/wait.h works out: the same code, to the letter. */
#ifndef WEIR_TESTS_EXPLORER_LATCH_H
#define WEIR_TESTS_EXPLORER_LATCH_H

#include "wait/wait.h"

struct latch {
    atomic(uint32_t) open;
};

static bool latch_is_open(void *arg)
{
    struct latch *latch = arg;
    return load_seqcst(&latch->open) != 0; /* pairs with latch_open */
}

static int latch_wait_until(struct latch *latch, weir_context *ctx, int64_t deadline)
{
    struct told told = TELL("latch_wait", latch);
    return weir__wait_until(told, latch, latch_is_open, latch, ctx, NULL, deadline);
}

static void latch_open(struct latch *latch)
{
    (void)xchg_seqcst(&latch->open, 1); /* pairs with latch_is_open; the last access */
    weir__wake_all(latch);              /* uses the address only */
}

#endif
