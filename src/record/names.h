/* SPDX-License-Identifier: MIT */
/* names.h - times of tasks by their names, for the commonest of those that are measured.
 *
 * A bounded table in sets of four. A name that finds no place takes a credit off the one in its set
 * that has the fewest, and its place when they are used up (J. Misra and D. Gries, "Finding
 * repeated elements", 1982): so names that come again and again stay, and those that come once each
 * do not push them out. What is pushed out, or finds no place, is added to `others`: no time is
 * lost.
 *
 * One writer at a time: the worker whose table it is, or, of the table that all other threads
 * share, the one that finds it free; a thread that does not adds to `others`, rather than wait.
 * Readers at any time, by the protocol of activity.h: the fields of an entry are changed only while
 * its state says that it is empty. Its sums grow one by one meanwhile.
 */
#ifndef WEIR_RECORD_NAMES_H
#define WEIR_RECORD_NAMES_H

#include "record/histogram.h"

enum { NAMES_SETS = 8, NAMES_WAYS = 4, NAMES_WORDS = 8 };

/* What the runs of a name sum up to, each with its weight. */
struct name_sums {
    atomic(uint64_t) count, wait, run;
    atomic(uint64_t) cpu, cpu_run; /* CPU time where it was read, and the time of these runs */
};

struct name_entry {
    _Alignas(CACHE_LINE) atomic(uint64_t) state; /* grows with each change; even: empty */
    atomic(uintptr_t) fn;
    struct name_sums sums;
    uint32_t credits;                   /* the writer's */
    atomic(uint64_t) text[NAMES_WORDS]; /* zero: it has none, and `fn` tells */
};

struct names {
    atomic(uint32_t) busy; /* of the shared one */
    bool shared;           /* constant */
    struct name_sums others;
    struct name_entry entries[NAMES_SETS * NAMES_WAYS];
};

/* What is known of a run that has ended. */
struct name_run {
    uintptr_t fn;
    uint64_t text[NAMES_WORDS]; /* zero behind the NUL, and all of it if there is no name */
    uint64_t weight, wait, run;
    uint64_t cpu; /* if it was read, and then plus 1 */
};

void weir__names_note(struct names *names, const struct name_run *run);

/* Sums that are nobody's. */
struct name_view {
    uintptr_t fn;
    uint64_t text[NAMES_WORDS];
    uint64_t count, wait, run, cpu, cpu_run;
};

void weir__names_read_sums(const struct name_sums *sums, struct name_view *ret);
/* False: it is empty, or just changes. */
bool weir__names_read(const struct name_entry *entry, struct name_view *ret);

#endif
