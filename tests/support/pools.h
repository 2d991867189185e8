/* SPDX-License-Identifier: MIT */
/* pools.h - pools in the states that tests are about. Call these from the test's own thread. */
#ifndef WEIR_TESTS_SUPPORT_POOLS_H
#define WEIR_TESTS_SUPPORT_POOLS_H

#include "support/gate.h"
#include "weir/pool.h"

/* A pool with these sizes and the defaults for the rest; asserts that it could be made. */
weir_pool *new_pool(unsigned workers, unsigned capacity);

/* Any other; likewise. */
weir_pool *new_pool_as(const weir_pool_options *options);

/* Keeps `n` workers busy: submits gate_task `n` times and returns when all are inside, so that
 * nothing is queued by it. The gate must be shut and nobody else may be at it. With `n` as many as
 * the pool has workers, whatever is submitted next stays queued until the gate opens. */
void saturate(weir_pool *pool, gate *door, unsigned n);

/* A task that blocks at the gate `arg`, between weir_blocking_begin and _end. */
int blocking_gate_task(weir_context *ctx, void *arg);

/* Do these words stand in a dump of the pool? */
bool dump_has(const weir_pool *pool, const char *words);

/* Drains the pool (gives up after patience()) and frees it. */
void finish_pool(weir_pool *pool);

/* At rest: asserts that each task that was accepted has had one end, and none waits or runs. */
void assert_balance(const weir_pool *pool);
/* Drains the pool first. */
void assert_quiet(weir_pool *pool);
/* Frees the pool after all its tasks have ended, and asserts that each had one end. */
void finish_counted(weir_pool *pool);

#endif
