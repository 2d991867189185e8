/* SPDX-License-Identifier: MIT */
/* family.h - what a job has left behind. */
#ifndef CLI_FAMILY_H
#define CLI_FAMILY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Sends SIGKILL to the group of `leader`, and to every process that descends from it. The leader
 * must not have been reaped. */
void family_kill(pid_t leader, uint64_t seq);

/* Blocks until none of them is left but the leader, which has ended; but not beyond `deadline`, nor
 * once `nudge` can be read. Returns how many are left. */
size_t family_wait(pid_t leader, uint64_t seq, int64_t deadline, int nudge);

/* Reaps what has come to weir as an orphan and has ended. Only the first thread of the process may
 * call it: the children that workers wait for are not among those of this thread. */
void family_reap_orphans(void);

#endif
