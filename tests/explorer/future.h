/* SPDX-License-Identifier: MIT */
/* future.h - loads that return what is stored only later (load buffering).
 *
 * C11 lets a relaxed load return the value of a store that comes after it, as a machine may that
 * puts the load off, as long as nothing orders the load before the store. A run cannot wait for
 * what is to come: so the load returns a value that another thread stored to the word in an earlier
 * run, where it returned something else. If the run comes to such a store, by a thread that the
 * load does not happen-before, all is well; until then nothing that the run does counts, and it is
 * given up when a thread that the load happens-before uses the word, for then it would see an older
 * value than the load. One load in a run may do so.
 *
 * This knows nothing of dependencies. That a value is stored in some run without it makes sure that
 * it does not come out of thin air.
 */
#ifndef WEIR_TESTS_EXPLORER_FUTURE_H
#define WEIR_TESTS_EXPLORER_FUTURE_H

#include <stdbool.h>
#include <stdint.h>

/* What was learned about values: forget it; use it from now on. */
void future_forget(void);
void future_use(void);

void future_begin_run(void);
/* A load has returned what is still to come: what the run does does not count. */
bool future_is_open(void);

enum { MOST_FUTURES = 8 };

/* The values that a relaxed load of the current thread may return though nobody has stored them;
 * returns how many. */
unsigned future_values(const void *address, uint64_t ret_values[MOST_FUTURES]);
/* It returns this one. */
void future_open(const void *address, uint64_t value);

/* The current thread is about to use the word; and has stored to it, as the newest. Returns the
 * thread whose load has returned that, in `*ret_time` of its clock; or -1. */
void future_meet(const void *address);
int future_close(const void *address, uint64_t value, uint16_t *ret_time);

#endif
