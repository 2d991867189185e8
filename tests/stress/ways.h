/* SPDX-License-Identifier: MIT */
/* ways.h - three gates for the tasks of a round, and the books of what stands behind them.
 *
 *   way 0   two of the permits, tokens of a limiter that never gets new ones, and a breaker that
 *           stays closed: what it was given and told is known exactly at the end
 *   way 1   one of the same permits, and a breaker that opens often
 *   way 2   tokens that come with time, and the breaker of way 1
 *
 * While tasks run, no more permits are in use than there are. At the end all of them are back, no
 * token was taken for a task that was never accepted, and the breaker of way 0 was told the end of
 * each task that ran, once.
 */
#ifndef WEIR_TESTS_STRESS_WAYS_H
#define WEIR_TESTS_STRESS_WAYS_H

#include "dice.h"
#include "weir.h"

enum { WAYS = 3 };

/* Makes all anew. */
void ways_make(void);
weir_gate *way_gate(unsigned way);

/* A task with this gate was accepted; it runs; it is about to return, or to end its thread. */
void way_accepted(unsigned way);
void way_enter(unsigned way);
void way_leave(unsigned way, int status);

/* Holds permits for a moment, without a gate, and has a gate look. */
void ways_disturb(dice *d);

/* All tasks have ended: destroys the gates, and checks the books. */
void ways_unmake(void);

#endif
