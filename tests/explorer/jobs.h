/* SPDX-License-Identifier: MIT */
/* jobs.h - pieces of work, done by as many processes as there are CPUs.
 *
 * A process that works on a piece starts from what the parent had in memory, and what it changes is
 * its own; results go into memory from jobs_memory. What a piece prints comes out in one.
 */
#ifndef WEIR_TESTS_EXPLORER_JOBS_H
#define WEIR_TESTS_EXPLORER_JOBS_H

#include <stddef.h>

/* Memory that all processes share, zeroed. Ends the program if there is none. */
void *jobs_memory(size_t size);

/* Calls `work` for 0 <= piece < n, the first ones first, each in one of the processes. A process
 * that crashes leaves its piece undone. */
void jobs_run(unsigned n, void (*work)(unsigned piece, void *arg), void *arg);

/* Between these two no other process prints. */
void jobs_print_begin(void);
void jobs_print_end(void);

#endif
