/* SPDX-License-Identifier: MIT */
/* choices.h - what decides what happens next, and how a run is written down and replayed.
 *
 * A run is a sequence of steps; at some of them there is more than one thing that may happen. The
 * first option is always to continue as if nothing else existed. All other choices are the
 * trace of the run, "step:kind value" for each deviation, for example "112t1,140v2".
 */
#ifndef WEIR_TESTS_EXPLORER_CHOICES_H
#define WEIR_TESTS_EXPLORER_CHOICES_H

#include <stdbool.h>
#include <stdint.h>

enum kind {
    KIND_THREAD = 't',   /* this thread runs on */
    KIND_CLOCK = 'c',    /* time passes, to the next instant that matters */
    KIND_SPURIOUS = 's', /* this thread's sleep ends for no reason */
    KIND_VALUE = 'v',    /* acts on the store that is so many stores old, not on the newest */
    KIND_FUTURE = 'f',   /* the load returns this value, which is stored only later */
};

struct option {
    char kind; /* enum kind */
    uint64_t value;
};

enum { MAX_OPTIONS = 24 };

/* How much may happen in one run that need not happen. */
struct bounds {
    int preemptions; /* switches away from a thread that could continue */
    int turns;       /* when a thread cannot go on, choices of another one than the next in turn */
    int stale;       /* steps that act on an older store than the newest, or on one to come */
    int spurious;    /* sleeps that end for no reason */
};

enum strategy {
    EXHAUSTIVE, /* depth first, everything within the bounds */
    SAMPLED,    /* at random within the bounds */
    NEAR,       /* likewise, but mostly around what choices_heat points out */
    PRIORITIES, /* random priorities with a few random changes */
    REPLAYED,   /* as a trace says */
    GIVEN,      /* as the bytes of an input say */
};

void choices_start(enum strategy strategy, struct bounds bounds, uint64_t seed);
/* Returns false for a trace that cannot be read. */
bool choices_replay(const char *trace);
/* `next_byte` returns the bytes of an input, and 0 for ever behind its end. They say in turn: which
 * of the options at this point, how many points to pass without a deviation. Where a thread cannot
 * go on, one byte says which one does. */
void choices_given(struct bounds bounds, unsigned (*next_byte)(void));
enum strategy choices_strategy(void);
/* May every point deviate, also one that no run has shown to matter? */
bool choices_everywhere(void);

/* Begins a run; `points`: how many points another thread may run at, as far as is known. */
void choices_begin_run(unsigned points);
/* After a run: is there another one? */
bool choices_next_run(void);

/* What happens now is of interest: NEAR deviates in the next few decisions more than elsewhere. */
void choices_heat(void);

/* REPLAYED: does the trace want a value that is still to come from the load at `step`? */
bool choices_wants_future(uint32_t step, uint64_t *ret_value);

/* Is one more deviation of this kind allowed in this run? */
bool choices_allow(enum kind kind);
bool choices_allow_turn(void);

/* Picks one of n >= 1 options at `step`, which grows. `forced`: the first option is no default, the
 * current thread cannot go on. */
unsigned choose(uint32_t step, const struct option options[], unsigned n, bool forced);

/* The trace of the current run, in a buffer that the next call overwrites. */
const char *choices_trace(void);

#endif
