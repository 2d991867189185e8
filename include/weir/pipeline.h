/* SPDX-License-Identifier: MIT */
/* weir/pipeline.h - items that go through stages, on the caller and on the workers of a pool.
 *
 *     const weir_stage stages[] = {
 *         {read_block, &in, WEIR_STAGE_IN_ORDER},      one block after the other
 *         {compress, NULL, WEIR_STAGE_PARALLEL},       several at once
 *         {write_block, &out, WEIR_STAGE_IN_ORDER},    in the order in which they were read
 *     };
 *     err = weir_pipeline_run(pool, stages, 3, WEIR_PIPELINE_OPTIONS(.in_flight = 16));
 *
 * The first stage makes the items, one at a time, until there are no more. `in_flight` bounds how
 * many there are at once, so memory is bounded and a slow stage slows down the first one. No thread
 * waits for another one's item: an item whose stage is busy is put aside, and the thread takes the
 * next one. So any number of workers is enough, also one, and also none that is free: the caller
 * takes part. An item stays on its thread from stage to stage as long as it can.
 *
 * (The design is that of oneTBB's parallel_pipeline: S. MacDonald, D. Szafron and J. Schaeffer,
 * "Rethinking the pipeline as object-oriented states with transformations", 2004.)
 */
#ifndef WEIR_PIPELINE_H
#define WEIR_PIPELINE_H

#include "pool.h"

WEIR_BEGIN_DECLS

typedef enum weir_stage_mode {
    WEIR_STAGE_IN_ORDER, /* one item at a time, in the order in which the first stage made them */
    WEIR_STAGE_SERIAL,   /* one item at a time, in any order */
    WEIR_STAGE_PARALLEL  /* several items at once */
} weir_stage_mode;

/* Works on `*item`. The first stage finds NULL there and puts the next item in its place; if it
 * leaves NULL, there are no more, and it is not called again. Any other stage may put another item
 * there, or NULL: then the item goes no further, and those behind it in the order are not held up.
 * After the last stage `*item` is not looked at. `ctx` is never NULL: it is over after the first
 * error, when the context or the deadline given to the pipeline is over, and when the pool was
 * cancelled; it ends with the pipeline (to keep it, see weir_context_ref). Returns 0; anything else
 * stops the pipeline, and `*item`, if it is not NULL then, is given to on_drop. */
typedef int weir_stage_fn(weir_context *ctx, void **item, void *arg);

typedef struct weir_stage {
    weir_stage_fn *fn;
    void *arg;
    weir_stage_mode mode; /* the first stage is WEIR_STAGE_IN_ORDER whatever it says */
} weir_stage;

typedef struct weir_pipeline_options {
    size_t size;      /* filled by WEIR_PIPELINE_OPTIONS or weir_pipeline_options_init */
    size_t in_flight; /* the most items at once, at most 2^20; 0: four for each thread */
    /* Called once for each item that does not reach the end because the pipeline was stopped, on
       any thread that takes part; must not block. */
    void (*on_drop)(void *item, void *user);
    void *user; /* for on_drop */
} weir_pipeline_options;

/* A pointer to options with the fields named set and the others default (C only). */
#define WEIR_PIPELINE_OPTIONS(...)                                                                 \
    (&(weir_pipeline_options){.size = sizeof(weir_pipeline_options), __VA_ARGS__})
/* The same for C++ and for options that are filled step by step. */
WEIR_API void weir_pipeline_options_init(weir_pipeline_options *options);
/* What is wrong with them, or NULL: see weir_pool_options_error. */
WEIR_API const char *weir_pipeline_options_error(const weir_pipeline_options *options);

/* The most stages of one pipeline. */
#define WEIR_PIPELINE_MAX_STAGES 64

/* Runs the items through `n` stages. Blocks until every item is through, or the pipeline was
 * stopped and every call of a stage has returned, however long that takes. Allocates memory for
 * `in_flight` items when it begins, about 100 bytes each, and frees it at the end. NULL options:
 * defaults.
 * Returns 0: all items are through, also if that took longer than the deadline; the first value
 * other than 0 that a stage returned (-ECANCELED if it ended its thread; on_drop is not called for
 * the item that it had); -EPIPE (closed, or the pool's context is over; for a task of the pool only
 * the latter), then no stage is called; -ECANCELED (the pool was cancelled meanwhile); -EINVAL
 * (`pool` or `stages` is NULL, n is 0 or too large, a stage without `fn` or of no mode, in_flight
 * above 2^20, options of a size that never was); -E2BIG; -ENOMEM; -ESTALE; _until: -ETIMEDOUT,
 * -ECANCELED.
 * Ordering: what came before the call happens-before every call of a stage. Of one item, the calls
 * of its stages follow one another; so do all calls of a stage that is not parallel. All of them
 * happen-before the return. The pool must not be freed meanwhile. A task of the pool may make the
 * call, also from within a stage. */
WEIR_API WEIR_NODISCARD int weir_pipeline_run(weir_pool *pool, const weir_stage stages[], size_t n,
                                              const weir_pipeline_options *options);
WEIR_API WEIR_NODISCARD int weir_pipeline_run_until(weir_pool *pool, const weir_stage stages[],
                                                    size_t n, const weir_pipeline_options *options,
                                                    weir_context *ctx, int64_t deadline);

WEIR_END_DECLS

#endif
