/* SPDX-License-Identifier: MIT */
/* lane_options.h - what the options of a pool say of its lanes. */
#ifndef WEIR_POOL_LANE_OPTIONS_H
#define WEIR_POOL_LANE_OPTIONS_H

#include "pool/queue.h"

/* What is wrong, or NULL. `usual`: the capacity if that is not set; `most`: how many tasks may be
 * queued in all. */
const char *weir__lane_options_wrong(const weir_pool_options *options, uint32_t usual,
                                     uint32_t most);
/* Fills in the defaults; the capacity is settled. */
void weir__lane_options_settle(weir_pool_options *options);
/* Of options that are settled. */
struct queue_shape weir__lane_options_shape(const weir_pool_options *options, uint32_t more);

/* The lane that an option names, as it is numbered in jobs: 0, or -EINVAL. */
int weir__lane_named(const struct queue *queue, unsigned option, uint32_t *ret);
/* The same for its number in the order of urgency. */
int weir__lane_numbered(const struct queue *queue, unsigned lane, uint32_t *ret);

/* Does it name a lane that some pool may have, or none? */
static inline bool lane_option_fits(unsigned option)
{
    return option == 0 || option - WEIR_LANE(0) < WEIR_MAX_LANES;
}

#endif
