/* SPDX-License-Identifier: MIT */
/* task_repeat.h - tasks that run more than once. */
#ifndef WEIR_POOL_TASK_REPEAT_H
#define WEIR_POOL_TASK_REPEAT_H

#include "pool/task.h"

/* Of tasks that run every `period`, in a place that they keep; and of tasks that are retried, whose
 * job runs a struct repeat of the pool. */
extern const struct sink_ops weir__periodic_sink;
extern const struct sink_ops weir__retried_sink;

#endif
