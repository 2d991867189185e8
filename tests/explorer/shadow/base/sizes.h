/* SPDX-License-Identifier: MIT */
/* sizes.h - in the explorer: see src/base/sizes.h. With one stripe, what threads share does not
 * depend on their addresses. */
#ifndef WEIR_BASE_SIZES_H
#define WEIR_BASE_SIZES_H

enum {
    MAGAZINE_ROUNDS = 2,
    STRIPES = 1,
    SLOT_MARGIN = 4,
    SPARE_INDICES = 4,
    CHANNEL_TWO_LOCKS = 1,
    TRACE_DOORS = 1,
    RING_EACH = 4,
    OLDEST_EACH = 3,
    OTHER_EACH = 6,
    LANE_VAIN = 2,
};

#endif
