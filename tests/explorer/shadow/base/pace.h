/* SPDX-License-Identifier: MIT */
/* pace.h - in the explorer: see src/base/pace.h. A thread sleeps as soon as it may, so that others
 * come in between there; what only takes time is left out. */
#ifndef WEIR_BASE_PACE_H
#define WEIR_BASE_PACE_H

enum { RING_BACKOFF = 16, RING_TELL = 8 };
enum { WORKER_LOOKS = 4, WORKER_LOOK_PAUSES = 256, WORKER_SHORT_GAP_NS = 5000 };
enum { LEAD = 32, LEAD_PAUSES = 128, LEAD_FROM = 8 * LEAD };

/* Submitters make a timed wait in a queue of two; where there is one place, they sleep at once. */
enum { ROOM_YIELDS = 3, ROOM_TIMED_NS = 100000, TIMED_FROM = 2 };
enum { DUE_TIMED_FROM = 2 };

enum { HELP_LOOKS = 8, HELP_PAUSES = 16 };

/* What is fetched further ahead would only be more steps. */
enum { FETCH_AHEAD = 1 };

/* A thread that finds a mutex held sleeps at once. */
enum { MUTEX_ROUNDS = 0, MUTEX_PAUSES = 128, MUTEX_LOOKS = 20 };

/* A call that yields would let its peer come before it sleeps, each time. */
enum { CHANNEL_YIELD_NS = 0, CHANNEL_STREAM = 16, CHANNEL_STREAM_PAUSES = 128 };

#endif
