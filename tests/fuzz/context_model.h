/* SPDX-License-Identifier: MIT */
/* context_model.h - what contexts must be: when each is over, and why.
 *
 * Unlike the library, which writes down what happened and works out the rest when it is asked, the
 * model keeps an answer for each context and changes it when something happens. */
#ifndef WEIR_TESTS_FUZZ_CONTEXT_MODEL_H
#define WEIR_TESTS_FUZZ_CONTEXT_MODEL_H

#include <stdint.h>

enum { MAX_CONTEXTS = 16, NO_CONTEXT = -1 };

struct context_model {
    int parent; /* index, or NO_CONTEXT */
    int64_t deadline;
    int err, cause; /* 0, 0: not over */
    int64_t over_at;
};

extern struct context_model contexts[MAX_CONTEXTS];

void contexts_forget(void);
/* Adds one, at time `now`; returns its index, or NO_CONTEXT if there is no room. */
int context_add(int parent, int64_t deadline, int64_t now);
void context_cancelled(int index, int cause, int64_t now);
/* It is `now`: deadlines pass. */
void contexts_pass_time(int64_t now);
/* The first deadline of one that is not over, or WEIR_FOREVER. */
int64_t contexts_next_time(void);
/* 0 for NO_CONTEXT. */
int context_err(int index);
int64_t context_deadline(int index);

#endif
