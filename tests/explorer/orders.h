/* SPDX-License-Identifier: MIT */
/* orders.h - every memory order of the library is made weaker, one at a time: which scenario
 * notices? The answers are a file, one line for each mutant (see sites.h):
 *
 *     MUTANT: killed by "SCENARIO" (PASS, RUNS)
 *     MUTANT: survives: REASON
 *
 * Two that survive alone, of one protocol, may not survive together. Those pairs have lines too:
 *
 *     MUTANT & MUTANT: killed by "SCENARIO" (PASS, RUNS)
 */
#ifndef WEIR_TESTS_EXPLORER_ORDERS_H
#define WEIR_TESTS_EXPLORER_ORDERS_H

#include "scenario.h"

/* How hard a mutant is tried: in how many of a hunt's passes, and in how many scenarios: those that
 * are most about its site. */
struct effort {
    unsigned passes, scenarios;
};

/* A scenario list is ended by NULL. Each returns an exit code. */

/* The file and the program have the same mutants; each that the file calls killed is killed, by the
 * scenario that it names. */
int orders_check(const struct scenario *const list[], const char *file);
/* Each mutant that the file says survives does so in every scenario that comes to it; and so does
 * each pair of them, of one protocol, that the file does not have. */
int orders_check_survivors(const struct scenario *const list[], const char *file);
/* Writes the file anew. What is in it is tried first, and the reasons are kept. */
int orders_write(const struct scenario *const list[], const char *file, struct effort effort);

#endif
