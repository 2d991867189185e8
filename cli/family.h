/* SPDX-License-Identifier: MIT */
/* family.h - what a job has left behind. */
#ifndef CLI_FAMILY_H
#define CLI_FAMILY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Sends SIGKILL to the group of `leader`, and to every process that descends from it. The leader
 * must not have been reaped. */
void family_kill(pid_t leader, uint64_t seq);

/* Blocks until none of them is left but the leader, which has ended: those that are left at
 * `kill_at` are killed. Returns whether it came to that; after some seconds it gives up. */
bool family_end(pid_t leader, uint64_t seq, int64_t kill_at);

/* Reaps what has come to weir as an orphan and has ended. Only the first thread of the process may
 * call it: the children that workers wait for are not among those of this thread. */
void family_reap_orphans(void);

#endif
