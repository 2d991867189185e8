/* SPDX-License-Identifier: MIT */
/* explore.h - makes the runs of a scenario, pass by pass, each within bounds of its own. */
#ifndef WEIR_TESTS_EXPLORER_EXPLORE_H
#define WEIR_TESTS_EXPLORER_EXPLORE_H

#include "scenario.h"

struct totals {
    unsigned long scenarios, failures, runs;
    unsigned long complete_passes, cut_passes; /* all runs within the bounds; a part, at random */
    unsigned long frozen_points;
    unsigned most_points;          /* in one run */
    unsigned long rounds;          /* scenarios whose laps count, see laps.h */
    unsigned long explored_rounds; /* those that make them all while orders vary */
    unsigned fewest_laps;
};

extern struct totals totals;
void totals_add(struct totals *to, const struct totals *more);

/* How wide the bounds are: a quarter of the runs; what CI makes; hours more. */
enum extent { EXTENT_QUICK, EXTENT_FULL, EXTENT_SLOW };
extern enum extent explore_extent;
extern const char *explore_program;

/* Explores until a run fails. */
void explore_scenario(const struct scenario *scenario);

/* A hunt for a bug that is known to be there goes through passes of its own, which take the longer
 * the later they come; each does the same whatever was explored before it. */
enum { HUNT_PASSES = 10 };

const char *hunt_name(unsigned pass);
/* Makes at most `most` runs (0: as many as the pass says). Returns NULL, or why a run failed; it
 * writes how many runs there were. */
const char *hunt(const struct scenario *scenario, unsigned pass, unsigned most,
                 unsigned long *ret_runs);

#endif
