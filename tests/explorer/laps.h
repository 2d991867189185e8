/* SPDX-License-Identifier: MIT */
/* laps.h - how often a scenario takes a ring round.
 *
 * A ring of N words has made a lap when N items have been pushed; then each of its words has been
 * through all its states and is used again, for another item in another slot. So that whatever an
 * earlier lap has left is there to be mistaken for news, a scenario about handing tasks over takes
 * its ring through two laps at least. Counted are the pushes that succeed, from the ring's first
 * on, in the run that makes most of them: in a run where everything is refused a ring stands still.
 * Those from before explore_begin() count too, for they leave the same behind (new_worn_pool); how
 * many laps are made by the others alone is reported as well.
 *
 * To say so is the scenario's own business: see count_laps.
 */
#ifndef WEIR_TESTS_EXPLORER_LAPS_H
#define WEIR_TESTS_EXPLORER_LAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LAPS_LEAST = 2 };

struct laps {
    unsigned all, explored;
};

/* A new run; a new scenario. */
void laps_begin_run(void);
void laps_begin(void);

/* The laps of this ring count from now on. */
void laps_count(const void *words, size_t bytes, size_t n);

/* An item was put into this word, if it is a ring's. */
void laps_note(const void *word, const char *function, bool explored);

/* Of the ring that has made the fewest, in the run in which it made most. False: none counts. */
bool laps_made(struct laps *ret);

#endif
