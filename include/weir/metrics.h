/* SPDX-License-Identifier: MIT */
/* weir/metrics.h - what pools and the other objects count, as text that Prometheus reads.
 *
 *     weir_metrics *metrics;
 *     err = weir_metrics_new(&metrics);
 *     err = weir_metrics_add_pool(metrics, "jobs", pool);
 *     err = weir_metrics_add_gauge(metrics, "app_sessions", "Sessions that are open.",
 *                                  WEIR_LABELS({"kind", "guest"}), count_sessions, &guests);
 *     ...
 *     err = weir_metrics_write(metrics, write, response);      for each request of /metrics
 *     ...
 *     err = weir_metrics_remove(metrics, pool);
 *     weir_pool_free(pool);
 *
 * The format is Prometheus' text format, version 0.0.4; as content type of a response take
 * WEIR_METRICS_CONTENT_TYPE. There is no agent, no thread and no server: who asks gets the text.
 *
 * A pool "jobs" gives, among others (docs/cookbook/metrics.md lists all families):
 *
 *     weir_pool_tasks_total{pool="jobs",end="done"} 1200
 *     weir_pool_queued{pool="jobs"} 3
 *     weir_pool_rejected_total{pool="jobs",reason="full"} 0
 *
 * Thread-safety: every call but free may be made by any number of threads at once, from tasks, from
 * the callbacks of a write too. No lock is held while a callback runs, so one that blocks holds up
 * its own write and nothing else: no other write, no add or remove, and no pool.
 * After fork(), in the child: every call returns -ESTALE; free releases the memory.
 */
#ifndef WEIR_METRICS_H
#define WEIR_METRICS_H

#include "breaker.h"
#include "channel.h"
#include "dump.h"
#include "errgroup.h"
#include "lease.h"
#include "limiter.h"
#include "pool.h"
#include "semaphore.h"
#include "topic.h"

#define WEIR_METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

WEIR_BEGIN_DECLS

typedef struct weir_metrics weir_metrics;

/* Makes an empty collection. Never blocks. Returns 0; -EINVAL (`ret` is NULL); -ENOMEM. */
WEIR_API WEIR_NODISCARD int weir_metrics_new(weir_metrics **ret);

/* Frees it; the objects are left alone. free(NULL) is fine. Never blocks.
 * Misuse that aborts: a write or a remove is under way. */
WEIR_API void weir_metrics_free(weir_metrics *metrics);

/* From now on a write tells of the object. `name` tells it from others of its kind; it is copied,
 * may be any text in UTF-8, and becomes the value of the label pool, semaphore, channel, limiter,
 * window, breaker, lease_pool, topic or errgroup. The object stays yours; remove it before you free
 * it. (Freeing a pool that is in metrics aborts; of other objects it cannot be seen: they would be
 * used after they were freed.)
 * Blocks for a short internal lock only. Returns 0; -EEXIST (the name, or the object, is there
 * already, for that kind); -EINVAL (NULL, an empty name or one that is not UTF-8); -ENOMEM;
 * -ESTALE. */
WEIR_API WEIR_NODISCARD int weir_metrics_add_pool(weir_metrics *metrics, const char *name,
                                                  weir_pool *pool);
WEIR_API WEIR_NODISCARD int weir_metrics_add_semaphore(weir_metrics *metrics, const char *name,
                                                       const weir_semaphore *semaphore);
WEIR_API WEIR_NODISCARD int weir_metrics_add_channel(weir_metrics *metrics, const char *name,
                                                     const weir_channel *channel);
WEIR_API WEIR_NODISCARD int weir_metrics_add_limiter(weir_metrics *metrics, const char *name,
                                                     const weir_limiter *limiter);
WEIR_API WEIR_NODISCARD int weir_metrics_add_window(weir_metrics *metrics, const char *name,
                                                    const weir_window *window);
WEIR_API WEIR_NODISCARD int weir_metrics_add_breaker(weir_metrics *metrics, const char *name,
                                                     const weir_breaker *breaker);
WEIR_API WEIR_NODISCARD int weir_metrics_add_lease_pool(weir_metrics *metrics, const char *name,
                                                        const weir_lease_pool *pool);
WEIR_API WEIR_NODISCARD int weir_metrics_add_topic(weir_metrics *metrics, const char *name,
                                                   const weir_topic *topic);
WEIR_API WEIR_NODISCARD int weir_metrics_add_errgroup(weir_metrics *metrics, const char *name,
                                                      const weir_errgroup *group);

/* One label; a list of them ends with one whose name is NULL. */
typedef struct weir_label {
    const char *name, *value;
} weir_label;

/* A list of labels (C only): WEIR_LABELS({"kind", "guest"}, {"zone", "a"}). */
#define WEIR_LABELS(...) ((const weir_label[]){__VA_ARGS__, {NULL, NULL}})

/* Tells a value of the program's own. Called by a write, with no lock held, by several threads at
 * once if they write at once. It may block, and may call weir, but not remove. */
typedef double weir_metric_fn(void *arg);

/* Adds a number that only grows (a counter; by custom its name ends in _total), or one that goes up
 * and down (a gauge). All texts are copied. `name` is made of letters, digits, _ and :, and does
 * not begin with a digit, nor with weir_. `help` is one sentence. `labels`: NULL, or a list; names
 * as above but without : and not beginning with __, values any text in UTF-8 but the empty one; in
 * any order. Several metrics of one name form a family: they differ in their labels, and must have
 * the same kind and the same `help`. `arg` is passed to `fn`, and is what remove takes.
 * Blocks for a short internal lock only. Returns 0; -EEXIST (the name is there with the same
 * labels); -EINVAL (NULL; a name, a label or a text that is none; a label twice; another kind or
 * `help` than the family has); -ENOMEM; -ESTALE. */
WEIR_API WEIR_NODISCARD int weir_metrics_add_counter(weir_metrics *metrics, const char *name,
                                                     const char *help, const weir_label labels[],
                                                     weir_metric_fn *fn, void *arg);
WEIR_API WEIR_NODISCARD int weir_metrics_add_gauge(weir_metrics *metrics, const char *name,
                                                   const char *help, const weir_label labels[],
                                                   weir_metric_fn *fn, void *arg);

/* Takes the object out, or all of the program's own metrics that have it as `arg`. Blocks while a
 * write reads it (not while one calls its `write`): for a short time, or until a weir_metric_fn
 * that was called with it has returned. Afterwards no thread uses it.
 * What has no `arg` stays until free.
 * Returns 0; -EINVAL (NULL, or it is not there); -EDEADLK (from a weir_metric_fn of these metrics);
 * -ESTALE. Ordering: what a weir_metric_fn did happens-before the return. */
WEIR_API int weir_metrics_remove(weir_metrics *metrics, const void *object);

/* Writes all of it. Numbers are read one after the other, while the objects are in use: those of
 * one family of one object belong together, others may be a moment apart. What is added or removed
 * meanwhile may be told or not. Allocates nothing, and needs some 20 KiB of the stack. Blocks for
 * short internal locks, and while `write` or a weir_metric_fn does.
 * Returns 0; what `write` returned, if it is not 0: then the text ends there; -EINVAL (NULL);
 * -ESTALE. */
WEIR_API WEIR_NODISCARD int weir_metrics_write(weir_metrics *metrics, weir_write_fn *write,
                                               void *arg);

WEIR_END_DECLS

#endif
