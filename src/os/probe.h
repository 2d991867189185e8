/* SPDX-License-Identifier: MIT */
/* probe.h - static probes (USDT), for bpftrace, perf, SystemTap and gdb.
 *
 * A probe is a nop, and a note in the binary that says where it is and where its arguments are. Its
 * semaphore is a counter that a tool raises while it is attached. So where no tool is, a probe is a
 * load of that counter and a branch, and its arguments are not worked out.
 *
 *   task_submit     pool, fn, arg               a task was accepted; the task may have run by now
 *   task_reject     pool, error                 it was not
 *   task_start      pool, fn, wait              ns since its submit
 *   task_end        pool, fn, run, end, status  ns since its start; weir_state; its status
 *   worker_park     pool, index                 a worker goes to sleep for want of tasks
 *   worker_wake     pool, index                 and is awake again
 *   breaker_change  breaker, from, to           weir_breaker_state
 *   retry           pool, status, pause         an attempt failed, and there will be another one
 *                                               after so many ns; pool is 0 in weir_retry
 *
 * task_start and task_end have one semaphore: either makes the submits note the time. So tasks that
 * were queued before a tool was attached are mostly left out there.
 */
#ifndef WEIR_OS_PROBE_H
#define WEIR_OS_PROBE_H

#include <stdint.h>

#include "base/assert.h"

#ifdef WEIR_USDT

#define _SDT_HAS_SEMAPHORES 1 /* NOLINT(*-reserved-identifier,cert-*): the name of the tool */
#include <sys/sdt.h>

#define PROBE_SEMAPHORE(name)                                                                      \
    volatile unsigned short weir_##name##_semaphore                                                \
        __attribute__((section(".probes"), visibility("hidden")))

extern PROBE_SEMAPHORE(task_submit);
extern PROBE_SEMAPHORE(task_reject);
extern PROBE_SEMAPHORE(task_start);
extern PROBE_SEMAPHORE(task_end);
extern PROBE_SEMAPHORE(worker_park);
extern PROBE_SEMAPHORE(worker_wake);
extern PROBE_SEMAPHORE(breaker_change);
extern PROBE_SEMAPHORE(retry);

/* Is a tool attached? */
#define probe_wanted(name) unlikely(weir_##name##_semaphore != 0)

#define PROBE(n, name, ...)                                                                        \
    do {                                                                                           \
        if (probe_wanted(name))                                                                    \
            STAP_PROBE##n(weir, name, __VA_ARGS__);                                                \
    } while (0)

/* With so many arguments, integers or addresses. */
#define PROBE2(name, a, b) PROBE(2, name, (intptr_t)(a), (intptr_t)(b))
#define PROBE3(name, a, b, c) PROBE(3, name, (intptr_t)(a), (intptr_t)(b), (intptr_t)(c))
#define PROBE5(name, a, b, c, d, e)                                                                \
    PROBE(5, name, (intptr_t)(a), (intptr_t)(b), (intptr_t)(c), (intptr_t)(d), (intptr_t)(e))

#else

/* Nothing is evaluated. */
#define probe_wanted(name) 0
#define PROBE2(name, a, b) ((void)sizeof((intptr_t)(a)), (void)sizeof((intptr_t)(b)))
#define PROBE3(name, a, b, c) (PROBE2(name, a, b), (void)sizeof((intptr_t)(c)))
#define PROBE5(name, a, b, c, d, e) (PROBE3(name, a, b, c), PROBE2(name, d, e))

#endif

#endif
