/* SPDX-License-Identifier: MIT */
/* pace.h - every number by which a thread holds back: pauses, yields, and looks before a sleep.
 *
 * None of them changes what a call does, only how fast threads get on that work on the same words.
 * Beside each is what it is worth: a workload of bench/run, and how much longer that takes without
 * it. docs/performance.md has the whole table. They were measured on two cores of x86-64, where a
 * pause takes some 15 to 40 ns. The explorer has a copy of this file with other numbers, for it
 * explores orders and not times.
 */
#ifndef WEIR_BASE_PACE_H
#define WEIR_BASE_PACE_H

/* The ring. */
enum {
    RING_BACKOFF = 16, /* pauses after a lost CAS; the ring, 8 threads a side: 1.24 */
    RING_TELL = 8, /* a worker stores the hint `head` once in so many pops; W9, far cores: 1.31 */
};

/* Workers, before they park. */
enum {
    WORKER_LOOKS = 4,           /* where there are as many CPUs as workers; W8: 2.7 */
    WORKER_LOOK_PAUSES = 256,   /* before each: a look takes a submitter's line; W8: 1.9 */
    WORKER_SHORT_GAP_NS = 5000, /* wakes closer than that: yield once before parking; W7: 25 */
};

/* A head start for the submitters. Workers right behind them take lines that they are about to
 * write, and neither side makes progress. So after each LEAD tasks in a row a worker looks whether
 * as many are queued; if not, it pauses, unless its own tasks submit. A queue shorter than
 * LEAD_FROM would be full by then. W7: 1.5. */
enum { LEAD = 32, LEAD_PAUSES = 128, LEAD_FROM = 8 * LEAD };

/* Submitters that find the pool full yield. Then they make a timed wait, during which they are not
 * woken for each place that becomes free; from a capacity of TIMED_FROM on. W1 without both: 34. */
enum { ROOM_YIELDS = 3, ROOM_TIMED_NS = 100000, TIMED_FROM = 32 };

/* The clock's thread waits like that, again and again, while tasks are due and have no room; a
 * shorter queue would be empty by then. 20,000 that are due at once, 1024 places: 1.4. */
enum { DUE_TIMED_FROM = 128 };

/* A wait that runs tasks spins before it sleeps, for some two microseconds in all. W9: 1.2. */
enum { HELP_LOOKS = 8, HELP_PAUSES = 16 };

/* Slots are fetched into the cache so many tasks before they are needed. W2: 1.4. */
enum { FETCH_AHEAD = 4 };

/* A mutex that is held: this many rounds, each of pauses and then looks, before a sleep.
 * A channel of 8: 2.2. */
enum { MUTEX_ROUNDS = 4, MUTEX_PAUSES = 128, MUTEX_LOOKS = 20 };

/* Channels. A call yields for so long before it sleeps: a sleep and a wake take as long, and a peer
 * has mostly come by then. By the clock, since one yield may last a whole time slice. A side that
 * did STREAM elements since the ring was last full, or empty, pauses once before it waits.
 * A rendezvous: 36; a channel of 1000: 1.3. */
enum { CHANNEL_YIELD_NS = 20000, CHANNEL_STREAM = 16, CHANNEL_STREAM_PAUSES = 128 };

#endif
