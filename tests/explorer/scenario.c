/* SPDX-License-Identifier: MIT */
#include "scenario.h"

#include <string.h>

#include "os/alloc.h"
#include "pool/slab.h"

/* See small/pool/meson.build. */
_Static_assert(CHAIN == 2 && MARGIN == 4,
               "the slab is made small when it is built for the explorer");

struct starter {
    void (*run)(void *);
    void *arg;
};

static struct starter starters[MAX_THREADS];

static void *run_starter(void *arg)
{
    const struct starter *starter = arg;
    starter->run(starter->arg);
    return NULL;
}

struct vthread *start(void (*run)(void *), void *arg)
{
    struct starter *starter = &starters[vthread_count() % MAX_THREADS];
    *starter = (struct starter){run, arg};
    return vthread_start(run_starter, starter);
}

void finish(struct vthread *thread)
{
    (void)virtual_join(thread->number, NULL);
}

weir_pool *new_pool(const weir_pool_options *options)
{
    weir_pool *pool = NULL;
    int err = weir_pool_new(&pool, options);
    check(err == 0);
    settle();
    return pool;
}

void check_counts(const weir_pool *pool)
{
    weir_pool_counts counts;
    weir_pool_read_counts(pool, &counts);
    check(counts.submitted ==
          counts.done + counts.failed + counts.cancelled + counts.expired + counts.abandoned);
    check(counts.queued == 0 && counts.running == 0);
}

void end_pool(weir_pool *pool)
{
    int err = weir_pool_shutdown(pool, WEIR_FOREVER, WEIR_FOREVER, NULL);
    check(err == 0);
    check_counts(pool);
    weir_pool_free(pool);
}

void *make(size_t size)
{
    void *memory = weir__alloc(1, size);
    check(memory != NULL);
    return memory;
}

void drop(void *memory)
{
    weir__free(memory);
}

int count_run(weir_context *ctx, void *arg)
{
    (void)ctx;
    ++*(unsigned *)arg;
    return 0;
}
