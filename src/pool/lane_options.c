/* SPDX-License-Identifier: MIT */
#include "pool/lane_options.h"

enum { DEFAULT_BURST = 64 };

static uint64_t capacity_of(const weir_pool_options *options, unsigned lane)
{
    return options->lane_capacity[lane] != 0 ? options->lane_capacity[lane] : options->capacity;
}

const char *weir__lane_options_wrong(const weir_pool_options *options, uint32_t usual,
                                     uint32_t most)
{
    unsigned lanes = options->lanes != 0 ? options->lanes : 1;
    uint64_t capacity = 0, named = 0;
    if (lanes > WEIR_MAX_LANES)
        return "lanes: above 8";
    for (unsigned k = 0; k < WEIR_MAX_LANES; k++) {
        if (options->lane_capacity[k] != 0 && k >= lanes)
            return "lane_capacity: of a lane that there is not";
        if (k < lanes)
            capacity += capacity_of(options, k) != 0 ? capacity_of(options, k) : usual;
        named |= options->lane_capacity[k];
    }
    if (capacity > most)
        return named != 0 ? "lane_capacity: above 2^22 in all"
                          : "capacity: above 2^22 in all lanes";
    if (options->lane_burst != 0 && lanes == 1)
        return "lane_burst: set with one lane";
    if (options->default_lane != 0 && options->default_lane - WEIR_LANE(0) >= lanes)
        return "default_lane: not WEIR_LANE of one that there is";
    return NULL;
}

void weir__lane_options_settle(weir_pool_options *options)
{
    if (options->lanes == 0)
        options->lanes = 1;
    if (options->lane_burst == 0)
        options->lane_burst = DEFAULT_BURST;
    if (options->default_lane == 0)
        options->default_lane = WEIR_LANE(options->lanes - 1);
    for (unsigned k = 0; k < options->lanes; k++)
        options->lane_capacity[k] = (unsigned)capacity_of(options, k);
}

struct queue_shape weir__lane_options_shape(const weir_pool_options *options, uint32_t more)
{
    struct queue_shape shape = {
        .workers = options->workers,
        .more = more,
        .lanes = options->lanes,
        .default_lane = options->default_lane - WEIR_LANE(0),
        .burst = options->lane_burst,
    };
    for (unsigned k = 0; k < options->lanes; k++)
        shape.capacity[k] = options->lane_capacity[k];
    return shape;
}

int weir__lane_numbered(const struct queue *queue, unsigned lane, uint32_t *ret)
{
    if (lane >= queue->lane_count)
        return -EINVAL;
    *ret = queue_lane(queue, lane)->number;
    return 0;
}

int weir__lane_named(const struct queue *queue, unsigned option, uint32_t *ret)
{
    *ret = 0;
    return option != 0 ? weir__lane_numbered(queue, option - WEIR_LANE(0), ret) : 0;
}
