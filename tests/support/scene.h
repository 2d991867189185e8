/* SPDX-License-Identifier: MIT */
/* scene.h - everything that a thread can wait for, and none of it happens before it is let. */
#ifndef WEIR_TESTS_SUPPORT_SCENE_H
#define WEIR_TESTS_SUPPORT_SCENE_H

#include "support/gate.h"
#include "weir.h"

/* One a process. */
struct scene {
    weir_pool *pool; /* its one worker is held, its queue is full */
    gate hold;
    counter ran;
    weir_task queued;
    weir_waitgroup wg;
    weir_errgroup *group; /* at its limit, its one member is held */
    weir_context *ctx;
};

extern struct scene scene;

enum { SCENE_WAITS = 8 };

/* One for each blocking call. Each returns -ETIMEDOUT at the deadline, and 0 if what it waits for
 * has happened. */
extern int (*const scene_waits[SCENE_WAITS])(int64_t deadline);

/* `pool` has one worker, and room for one task. */
void set_scene(weir_pool *pool);
/* All that is waited for. */
void let_it_happen(void);
/* When no thread waits any more; let_it_happen() was called, or nothing but time has passed. */
void strike_scene(void);

#endif
