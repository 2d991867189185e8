/* SPDX-License-Identifier: MIT */
/* pools.c - pools in the states that tests are about. */
#include "support/pools.h"

#include "support/suite.h"
#include "weir/shutdown.h"

weir_pool *new_pool(unsigned workers, unsigned capacity)
{
    weir_pool *pool = NULL;
    int err = weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = workers, .capacity = capacity));
    ck_assert_int_eq(err, 0);
    ck_assert_ptr_nonnull(pool);
    return pool;
}

void saturate(weir_pool *pool, gate *door, unsigned n)
{
    for (unsigned i = 1; i <= n; i++) {
        ck_assert_int_eq(weir_pool_submit(pool, gate_task, door), 0);
        gate_await(door, i);
    }
}

void finish_pool(weir_pool *pool)
{
    ck_assert_int_eq(weir_pool_drain_until(pool, NULL, patience()), 0);
    weir_pool_free(pool);
}
