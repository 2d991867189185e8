/* SPDX-License-Identifier: MIT */
/* programs.h - what an input can make the library do.
 *
 * All but `traffic` are sequences of calls by one thread, each checked against a model of what it
 * must return and of what must be seen afterwards, whatever the schedule of the workers. `traffic`
 * lets several threads call at once, and checks that every task had one end. */
#ifndef WEIR_TESTS_FUZZ_PROGRAMS_H
#define WEIR_TESTS_FUZZ_PROGRAMS_H

struct program {
    const char *name;
    void (*run)(void); /* as thread 0 of a run of the explorer */
};

extern const struct program programs[];

void ring_program(void);
void context_program(void);
void pool_program(void);
void serial_program(void);
void gate_program(void);
void traffic_program(void);

extern unsigned long calls; /* made by all programs */

#endif
