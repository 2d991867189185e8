/* SPDX-License-Identifier: MIT */
/* probe_usdt.c - the semaphores of the probes: tools find them by the notes, and write them. */
#include "os/probe.h"

PROBE_SEMAPHORE(task_submit);
PROBE_SEMAPHORE(task_reject);
PROBE_SEMAPHORE(task_start);
extern PROBE_SEMAPHORE(task_end) __attribute__((alias("weir_task_start_semaphore")));
PROBE_SEMAPHORE(worker_park);
PROBE_SEMAPHORE(worker_wake);
PROBE_SEMAPHORE(breaker_change);
PROBE_SEMAPHORE(retry);
