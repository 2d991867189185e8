/* SPDX-License-Identifier: MIT */
/* delay.h - jobs that wait for their time, in places of their own.
 *
 * States of a place: FREE -> WAITING -> DUE -> FREE. One whose job is periodic or has a gate is
 * kept until the task's end: DUE -> KEPT, and from there back to WAITING or to FREE. Of one that
 * has a gate, WAITING -> GATED -> WAITING: first it waits for its time, then for the gate, then for
 * the clock's thread to push it; or the thread that lets it in pushes it. All but FREE and KEPT may
 * be left early by a claim. (Claimed, on its way to FREE, a place is KEPT too.)
 *
 * Stray: the clock has let go of an alarm, but before it rings the job was claimed. The place waits
 * for that ring before it is used for another job. There can be one of them.
 *
 * Counts (quiet.h). A job that is not periodic counts as work while it waits; when it is pushed the
 * push counts, and the wait no more. A periodic one counts only from the push or the claim that
 * starts a run.
 *
 * Lock: guards the places and slot->place, is held for a push; the clock's lock comes after it.
 * Callbacks are called without it.
 */
#ifndef WEIR_POOL_DELAY_H
#define WEIR_POOL_DELAY_H

#include "base/list.h"
#include "pool/gate.h"
#include "pool/run.h"
#include "sync/alarm.h"

enum place_state {
    PLACE_FREE,    /* or about to be rung for nothing */
    PLACE_WAITING, /* for its time: in `waiting` */
    PLACE_GATED,   /* for its gate: in `waiting` too, with its alarm set for the time it expires */
    PLACE_DUE,     /* for room in the queue: in `due` */
    PLACE_KEPT,    /* its job is queued, runs, or was claimed */
};

struct delay_place { /* all of it under the lock; `delay` is constant */
    struct alarm alarm;
    struct list link;
    struct delay *delay;
    struct pass *pass;  /* of a job that has a gate, else NULL */
    uint32_t slot;      /* index+1 of the job's slot, while that is in the place */
    uint32_t next_free; /* index+1 */
    enum place_state state;
    bool periodic; /* kept between two runs, until it is given back */
    bool let_in;   /* by its gate */
    bool stray;    /* its alarm was taken out of the clock but is not to ring any more */
};

/* What a pool still lets wait. */
enum delay_phase { DELAY_OPEN, DELAY_ONCE, DELAY_NONE };

struct delay {
    struct host *host;
    void (*ring)(struct alarm *alarm); /* of each place (due.h), set before weir__delay_init */
    struct lock lock;
    struct alarm_clock clock;
    struct delay_place *all; /* one more than `places`: for the one that may be stray */
    struct pass *passes;     /* as many, of the same index */
    uint32_t places, used;
    uint32_t free;  /* a list of index+1, by next_free */
    uint32_t fresh; /* from this index on none was ever used */
    struct list waiting, due;
    enum delay_phase phase;
    atomic(uint64_t) delayed; /* in a place; changed under the lock, read without */
};

/* 0 or -ENOMEM; to be released either way. `name`: of the clock's thread, borrowed. `watched`: once
 * this context is over, all that waits ends; or NULL. */
int weir__delay_init(struct delay *delay, struct host *host, uint32_t places, const char *name,
                     weir_context *watched);
void weir__delay_release(struct delay *delay);
/* Waits for the clock's thread, after the last job has ended. */
void weir__delay_join(struct delay *delay);

struct wait_for_time {
    const struct job *job;
    int64_t at;            /* 0: it waits for its gate only */
    bool periodic;         /* keeps its place until weir__delay_give_place */
    bool first;            /* it is being submitted */
    struct job_gate *gate; /* that it has to pass then, or NULL; likewise. Else that of its place */
};

/* Has the job wait for its time in *place (as index+1), or in a free one if that is 0, which is
 * written there before others can have the job; one that is not kept is given back when the job
 * leaves it. 0: it may be another thread's by now. -EAGAIN: no place is free; -EPIPE: the pool is
 * closed to it; -ECANCELED: it was to run again, but its sink was cancelled, or it is periodic and
 * the pool was closed; or why there is no thread. */
int weir__delay_wait(struct delay *delay, const struct wait_for_time *wait, uint32_t *place);
void weir__delay_give_place(struct delay *delay, uint32_t place);
/* Of a job with a gate, which keeps its place: a run is over, and the job goes on; or it has ended
 * (`started`: with `status`), and the place is given back. */
void weir__delay_gated_ran(struct delay *delay, uint32_t place, int status);
void weir__delay_gated_ended(struct delay *delay, uint32_t place, bool started, int status);

/* weir__queue_claim for a job that may be in a place: takes it out of there. */
bool weir__delay_claim(struct delay *delay, struct slot *slot, uint64_t claim);

/* Waits until no thread is at work on a place: a flag that was raised before is seen by each
 * weir__delay_wait from now on. */
void weir__delay_fence(struct delay *delay);

/* From now on nothing periodic may wait, and what does ends as CANCELLED; `all`: nothing at all. */
void weir__delay_close(struct delay *delay, bool all);

#endif
