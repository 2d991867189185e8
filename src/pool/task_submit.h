/* SPDX-License-Identifier: MIT */
/* task_submit.h - the ways in for tasks that start later, or more than once: flow/ has the calls.
 * */
#ifndef WEIR_POOL_TASK_SUBMIT_H
#define WEIR_POOL_TASK_SUBMIT_H

#include "weir/task.h"

#include "pool/repeats.h"
#include "pool/submit.h"

struct serial;

/* Submits a task that is not to start before `at`, and then every `period` ns (0: once). */
int weir__submit_task_at(weir_pool *pool, weir_task *task, weir_task_fn *fn, void *arg,
                         const weir_task_options *options, int64_t at, int64_t period);
/* Submits a task that is not to start before `fd` is ready for one of `events`, and is to start by
 * `deadline`. */
int weir__submit_task_when(weir_pool *pool, weir_task *task, int fd, unsigned events,
                           weir_task_fn *fn, void *arg, const weir_task_options *options,
                           weir_context *ctx, int64_t deadline);
/* Submits a task that runs again as `repeat` says, which is copied; -EAGAIN if there
 * is no room for that. */
int weir__submit_task_repeating(weir_pool *pool, weir_task *task, weir_task_fn *fn, void *arg,
                                const weir_task_options *options, const struct repeat *repeat);
/* Submits a task of a serial; `mode` says in which form. */
int weir__submit_task_to(struct serial *serial, weir_task *task, weir_task_fn *fn, void *arg,
                         const weir_task_options *options, enum submit_mode mode, weir_context *ctx,
                         int64_t deadline);

#endif
