/* SPDX-License-Identifier: MIT */
/* ledger.h - which tasks were submitted, and how each ended.
 *
 * Each task has an entry of its own. The submitter writes down whether it was accepted, the task
 * and the callbacks that they were called; at rest the ledger is checked against itself and against
 * the pool's counts: every accepted task ended exactly once, in a way that is possible, and no
 * refused one was ever touched.
 */
#ifndef WEIR_TESTS_STRESS_LEDGER_H
#define WEIR_TESTS_STRESS_LEDGER_H

#include <stdatomic.h>
#include <stdbool.h>

#include "weir.h"

typedef struct entry {
    /* By the submitter. */
    bool accepted;
    bool has_handle; /* on_done reports its end; of others, on_drop if they never start */
    bool of_group;   /* a refusal may be the group's, which the pool does not count */
    unsigned depth;  /* of nesting; 0: submitted from outside */
    uint64_t choice; /* the seed of what it does */
    int behaviour;
    void *more; /* for its behaviour */
    int refusal;
    struct line *line;           /* in which it runs, one at a time; or NULL */
    unsigned producer, sequence; /* its place there, among those of one producer; 0: none */
    unsigned way;                /* 1 + that of its gate, in ways.h; 0: it has none */
    weir_task handle;            /* of one that nobody need wait for */
    /* By the thread that ends it. */
    atomic_uint runs, drops, dones;
    atomic_bool over; /* it has returned, or was dropped */
    int returned;     /* what fn returned */
    weir_state told;  /* the end that a callback was given, and its status */
    int told_status;
    weir_context *kept; /* a reference that it took on its own context */
} entry;

enum { LEDGER_ROOM = 1 << 16 };

/* Forgets all entries. No thread may be using one. */
void ledger_clear(void);

/* An entry that no other thread has; NULL if the ledger is full. */
entry *ledger_take(void);
unsigned ledger_used(void);

/* Writes down what a submit returned. */
void ledger_submitted(entry *e, int err);

void ledger_run(entry *e);
void ledger_ran(entry *e, int returned);
weir_done_fn ledger_done;                                                  /* on_done */
void ledger_drop(weir_task_fn *fn, void *arg, weir_state why, void *user); /* on_drop */

/* Has an accepted task ended? To be asked once something was waited for that promises it. */
bool ledger_ended(const entry *e);

/* At rest: checks everything, and gives the references kept back. Prints what is wrong. */
bool ledger_check(const weir_pool_counts *counts, weir_overflow overflow);

/* Writes down that a promise was broken, for the test's own thread to see; prints the first few. */
void broken(const char *promise);
bool anything_broken(void);

/* What was covered, over all rounds. */
void ledger_print_totals(void);

#endif
