/* SPDX-License-Identifier: MIT */
/* stop.h - how a run ends before its input does, step by step: start nothing more, SIGTERM to what
 * runs, SIGKILL. A step is never taken back; the first reason to stop is the one that counts.
 */
#ifndef CLI_STOP_H
#define CLI_STOP_H

#include "slots.h"
#include "weir/context.h"

enum stop_level { STOP_NOT, STOP_SOON, STOP_TERM, STOP_KILL };
enum stop_reason { STOP_NO_REASON, STOP_SIGNAL, STOP_DEADLINE, STOP_HALT, STOP_OUTPUT, STOP_INPUT };

struct stop {
    pthread_mutex_t lock; /* guards the next three */
    enum stop_level level;
    enum stop_reason reason;
    int signal;        /* the first one, for SIGNAL */
    weir_context *ctx; /* over from the first step on; has the deadline of the run */
    int wake;          /* can be read from the first step on */
    struct slots *slots;
    weir_context_hook deadline_hook;
};

/* `deadline`: absolute. Returns 0 or a negative errno. */
int stop_init(struct stop *stop, struct slots *slots, int64_t deadline);
void stop_destroy(struct stop *stop);

/* Has the deadline end the jobs. The slots must be there. Returns 0 or a negative errno. */
int stop_at_deadline(struct stop *stop);

/* Goes on to `level`, unless the run is there already. */
void stop_to(struct stop *stop, enum stop_level level, enum stop_reason reason, int signal);

enum stop_level stop_level(struct stop *stop);
enum stop_reason stop_reason(struct stop *stop, int *ret_signal);

#endif
