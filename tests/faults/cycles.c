/* SPDX-License-Identifier: MIT */
/* cycles.c - made and freed ten thousand times; afterwards the process has as many threads, open
 * files and bytes as before. Where everything is slow (under a sanitizer, or if WEIR_TESTS_SLOW is
 * set in the environment) fewer times, and only what is counted exactly.
 */
#include "support/suite.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/covered.h"
#include "support/faults.h"
#include "support/gate.h"
#include "support/pools.h"
#include "support/slow.h"
#include "weir.h"

enum { CYCLES = 10000, WARM_UP = 200, FEWER_CYCLES = 100, LESS_WARM_UP = 10 };

static unsigned count_entries(const char *folder)
{
    unsigned n = 0;
    DIR *all = opendir(folder);
    ck_assert_ptr_nonnull(all);
    for (const struct dirent *entry; (entry = readdir(all)) != NULL;)
        n += entry->d_name[0] != '.' ? 1 : 0;
    ck_assert_int_eq(closedir(all), 0);
    return n;
}

/* A number of /proc/self/status, in KiB. */
static long read_status(const char *name)
{
    char line[256];
    long value = -1;
    FILE *file = fopen("/proc/self/status", "re");
    ck_assert_ptr_nonnull(file);
    while (value < 0 && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':')
            value = strtol(line + strlen(name) + 1, NULL, 10);
    ck_assert_int_eq(fclose(file), 0);
    ck_assert_int_ge(value, 0);
    return value;
}

struct usage {
    unsigned threads, files;
    long resident, mapped; /* KiB */
};

/* `threads`: as many as there should be. One that was joined may be listed a moment longer. */
static struct usage usage_at_rest(unsigned threads)
{
    int64_t deadline = patience();
    while (count_entries("/proc/self/task") > threads && weir_now() < deadline)
        (void)sched_yield();
    return (struct usage){.threads = count_entries("/proc/self/task"),
                          .files = count_entries("/proc/self/fd"),
                          .resident = read_status("VmRSS"),
                          .mapped = read_status("VmSize")};
}

/* Each makes something, uses it and frees it; 0, or the error of what failed. */

static int cycle_idle_pool(unsigned i)
{
    weir_pool *pool = NULL;
    int err =
        weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1 + i % 3, .capacity = 1 + i % 100));
    weir_pool_free(pool);
    return err;
}

static int cycle_busy_pool(unsigned i)
{
    weir_pool *pool = NULL;
    counter ran = COUNTER_INIT;
    int err = weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 2, .capacity = 2));
    for (unsigned k = 0; k < 5 && err == 0; k++)
        err = weir_pool_submit(pool, counter_task, &ran);
    if (err == 0 && i % 2 == 0)
        err = weir_pool_drain(pool);
    weir_pool_free(pool);
    return err;
}

static int end_thread(weir_context *ctx, void *arg)
{
    (void)ctx;
    counter_add(arg, 1);
    pthread_exit(NULL);
}

static int cycle_dying_worker(unsigned i)
{
    (void)i;
    weir_pool *pool = NULL;
    counter died = COUNTER_INIT;
    int err = weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .capacity = 2));
    if (err == 0)
        err = weir_pool_submit(pool, end_thread, &died);
    if (err == 0)
        err = weir_pool_drain(pool);
    weir_pool_free(pool);
    return err;
}

static int refuse(unsigned index, void *user)
{
    (void)user;
    return index == 1 ? -EIO : 0;
}

static int cycle_pool_that_fails(unsigned i)
{
    (void)i;
    weir_pool *pool = NULL;
    int err = weir_pool_new(
        &pool, WEIR_POOL_OPTIONS(.workers = 2, .capacity = 2, .on_worker_start = refuse));
    return err == -EIO && pool == NULL ? 0 : -EPROTO;
}

static weir_pool *lasting; /* one for all cycles */

static int cycle_group_and_context(unsigned i)
{
    (void)i;
    weir_context *ctx = NULL, *child = NULL;
    weir_errgroup *group = NULL;
    counter ran = COUNTER_INIT;
    int err = weir_context_new(&ctx, NULL, WEIR_FOREVER);
    if (err == 0)
        err = weir_context_with_value(&child, ctx, &ran, &ran);
    if (err == 0)
        err = weir_errgroup_new(&group, lasting, child, NULL);
    if (err == 0)
        err = weir_errgroup_go(group, counter_task, &ran);
    if (err == 0)
        err = weir_errgroup_wait(group);
    weir_errgroup_free(group);
    weir_context_unref(child);
    weir_context_unref(ctx);
    return err;
}

static int cycle_ring(unsigned i)
{
    weir_ring *ring = NULL;
    int err = weir_ring_new(&ring, (size_t)2 << i % 8);
    if (err == 0)
        err = weir_ring_push(ring, &ring);
    weir_ring_free(ring);
    return err;
}

static int (*const cycles[])(unsigned i) = {
    cycle_idle_pool,       cycle_busy_pool,         cycle_dying_worker,
    cycle_pool_that_fails, cycle_group_and_context, cycle_ring,
};
enum { KINDS = sizeof cycles / sizeof cycles[0] };

START_TEST(ten_thousand_come_and_go_and_leave_nothing)
{
    enum { RESIDENT_SLACK = 1024, MAPPED_SLACK = 128 * 1024 }; /* KiB */
    unsigned n = slow() ? FEWER_CYCLES : CYCLES, first = slow() ? LESS_WARM_UP : WARM_UP, i = 0;
    int err = 0;
    lasting = new_pool(2, 4);
    for (; i < first && err == 0; i++)
        err = cycles[_i](i);
    ck_assert_int_eq(err, 0);
    /* A sanitizer may keep a thread of its own. */
    struct usage before = usage_at_rest(SANITIZED ? count_entries("/proc/self/task") : 3);
    faults_begin(FAULT_ALLOC, 0);
    for (; i < first + n && err == 0; i++)
        err = cycles[_i](i);
    struct faults seen = faults_end();
    struct usage after = usage_at_rest(before.threads);
    weir_pool_free(lasting);
    ck_assert_int_eq(err, 0);
    ck_assert_int_eq(seen.live, 0);
    ck_assert_uint_eq(seen.joins, seen.threads);
    ck_assert_uint_le(after.threads, before.threads);
    ck_assert_uint_eq(after.files, before.files);
    if (!slow()) {
        ck_assert_int_lt(after.resident, before.resident + RESIDENT_SLACK);
        ck_assert_int_lt(after.mapped, before.mapped + MAPPED_SLACK);
    }
    covered("cycles", n);
    covered("threads made and joined", seen.joins);
    covered("allocations freed", seen.allocs);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("faults_cycles");
    TCase *cycle = add_group(suite, "cycles");
    tcase_add_loop_test(cycle, ten_thousand_come_and_go_and_leave_nothing, 0, KINDS);
    return suite;
}
