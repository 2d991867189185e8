/* SPDX-License-Identifier: MIT */
/* probe_none.c - without probes there are no semaphores. */
#include "os/probe.h"
