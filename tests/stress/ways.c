/* SPDX-License-Identifier: MIT */
/* ways.c - three gates for the tasks of a round, and the books of what stands behind them. */
#include "ways.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "ledger.h"

enum {
    PERMITS = 5,
    TOKENS = 3, /* of way 0, for each task */
    BURST = TOKENS * LEDGER_ROOM,
    RATE = 200000, /* of way 2, a second */
    RATE_BURST = 4,
};

static const unsigned permits_of[WAYS] = {2, 1, 0};

static struct {
    weir_gate gates[WAYS];
    weir_semaphore permits;
    weir_limiter bucket, stream;
    weir_breaker steady, fickle;
    int64_t began;
    atomic_uint in_use; /* permits */
    atomic_uint accepted[WAYS], started[WAYS];
    atomic_uint succeeded, failed; /* on way 0 */
} the;

static void make_gate(unsigned way, const weir_gate_options *options)
{
    if (weir_gate_init(&the.gates[way], options) != 0)
        abort();
}

void ways_make(void)
{
    the.began = weir_now();
    if (weir_semaphore_init(&the.permits, PERMITS) != 0 ||
        weir_limiter_init(&the.bucket, 0, BURST) != 0 ||
        weir_limiter_init(&the.stream, RATE, RATE_BURST) != 0 ||
        weir_breaker_init(&the.steady, WEIR_BREAKER_OPTIONS(.window = 1024, .minimum_calls = 1024,
                                                            .failure_ratio = 1)) != 0 ||
        weir_breaker_init(&the.fickle, WEIR_BREAKER_OPTIONS(.window = 4, .minimum_calls = 2,
                                                            .open_for = WEIR_US(100),
                                                            .half_open_calls = 2)) != 0)
        abort();
    make_gate(0,
              WEIR_GATE_OPTIONS(.semaphore = &the.permits, .permits = permits_of[0],
                                .limiter = &the.bucket, .tokens = TOKENS, .breaker = &the.steady));
    make_gate(1, WEIR_GATE_OPTIONS(.semaphore = &the.permits, .breaker = &the.fickle));
    make_gate(2, WEIR_GATE_OPTIONS(.limiter = &the.stream, .breaker = &the.fickle));
    for (unsigned way = 0; way < WAYS; way++) {
        atomic_store(&the.accepted[way], 0);
        atomic_store(&the.started[way], 0);
    }
    atomic_store(&the.succeeded, 0);
    atomic_store(&the.failed, 0);
}

weir_gate *way_gate(unsigned way)
{
    return &the.gates[way];
}

static void use_permits(unsigned n)
{
    if (atomic_fetch_add(&the.in_use, n) + n > PERMITS)
        broken("more permits are in use than there are");
}

void way_accepted(unsigned way)
{
    atomic_fetch_add(&the.accepted[way], 1);
}

void way_enter(unsigned way)
{
    atomic_fetch_add(&the.started[way], 1);
    use_permits(permits_of[way]);
}

void way_leave(unsigned way, int status)
{
    atomic_fetch_sub(&the.in_use, permits_of[way]);
    if (way == 0 && status != -ECANCELED)
        atomic_fetch_add(status == 0 ? &the.succeeded : &the.failed, 1);
}

void ways_disturb(dice *d)
{
    unsigned n = 1 + dice_below(d, PERMITS);
    if (weir_semaphore_try_acquire(&the.permits, n) == 0) {
        use_permits(n);
        (void)sched_yield();
        atomic_fetch_sub(&the.in_use, n);
        weir_semaphore_release(&the.permits, n);
    }
    weir_gate_look(&the.gates[dice_below(d, WAYS)]);
}

static void check_books(void)
{
    uint64_t taken = BURST - (uint64_t)weir_limiter_tokens(&the.bucket);
    uint64_t let_by = RATE_BURST + (uint64_t)(weir_now() - the.began) / (WEIR_S(1) / RATE);
    weir_breaker_counts counts;
    weir_breaker_read_counts(&the.steady, &counts);
    if (atomic_load(&the.in_use) != 0 || weir_semaphore_available(&the.permits) != PERMITS ||
        weir_semaphore_waiting(&the.permits) != 0)
        broken("permits of a gate were lost");
    if (taken < (uint64_t)TOKENS * atomic_load(&the.started[0]) ||
        taken > (uint64_t)TOKENS * atomic_load(&the.accepted[0]))
        broken("a gate took too few tokens, or too many");
    if (atomic_load(&the.started[2]) > let_by)
        broken("tasks came through a gate faster than tokens");
    if (counts.succeeded != atomic_load(&the.succeeded) ||
        counts.failed != atomic_load(&the.failed) || counts.opened != 0)
        broken("a breaker was not told the end of each task once");
    if (counts.allowed < atomic_load(&the.started[0]) ||
        counts.allowed > atomic_load(&the.accepted[0]))
        broken("a breaker was not asked once for each task");
}

void ways_unmake(void)
{
    for (unsigned way = 0; way < WAYS; way++) {
        if (weir_gate_waiting(&the.gates[way]) != 0)
            broken("a task that has ended waits at a gate");
        weir_gate_destroy(&the.gates[way]); /* waits for a thread that still looks */
    }
    check_books();
    weir_semaphore_destroy(&the.permits);
}
