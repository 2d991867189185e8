/* SPDX-License-Identifier: MIT */
/* history.h - recorded histories of a bounded FIFO queue, or of a deque, and whether they are
 * linearizable.
 *
 * A history says of each operation between which two instants it happened and what it returned. It
 * is linearizable (M. Herlihy and J. Wing, "Linearizability", 1990) if each operation can be given
 * one instant between its two, so that a plain queue, asked in that order, returns the same.
 */
#ifndef WEIR_TESTS_STRESS_HISTORY_H
#define WEIR_TESTS_STRESS_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { HISTORY_ROOM = 64, HISTORY_DEEPEST_QUEUE = 8 };

typedef struct operation {
    uint64_t called, returned; /* all instants differ */
    uint8_t value;             /* not 0; of a push, or of a pop that returned one */
    bool is_push;
    bool succeeded; /* if not: the queue was full (empty) */
    int after;      /* an operation that is earlier by the order of its thread, or -1 */
    bool newest;    /* a pop of what was pushed last; else of what was pushed first */
} operation;

typedef struct history {
    size_t capacity; /* of the queue; it is empty at the start */
    size_t count;
    operation operations[HISTORY_ROOM];
} history;

/* Exact: searches all orders, each (set of operations, content of the queue) once, as in J. Wing
 * and C. Gong, "Testing and verifying concurrent objects", 1993. */
bool history_is_linearizable(const history *h);

/* Prints it in the order of the calls. */
void history_print(const history *h);

#endif
