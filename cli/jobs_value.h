/* SPDX-License-Identifier: MIT */
/* jobs_value.h - how many slots `-j` means. */
#ifndef CLI_JOBS_VALUE_H
#define CLI_JOBS_VALUE_H

#include "settings.h"

/* Reads N, N%, +N or -N into the fields `jobs...`; returns whether it is one of these. */
bool jobs_value_read(struct settings *settings, const char *value);

/* The same from settings->jobs_file, of which the first line counts. Returns false, and leaves the
 * settings as they were, if it cannot be read or says something else. */
bool jobs_file_read(struct settings *settings);

/* The CPUs that this process may use, as the library counts them for a pool; at least 1. */
unsigned jobs_cpus(void);

/* The number of slots, from 1 to MAX_SLOTS, on a machine of so many CPUs. */
unsigned jobs_slots(const struct settings *settings, unsigned cpus);

#endif
