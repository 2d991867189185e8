/* SPDX-License-Identifier: MIT */
/* litmus.h - programs of a few operations on atomic words, of which all runs are made that the
 * explorer's model has, and what can come out.
 *
 * A program is two to four threads and an outcome. Either the outcome comes out in some run, or it
 * never does. Of a program whose outcome never comes out each order is then made weaker, one at a
 * time, if it `needs` them: each must show the outcome, but for those it says it could spare.
 */
#ifndef WEIR_TESTS_LITMUS_H
#define WEIR_TESTS_LITMUS_H

#include "base/atomic.h"

enum { LITMUS_THREADS = 4, LITMUS_WORDS = 4, LITMUS_RESULTS = 6, LITMUS_SPARE = 8 };

struct litmus {
    const char *name;
    enum { NEVER, SOMETIMES } verdict;
    bool needs;
    void (*threads[LITMUS_THREADS])(void);
    bool (*outcome)(void);
    /* "function operation n -> order", as in tests/explorer/orders.txt */
    const char *spare[LITMUS_SPARE];
};

/* Lists that end with an empty entry. */
extern const struct litmus litmus_model[], litmus_eventcount[], litmus_ring[], litmus_slot[],
    litmus_freelist[], litmus_quiet[], litmus_mutex[], litmus_deque[];

/* The words, 0 at first, and what threads have found. */
extern atomic(uint64_t) litmus_words[LITMUS_WORDS];
extern uint64_t litmus_results[LITMUS_RESULTS];

/* A CAS that succeeds: from `from` to `to`. */
#define litmus_cas(cas, word, from, to)                                                            \
    __extension__({                                                                                \
        uint64_t expected_ = (from);                                                               \
        cas((word), &expected_, (to));                                                             \
    })

#endif
