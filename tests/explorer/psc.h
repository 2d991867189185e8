/* SPDX-License-Identifier: MIT */
/* psc.h - which operations that are sequentially consistent must come before which.
 *
 * In C11 as RC11 mends it (O. Lahav, V. Vafeiadis, J. Kang, C.-K. Hur and D. Dreyer, "Repairing
 * sequential consistency in C/C++11", 2017) they need not agree with the order in which they are
 * run here, nor with all of happens-before: only the relation psc must have no cycle. One of them
 * comes before another one if
 *
 *   - it is earlier in the same thread;
 *   - it happens-before it, and both are of one word; or on the way from one to the other there is
 *     an operation of another word in the first one's thread, and one of another word than the
 *     second's in the second one's thread (which may be the same);
 *   - it stores to a word what is earlier in the order of that word's stores than what the other
 *     stores;
 *   - it reads from a word what is earlier in that order than what the other stores (or is what
 *     the other overwrites).
 *
 * So a load that is sequentially consistent may miss a store that is, if it is only a relaxed
 * operation in between by which one could tell their order.
 *
 * Each operation has the set of those before it, as the last one of each thread. An operation that
 * acts on the newest store has nothing behind it, so it can close no cycle; one that does not may
 * put itself before older operations, whose sets then grow.
 */
#ifndef WEIR_TESTS_EXPLORER_PSC_H
#define WEIR_TESTS_EXPLORER_PSC_H

#include "base/atomic.h"
#include "scheduler.h"

/* A place in the order of a word's stores. */
typedef uint64_t rank;

/* A sequentially consistent operation; index 0: none. */
struct ref {
    uint8_t thread;
    uint16_t index; /* among those of its thread, from 1 on */
};

/* What a release carries: what happened before, and which sequentially consistent operations are
 * known by way of another word. */
struct message {
    struct clock clock, known;
};

/* One that is about to happen, or happens. */
struct psc_operation {
    const void *address;
    struct ref others;   /* the last one on the same word */
    struct ref source;   /* the store it reads from, if that is one */
    struct clock before; /* all that happens before it */
    rank read, written;  /* as far as it reads, as far as it writes */
    bool reads, writes;
};

static inline void message_join(struct message *into, const struct message *from)
{
    clock_join(&into->clock, &from->clock);
    clock_join(&into->known, &from->known);
}

void psc_reset(void);
void psc_begin_thread(const struct vthread *thread);
void psc_join(const struct vthread *thread);
/* The current thread is after all that was done. */
void psc_know_everything(void);

/* May the current thread do it? Only to be asked if it does not act on the newest store. */
bool psc_allows(const struct psc_operation *operation);
/* It does. */
struct ref psc_add(const struct psc_operation *operation);

/* The current thread looks at the clock and finds this time: it comes after all looks that found
 * an earlier one. C11 says nothing of clocks; context_state.c relies on it. */
void psc_look_at_clock(int64_t time);

/* The current thread does any operation on the word, lock or thread at `address`: `self` says
 * which, if it is sequentially consistent; it acquires that message, unless it is NULL. */
void psc_pass(const void *address, const struct message *acquired, struct ref self);
/* What the current thread releases now. */
struct message psc_release(void);

#endif
