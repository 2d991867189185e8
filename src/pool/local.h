/* SPDX-License-Identifier: MIT */
/* local.h - tasks that make tasks: what a worker's own jobs submit goes into a deque of that
 * worker, which takes the newest from there; workers with nothing to do take the oldest.
 *
 * The tickets in a deque are those of the ring: numbers of slots, dead once their job was claimed.
 * A full deque takes no more: the job goes to the ring, as one from outside does. A ticket stays
 * where it was put until it is taken. So a thread that looks through all deques, and the ring,
 * misses no job that was put before.
 *
 * Starts, of each worker: after RING_EACH from deques in a row it looks at the ring first; of
 * OLDEST_EACH that it takes from its own deque one is the oldest. After OTHER_EACH, from wherever,
 * it looks at the deque of one other worker first, of each in turn: so what is in there does not
 * wait for its owner, who may wait for it, as long as anybody has something else to do. A look at
 * the ring may come before that, once. So of n workers one that goes on makes m (n - 1) such looks,
 * m at each of the others, within m OTHER_EACH (n - 1) + 1 starts.
 */
#ifndef WEIR_POOL_LOCAL_H
#define WEIR_POOL_LOCAL_H

#include "base/sizes.h"
#include "pool/queue.h"

/* Puts the job into the deque of the calling worker, whose seat this is, and wakes another worker.
 * Returns and tells as queue_put; -EAGAIN: the deque is full; and -EPIPE: the queue was cancelled
 * meanwhile, and the job is taken back. */
int weir__local_put(struct seat *seat, const struct job *job);

/* The deque of this worker was found full. Is neither of its ends one for weir__local_take_done? */
bool weir__local_stays_full(const struct seat *seat);

/* Takes a ticket off one of the ends of the calling worker's own deque, if it has one, whose job
 * was claimed, or has expired: then it is for the caller to end. */
enum taken weir__local_take_done(struct queue *queue, struct job *ret);

/* The next job for a worker that has a deque. False: there is none in the ring, nor in a deque. */
bool weir__local_next(struct seat *seat, struct job *ret);

/* Takes the oldest job of some deque. False: there was none in any. */
bool weir__local_steal(struct queue *queue, struct job *ret);

/* Takes the newest job of the calling worker's own deque, if it is of `sink`. False: also if
 * another thread has claimed it meanwhile; older ones of the sink may be below it. */
bool weir__local_take(struct queue *queue, const struct sink *sink, struct job *ret);

/* Claims a job of `sink`, wherever it is; `mark` as for weir__queue_claim_next. */
bool weir__local_claim_next(struct queue *queue, const struct sink *sink, queue_mark *mark,
                            struct job *ret);

#endif
