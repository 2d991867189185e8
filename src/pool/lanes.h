/* SPDX-License-Identifier: MIT */
/* lanes.h - a queue with several lanes: which one a worker takes from, and what is done to all.
 *
 * The first lane is the most urgent. A worker takes from the first one that is not empty; but each
 * lane is owed a turn by each worker, once that has started `burst` jobs from more urgent ones.
 * What is owed is taken first, the least urgent lane before the others.
 *
 * Each worker counts for itself (seat->passed), and no word is shared but the rings. So a worker
 * that is stopped, or runs a long job, owes what it owes, and the others go on by their own counts.
 *
 *   I1  Between two starts of a lane that is not empty meanwhile, a worker makes at most `burst` of
 *       more urgent ones: with that many it looks at the lane, and finds a job there, which ends
 *       the span. All together make at most `burst` times their number.
 *   I2  A job starts before all that are put into less urgent lanes later, except: one for each
 *       worker, which found the job's lane empty before the push, and took from another one after
 *       it; and what is owed.
 *
 * A ticket that turns out to be dead is no start: a lane that is owed one stays so.
 */
#ifndef WEIR_POOL_LANES_H
#define WEIR_POOL_LANES_H

#include "pool/queue.h"

/* weir__queue_next where there are several lanes. */
bool weir__lanes_next(struct seat *seat, struct job *ret);

/* How a worker gets its next job. False: the queue is empty. */
typedef bool next_job(struct seat *seat, struct job *ret);

static inline next_job *next_job_of(const struct queue *queue)
{
    return queue->lane_count > 1 ? weir__lanes_next : weir__queue_next;
}

/* Does a submitter make a timed wait, in whatever lane? */
static inline bool lanes_have_timed(struct queue *queue)
{
    for (unsigned k = 0; k < queue->lane_count; k++)
        if (unlikely(room_has_timed(&queue_lane(queue, k)->room)))
            return true;
    return false;
}

/* weir__room_idle, and weir__room_wake_all, of each lane. */
void weir__lanes_idle(struct queue *queue);
void weir__lanes_wake_all(struct queue *queue);

/* How many jobs all lanes hold at most, and the sum of the most places that were
 * taken in each at once. */
uint64_t weir__lanes_capacity(const struct queue *queue);
uint64_t weir__lanes_peak(const struct queue *queue);

#endif
