/* SPDX-License-Identifier: MIT */
/* due.h - jobs that have waited long enough: from their places into the queue. */
#ifndef WEIR_POOL_DUE_H
#define WEIR_POOL_DUE_H

#include "pool/delay.h"

/* What the alarm of a place does. */
void weir__due_ring(struct alarm *alarm);

/* Of a job that waits for its gate or descriptor, and that no thread has claimed: it may start;
 * under the lock. True: it was pushed, and its wait counts no more. Else the clock's thread does
 * that. */
bool weir__due_let_in_locked(struct delay *delay, struct delay_place *place);

/* For a gate, of its first pass, which it keeps from leaving meanwhile. No lock is held. False: the
 * job is not at the gate any more: another thread has it, or it has expired. */

/* Puts the job into the queue, or has it wait there for room. */
bool weir__due_let_in(struct pass *pass);
/* Has ring_locked called at `at`, or earlier. */
bool weir__due_ring_at(struct pass *pass, int64_t at);

#endif
