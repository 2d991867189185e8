/* SPDX-License-Identifier: MIT */
/* trace_order.h - what was recorded, paired and in the order of time.
 *
 * A ring holds the last events of a thread. What began before the oldest of them has an end there
 * and no beginning, and what is not over has a beginning and no end. All is worked out in place: in
 * `partner` of each event, and the last fields of struct events.
 */
#ifndef WEIR_SEE_TRACE_ORDER_H
#define WEIR_SEE_TRACE_ORDER_H

#include "record/event.h"

/* After it, `partner` of a beginning says where its end is, and of an end whether it has a
 * beginning. Rewinds: the next one is the oldest. */
void weir__trace_pair(struct recording *recording, struct events *events);

/* The end of a slice, as far as it was noted: an event of another kind if what is around it ended
 * first; NULL: it is not over. */
const struct event *weir__trace_end_of(const struct events *events, const struct event *begin);
/* The name that was noted with the event, or NULL. */
const char *weir__trace_name_of(const struct recording *recording, const struct events *events,
                                const struct event *event);

/* The oldest event of all threads that has not been taken, and whose it is; NULL: that was all.
 * Names and ends without a beginning are passed over, but not ends of runs. */
const struct event *weir__trace_next(struct recording *recording, struct events **ret);

#endif
