/* SPDX-License-Identifier: MIT */
/* serial_work.h - the tasks of a serial: in, out, and run in their order. */
#ifndef WEIR_POOL_SERIAL_WORK_H
#define WEIR_POOL_SERIAL_WORK_H

#include "pool/task.h"

extern const struct sink_ops weir__turn_sink; /* of serial->sink */
extern const struct sink_ops weir__serial_task_sink;

/* Is this thread at work on the serial? Then it must not wait for what comes later there. */
bool weir__inside_serial(const struct serial *serial);

/* Adds the task of the job at the end; the serial is somewhere. */
void weir__serial_append_locked(struct serial *serial, const struct job *job);
/* To be called after each change of what is queued or runs: gets, keeps or gives up its place. */
void weir__serial_settle_locked(struct serial *serial);

/* Is the task in the list? */
bool weir__serial_has(struct serial *serial, const struct task *task);
/* Takes out the task, or the first one if that is NULL, which had to start by `by` (INT64_MAX:
 * whenever). True: it is the caller's to be ended, by the next call. */
bool weir__serial_take_out(struct serial *serial, const struct task *task, int64_t by,
                           struct job *ret);
/* Ends it as CANCELLED or EXPIRED, and lets go of the serial. */
void weir__serial_end(struct serial *serial, const struct job *job, weir_state why);

/* A thread that runs tasks of a serial: it has begun, and now runs `most` or `first`; and more, if
 * the serial has no other place to go on (serial_state.h, I1). */
struct turn {
    struct hold hold;
    struct host *host;
    bool runs; /* it is counted as one that does */
};
void weir__serial_begin_locked(struct serial *serial, struct turn *turn);
void weir__serial_run(struct turn *turn, const struct job *first, uint32_t most);

/* A thread that waits, and runs tasks of the serial meanwhile in their order: takes the first one,
 * if it may, for the next call. False: it is woken when it may, or `task`, for which it waits, is
 * not in the list. */
bool weir__serial_help(struct serial *serial, const struct task *task, struct job *ret);
void weir__serial_run_helping(struct serial *serial, const struct job *job);
/* The same under the mutex, for a `task` in the list or NULL; after true comes the next call. */
bool weir__serial_help_locked(struct serial *serial, const struct task *task, struct job *ret);
/* A task has left the list. */
void weir__serial_give_room(const struct serial *serial);

/* Blocks until over(serial), which is asked under the mutex, running tasks of it meanwhile if this
 * thread helps. Returns as weir__wait_until. */
int weir__serial_wait(struct told told, struct serial *serial, const void *key,
                      bool (*over_locked)(const struct serial *serial), weir_context *ctx,
                      int64_t deadline);

#endif
