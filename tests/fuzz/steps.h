/* SPDX-License-Identifier: MIT */
/* steps.h - the loop of a program that makes one call after the other, and compares after each. */
#ifndef WEIR_TESTS_FUZZ_STEPS_H
#define WEIR_TESTS_FUZZ_STEPS_H

#include <stdbool.h>

struct step {
    const char *name;
    void (*take)(void);
};

#define STEP(function)                                                                             \
    {                                                                                              \
#function, function                                                                        \
    }

/* Takes steps that the input chooses among the `n`, `most` of them, as long as there is input and
 * room for what a step makes; `compare` is called after each. */
void take_steps(const struct step steps[], unsigned n, unsigned most, bool (*room)(void),
                void (*compare)(void));

#endif
