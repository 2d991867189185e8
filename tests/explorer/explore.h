/* SPDX-License-Identifier: MIT */
/* explore.h - makes the runs of a scenario, pass by pass, each within bounds of its own. */
#ifndef WEIR_TESTS_EXPLORER_EXPLORE_H
#define WEIR_TESTS_EXPLORER_EXPLORE_H

#include "scenario.h"

struct totals {
    unsigned long scenarios, failures, runs;
    unsigned long complete_passes, cut_passes; /* all runs within the bounds; a part, at random */
    unsigned long frozen_points;
    unsigned most_points; /* in one run */
};

extern struct totals totals;
extern bool explore_slowly;  /* wider bounds */
extern bool explore_quietly; /* a few passes, and no word about them */
extern const char *explore_program;

/* Explores until a run fails. */
void explore_scenario(const struct scenario *scenario);

#endif
