/* SPDX-License-Identifier: MIT */
/* measure.h - what the programs of the comparison share beside common.h: tallies that tasks write
 * and the main thread adds up, memory, work of a known length, and the lines they print. */
#ifndef BENCH_PEERS_MEASURE_H
#define BENCH_PEERS_MEASURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What one thread has run. Each has its own, on a line of its own, so that tasks do not contend
 * where the pools do not. */
struct tally {
    _Alignas(64) uint64_t count;
    uint64_t sum;
};

extern _Thread_local struct tally *own_tally;

/* Gives the calling thread a tally. */
struct tally *tally_take(void);

/* Counts one task that was given `value`. */
static inline void tally_add(uint64_t value)
{
    struct tally *tally = own_tally;
    if (tally == NULL)
        tally = tally_take();
    /* One writer; the reader looks on while a pool that cannot be waited for is at work. */
    __atomic_store_n(&tally->sum, tally->sum + value, __ATOMIC_RELAXED);
    __atomic_store_n(&tally->count, tally->count + 1, __ATOMIC_RELEASE);
}

/* All tallies together; a count that has been read covers the sums that it counts. */
struct tally tally_read(void);
void tally_reset(void);

/* Sleeps and looks until `count` tasks have run. */
void tally_await(uint64_t count);

/* Checks the number of tasks and the sum of their values, and says what is wrong. */
void tally_check(uint64_t count, uint64_t sum);

/* Resident memory now, and the most since the last reset, in bytes. */
uint64_t memory_resident(void);
void memory_reset_peak(void);
uint64_t memory_peak(void);

/* A chain of dependent multiplications, as long as `steps`; it takes the same time on each run
 * however the caller was compiled. */
uint64_t work(uint64_t seed, uint64_t steps);

/* How many steps take `ns`, as measured now on an undisturbed stretch of this thread. */
uint64_t work_steps(double ns);

/* fib(n) without a pool, and how many calls of the recursive form that takes. */
uint64_t fib_value(unsigned n);
uint64_t fib_calls(unsigned n);

/* Prints one line: a metric's name and its value. */
void print_metric(const char *name, double value);

/* Prints p50, p99 and p99.9 of `n` delays in ns, as microseconds; sorts them. */
void print_delays(double delays[], size_t n);

/* Says why the peer cannot run the workload and ends the program. */
_Noreturn void cannot(const char *why);

/* Ends the program after `seconds` if nobody else does. */
void end_after(unsigned seconds);

/* true: this program has the functions that count wakes (see wakes.h). */
extern const bool counts_wakes;

#endif
