/* SPDX-License-Identifier: MIT */
#ifndef WEIR_POOL_COUNTS_H
#define WEIR_POOL_COUNTS_H

#include "pool/pool.h"

/* How many tasks have ended, by weir_state from WEIR_TASK_DONE on; to be read before the next. */
void weir__read_ends(const weir_pool *pool, uint64_t ret_ends[ENDS]);
/* How many were accepted. */
uint64_t weir__read_accepted(const weir_pool *pool);

static inline uint64_t ends_run(const uint64_t ends[ENDS])
{
    return ends[WEIR_TASK_DONE - WEIR_TASK_DONE] + ends[WEIR_TASK_FAILED - WEIR_TASK_DONE];
}

static inline uint64_t ends_unstarted(const uint64_t ends[ENDS])
{
    return ends[WEIR_TASK_CANCELLED - WEIR_TASK_DONE] + ends[WEIR_TASK_EXPIRED - WEIR_TASK_DONE] +
           ends[WEIR_TASK_DROPPED - WEIR_TASK_DONE];
}

#endif
