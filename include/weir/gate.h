/* SPDX-License-Identifier: MIT */
/* weir/gate.h - tasks that wait for permits, tokens or a breaker without keeping a worker.
 *
 *     weir_gate_init(&gate, WEIR_GATE_OPTIONS(.semaphore = &connections, .limiter = &per_second));
 *     err = weir_pool_submit_task(pool, &task, call_api, arg, WEIR_TASK_OPTIONS(.gate = &gate));
 *
 * The task is queued once its gate lets it in. Until then it is QUEUED, but in one of the places
 * for delayed tasks (the pool's option `timers`), which it keeps until it has ended. So thousands
 * of tasks, of which three may run at a time and a hundred start in a second, need no more workers
 * than three, and the other tasks of the pool never wait for them.
 *
 * Tasks are let in in the order in which they came to the gate, one after the other:
 *
 *   1. permits of the semaphore, in its order of arrival, in which the gate stands for its first
 *      task; the task holds them until it has ended;
 *   2. tokens of the limiter, which the first task takes ahead, as weir_limiter_wait does; until
 *      they have come the gate keeps the permits;
 *   3. the breaker. While that refuses, the permits go back; it is asked again when it may become
 *      half open, or when a probe that is out becomes void. When the task has ended it is told its
 *      status, as by weir_breaker_record.
 *
 * A task that ends without having started, cancelled, expired or dropped, gives everything back:
 * the permits; the tokens to the next task of the gate if they were not used yet, else as far as
 * weir_limiter_wait promises; and the breaker's probe. A task that is submitted with a time
 * (timer.h) comes to the gate at that time, and one that is retried (retry.h) for each attempt: it
 * holds nothing during its pauses.
 *
 * A submit with a gate never blocks, whatever the pool's overflow policy: it is -EAGAIN when no
 * place is free. weir_pool_submit_every takes no gate: -EINVAL. A task that waits at its gate ends
 * at once, whatever its turn: by weir_task_cancel on the caller's thread; by `start_by`, or when
 * its context (weir_pool_submit_task_until) is cancelled or its deadline passes, on the thread of
 * the pool's timers, which calls on_done (timer.h).
 *
 * A semaphore, limiter or breaker may be shared by gates, and with direct calls. Of a breaker that
 * is shared a gate may learn late, by the breaker's `open_for` at most, that others have closed it;
 * and of a rate of the limiter that was 0 not at all: for these there is weir_gate_look. Tokens
 * that were taken ahead come when they were to come, whatever the rate is then (limiter.h).
 *
 * Ownership: the caller's memory, and so are the three objects, which must outlive it. Nothing is
 * allocated.
 * Thread-safety: every call but init and destroy may be made by any number of threads at once, from
 * tasks and callbacks too. What gives something back may let tasks in, so the breaker's on_change
 * may be called on a worker, on the thread of a pool's timers, and in weir_semaphore_release. One
 * thread at a time does so, and goes on as long as others bring tasks that may start: where many
 * threads submit to a gate that holds none of them up, a call may let in thousands.
 * A thread that is stopped for ever in a call that has to do with a gate (a submit with it, a
 * release of its permits, a cancel or the end of a task behind it), or in a weir_context_cancel, of
 * any context, may hold up all that has to do with this gate; in the pools of its tasks also
 * submits, cancels and ends of other tasks with a gate or a time, and workers that come to such an
 * end. Other tasks are submitted and start there as ever, as long as a worker is left.
 * After fork(), in the child: a submit with it is -ESTALE; init makes it anew.
 */
#ifndef WEIR_GATE_H
#define WEIR_GATE_H

#include "breaker.h"
#include "limiter.h"
#include "semaphore.h"
#include "task.h"

WEIR_BEGIN_DECLS

struct weir_gate {
    uint64_t words_[64];
};

typedef struct weir_gate_options {
    size_t size;               /* filled by WEIR_GATE_OPTIONS or weir_gate_options_init */
    weir_semaphore *semaphore; /* 0: none, as the next two */
    weir_limiter *limiter;
    weir_breaker *breaker;
    uint32_t permits; /* of the semaphore, for each task; at most all that it has; 0: 1 */
    uint32_t tokens;  /* of the limiter, for each run; at most its burst; 0: 1 */
} weir_gate_options;

/* A pointer to options with the fields named set and the others default (C only). */
#define WEIR_GATE_OPTIONS(...)                                                                     \
    (&(weir_gate_options){.size = sizeof(weir_gate_options), __VA_ARGS__})
/* The same for C++ and for options that are filled step by step. */
WEIR_API void weir_gate_options_init(weir_gate_options *options);
/* What is wrong with them, or NULL: see weir_pool_options_error. */
WEIR_API const char *weir_gate_options_error(const weir_gate_options *options);

/* Makes a gate. NULL options: it lets every task in at once. Never blocks. Not while it is in use.
 * Returns 0; -EINVAL (`gate` is NULL; more permits or tokens than there ever are; permits without a
 * semaphore, tokens without a limiter; one of the three was never made, or the limiter's burst is
 * 0; options of a size that never was); -E2BIG. */
WEIR_API WEIR_NODISCARD int weir_gate_init(weir_gate *gate, const weir_gate_options *options);

/* Ends its use: from now on a submit with it is -EINVAL. NULL, and a gate that was never made, are
 * fine. Blocks while another thread is in a call on it that began before the last task had ended,
 * for a short time: so not from the breaker's on_change. For calls of weir_gate_look and
 * weir_gate_waiting it does not wait: none may be under way, or come later.
 * Misuse that aborts: a task is behind it. A task is not any more once it has ended: from its
 * on_done on, and when a wait for it has returned. */
WEIR_API void weir_gate_destroy(weir_gate *gate);

/* Looks again whether the first task may start, now that something has changed that the gate cannot
 * know: see above. Lets in all that may. NULL is fine. Does not block, but for short internal locks
 * and the breaker's on_change. Not from a signal handler. */
WEIR_API void weir_gate_look(weir_gate *gate);

/* How many tasks wait at the gate. 0 for NULL. Blocks for a short internal lock only. */
WEIR_API size_t weir_gate_waiting(const weir_gate *gate);

WEIR_END_DECLS

#endif
