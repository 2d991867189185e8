/* SPDX-License-Identifier: MIT */
/* turn.h - the tickets by which serials get their turns.
 *
 * A serial (serial.h) that has work has one place in its lane of the queue, however long it is: its
 * ticket's, or, while it has none in the ring, one that is kept for it. It gets a place as any job
 * does, and may be refused. Then it keeps it until it has no more work, so that it can always be
 * put back at the end of the lane. What is kept is taken off the ring's room (ring/algorithm.h).
 *
 * Invariants:
 *   I1  Tickets in the ring and places kept never exceed the capacity together: a popper keeps the
 *       place before it takes the ticket, and a ticket is put before its place is given up.
 *   I2  `turns` of the lane is not 0 while such a ticket can be taken: so a thread that has seen
 *       one looks at what it takes, and all others need not.
 *
 * A thread that is stopped between the two steps of I1 makes the queue full for the others one
 * place too early. It holds nothing else.
 *
 * A ticket counts as work (quiet.h) until its turn is over, but not as a task (tally.h).
 */
#ifndef WEIR_POOL_TURN_H
#define WEIR_POOL_TURN_H

#include "pool/queue.h"

/* Takes a place in the lane for the serial whose sink it is, and puts its ticket. False: full. */
bool weir__queue_enter_turn(struct queue *queue, uint32_t lane, struct sink *sink,
                            uint64_t *ret_claim);
/* Puts the ticket of one whose place is kept. Returns its claim. */
uint64_t weir__queue_put_turn(struct queue *queue, uint32_t lane, struct sink *sink);
/* Takes the ticket out of the ring's reach. False: it was popped, and its turn comes. */
bool weir__queue_take_turn_back(struct queue *queue, uint64_t claim);
/* The serial has no work any more: gives up the place that is kept for it; it had its place as a
 * ticket, if not `kept`. */
void weir__queue_leave_turn(struct queue *queue, uint32_t lane, bool kept);

#endif
