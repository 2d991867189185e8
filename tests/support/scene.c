/* SPDX-License-Identifier: MIT */
/* scene.c - everything that a thread can wait for. */
#include "support/scene.h"

#include <errno.h>

#include "support/pools.h"
#include "support/suite.h"

struct scene scene;

static int wait_for_task(int64_t deadline)
{
    return weir_task_wait_until(&scene.queued, NULL, deadline);
}

static int wait_for_waitgroup(int64_t deadline)
{
    return weir_waitgroup_wait_until(&scene.wg, NULL, deadline);
}

static int wait_for_group(int64_t deadline)
{
    return weir_errgroup_wait_until(scene.group, NULL, deadline);
}

static int wait_for_limit(int64_t deadline)
{
    return weir_errgroup_go_until(scene.group, counter_task, &scene.ran, NULL, deadline);
}

static int wait_for_context(int64_t deadline)
{
    return weir_context_wait_until(scene.ctx, deadline);
}

static int wait_for_room(int64_t deadline)
{
    return weir_pool_submit_until(scene.pool, counter_task, &scene.ran, NULL, deadline);
}

static int wait_for_quiet(int64_t deadline)
{
    return weir_pool_drain_until(scene.pool, NULL, deadline);
}

static int sleep_for_a_while(int64_t deadline)
{
    int err = weir_sleep_until(scene.ctx, deadline);
    if (deadline == WEIR_FOREVER)
        return err == -ECANCELED ? 0 : -EINTR;
    return err == 0 ? -ETIMEDOUT : err;
}

int (*const scene_waits[SCENE_WAITS])(int64_t deadline) = {
    wait_for_task,    wait_for_waitgroup, wait_for_group, wait_for_limit,
    wait_for_context, wait_for_room,      wait_for_quiet, sleep_for_a_while,
};

void set_scene(weir_pool *pool)
{
    scene = (struct scene){.pool = pool, .hold = GATE_INIT, .ran = COUNTER_INIT};
    ck_assert_int_eq(weir_context_new(&scene.ctx, NULL, WEIR_FOREVER), 0);
    ck_assert_int_eq(weir_errgroup_new(&scene.group, pool, NULL, WEIR_ERRGROUP_OPTIONS(.limit = 1)),
                     0);
    ck_assert_int_eq(weir_errgroup_go(scene.group, gate_task, &scene.hold), 0);
    gate_await(&scene.hold, 1);
    ck_assert_int_eq(weir_pool_submit_task(pool, &scene.queued, counter_task, &scene.ran, NULL), 0);
    weir_waitgroup_add(&scene.wg, 1);
}

void let_it_happen(void)
{
    weir_context_cancel(scene.ctx, 0);
    if (weir_waitgroup_try_wait(&scene.wg) == -EAGAIN)
        weir_waitgroup_done(&scene.wg);
    gate_open(&scene.hold);
}

void strike_scene(void)
{
    let_it_happen();
    weir_errgroup_free(scene.group);
    weir_context_unref(scene.ctx);
    finish_pool(scene.pool);
}
