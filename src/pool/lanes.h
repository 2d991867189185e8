/* SPDX-License-Identifier: MIT */
/* lanes.h - a queue with several lanes: which one a worker takes from, and what is done to all.
 *
 * The first lane is the most urgent. A worker takes from the first one that is not empty, but for a
 * lane that is owed a start: the least urgent of these comes before all others.
 *
 * What is owed. Each worker counts by itself what it takes from more urgent lanes (seat->passed).
 * With a share of that it looks at the lane. If that is empty, it forgets it: nothing is owed to an
 * empty lane. Else it adds the share to the lane's meter, for all workers. That holds so many
 * shares (queue->shares). If it is full, the lane is owed a start, and the worker takes from there;
 * once it has, it begins the meter anew, unless another one did.
 *
 * So a worker that is stopped, wherever, holds up nobody: the others find the meter full until one
 * of them has given the lane a start and begun it anew. Each of them that comes in between gives it
 * a start too. And only the shares are counted in a word that all write, and only while a less
 * urgent lane has jobs.
 *
 *   I1  While a lane is not empty, at most `burst` jobs of more urgent lanes start between two of
 *       its own; or as many as there are workers, if that is more.
 *   I2  A job starts before all that are put into less urgent lanes later, except: one for each
 *       worker, which found the job's lane empty before the push, and took from another one after
 *       it; and what is owed.
 *
 * Jobs that do not start: a dead ticket, and a job that has expired or whose context is over when
 * it is taken. In a more urgent lane such a job counts as a start once it is taken, so that a
 * stream of them starves no lane. In the lane that is owed one it does not: the lane stays owed.
 * But so that a flood of them does not keep the urgent ones waiting, LANE_VAIN in a row that one
 * worker takes stand for a start, once the last of them has ended (seat->vain). Dead tickets are
 * thrown away in passing and count nowhere. A turn of a serial starts when it is taken.
 *
 * Why I1 holds. "Start" means also what stands for one. Take the span between two starts of the
 * lane, or from when it had a job again to the next start. A job that starts in it from a more
 * urgent lane was counted before, when its worker took it. So it is counted by that worker alone,
 * when the span ends, or was added to the meter since it started. The former is a share for each
 * worker at most. For the latter: the meter was begun anew at most once within the span, for
 * whoever does so has first seen it full, and then made a start of the lane; if all of that came
 * after the meter was begun anew once in the span, there is a start within the span. If it was not
 * begun anew, a full meter was added at most. If it was, it had been full before a start that is
 * not in the span, so nothing was added before it was begun anew, and a full meter at most after
 * that. With `share` and `shares` as set_shares chooses them, both together are `burst` at most.
 *
 * The meter counts up for ever. A worker that begins it anew goes from the one number that it saw
 * to the next, so that no other can do that a second time. A thread that adds to it, or finds it
 * full, has to see what was started before: so these operations acquire and release.
 *
 * A start that the lane was not owed does not begin the meter anew: that would be a word that all
 * write for each job. So the lane may be owed another one sooner than need be.
 */
#ifndef WEIR_POOL_LANES_H
#define WEIR_POOL_LANES_H

#include "pool/queue.h"

/* weir__queue_next where there are several lanes. */
bool weir__lanes_next(struct seat *seat, struct job *ret);
/* The job that it gave to the seat starts. */
void weir__lanes_started(struct seat *seat);

/* The job starts, on this thread, which has this seat, or none. */
static inline void lanes_count_start(struct seat *seat, const struct job *job)
{
    if (seat != NULL && seat->taken == job) /* else it was not taken from one of several lanes */
        weir__lanes_started(seat);
}

/* How a worker gets its next job. False: the queue is empty. */
typedef bool next_job(struct seat *seat, struct job *ret);

static inline next_job *next_job_of(const struct queue *queue)
{
    return queue->lane_count > 1 ? weir__lanes_next : weir__queue_next;
}

/* Does a submitter make a timed wait, in whatever lane, or the clock's thread? */
static inline bool lanes_have_timed(struct queue *queue)
{
    for (unsigned k = 0; k < queue->lane_count; k++)
        if (unlikely(room_has_timed(&queue_lane(queue, k)->room)))
            return true;
    return unlikely(room_has_timed(&queue->clock_room));
}

/* weir__room_idle of each lane, and of the clock's thread; and weir__room_wake_all of each lane. */
void weir__lanes_idle(struct queue *queue);
void weir__lanes_wake_all(struct queue *queue);

/* How many jobs all lanes hold at most, and the sum of the most places that were
 * taken in each at once. */
uint64_t weir__lanes_capacity(const struct queue *queue);
uint64_t weir__lanes_peak(const struct queue *queue);

#endif
