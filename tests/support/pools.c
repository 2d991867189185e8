/* SPDX-License-Identifier: MIT */
/* pools.c - pools in the states that tests are about. */
#include "support/pools.h"

#include <errno.h>
#include <string.h>

#include "support/suite.h"
#include "weir/blocking.h"
#include "weir/dump.h"
#include "weir/shutdown.h"

weir_pool *new_pool_as(const weir_pool_options *options)
{
    weir_pool *pool = NULL;
    int err = weir_pool_new(&pool, options);
    ck_assert_int_eq(err, 0);
    ck_assert_ptr_nonnull(pool);
    return pool;
}

weir_pool *new_pool(unsigned workers, unsigned capacity)
{
    return new_pool_as(WEIR_POOL_OPTIONS(.workers = workers, .capacity = capacity));
}

void saturate(weir_pool *pool, gate *door, unsigned n)
{
    for (unsigned i = 1; i <= n; i++) {
        ck_assert_int_eq(weir_pool_submit(pool, gate_task, door), 0);
        gate_await(door, i);
    }
}

int blocking_gate_task(weir_context *ctx, void *arg)
{
    weir_blocking_begin();
    int err = gate_task(ctx, arg);
    weir_blocking_end();
    return err;
}

struct text {
    size_t length;
    char bytes[8192];
};

static int collect(const char *text, size_t n, void *arg)
{
    struct text *all = arg;
    if (n >= sizeof all->bytes - all->length)
        return -ENOSPC;
    memcpy(all->bytes + all->length, text, n);
    all->length += n;
    return 0;
}

bool dump_has(const weir_pool *pool, const char *words)
{
    struct text all = {0};
    ck_assert_int_eq(weir_pool_dump(pool, collect, &all), 0);
    return strstr(all.bytes, words) != NULL;
}

void finish_pool(weir_pool *pool)
{
    ck_assert_int_eq(weir_pool_drain_until(pool, NULL, patience()), 0);
    weir_pool_free(pool);
}

void assert_balance(const weir_pool *pool)
{
    weir_pool_counts counts;
    weir_pool_read_counts(pool, &counts);
    ck_assert_uint_eq(counts.submitted, counts.done + counts.failed + counts.cancelled +
                                            counts.expired + counts.dropped);
    ck_assert_uint_eq(counts.delayed, 0u);
    ck_assert_uint_eq(counts.queued, 0u);
    ck_assert_uint_eq(counts.running, 0u);
}

void assert_quiet(weir_pool *pool)
{
    ck_assert_int_eq(weir_pool_drain_until(pool, NULL, patience()), 0);
    assert_balance(pool);
}

void finish_counted(weir_pool *pool)
{
    ck_assert_int_eq(weir_pool_shutdown(pool, patience(), WEIR_FOREVER, NULL), 0);
    assert_balance(pool);
    weir_pool_free(pool);
}
