/* SPDX-License-Identifier: MIT */
#ifndef WEIR_OS_CPUS_H
#define WEIR_OS_CPUS_H

/* How many CPUs this process may use: the affinity of the calling thread, and what the quota of its
 * control groups allows, rounded up; at least 1. */
unsigned weir__usable_cpus(void);

#endif
