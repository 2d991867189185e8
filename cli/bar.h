/* SPDX-License-Identifier: MIT */
/* bar.h - the line on the terminal that says how far a run is. */
#ifndef CLI_BAR_H
#define CLI_BAR_H

#include "run.h"

/* Whether there is to be one: standard error is a terminal and standard output is not, or --bar. */
bool bar_is_wanted(const struct settings *settings);

/* Draws it, unless a job's output is just being printed. */
void bar_draw(struct run *run);

#endif
