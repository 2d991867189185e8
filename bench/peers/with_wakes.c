/* SPDX-License-Identifier: MIT */
/* with_wakes.c - for programs that are linked with wakes.c. */
#include "measure.h"

const bool counts_wakes = true;
