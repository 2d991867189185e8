/* SPDX-License-Identifier: MIT */
/* delay.h - jobs that wait for their time, in places of their own.
 *
 * States of a place: FREE -> WAITING -> DUE -> FREE. One whose job is periodic or has a gate is
 * kept until the task's end: DUE -> KEPT, and from there back to WAITING or to FREE. Of one that
 * has a gate, WAITING -> GATED -> WAITING: first it waits for its time, then for the gate, then for
 * the clock's thread to push it; or the thread that lets it in pushes it. Or GATED -> DUE: it has
 * expired, and is claimed already. All but FREE and KEPT may be left early by a claim, which the
 * clock's thread may make too. (Claimed, on its way to FREE, a place is KEPT as well.)
 *
 * Stray: the clock has let go of an alarm, but before it rings the job was claimed. The place waits
 * for that ring before it is used for another job. There can be one of them.
 *
 * There are two sets of places: for times, and for descriptors. A job in one of the latter waits
 * until its descriptor is ready, with its alarm set for the time at which it expires, and becomes
 * due by whichever comes first, or by the end of its context (descriptor.c).
 *
 * Counts (quiet.h). A job that is not periodic counts as work while it waits; when it is pushed the
 * push counts, and the wait no more. A periodic one counts only from the push or the claim that
 * starts a run.
 *
 * Lock: guards the places and slot->place, is held for a push. After it come the locks of a gate,
 * of a context's hooks, and the clock's. Callbacks are called without it.
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

struct delay_place { /* all of it under the lock; `delay` and `set` are constant */
    struct alarm alarm;
    struct list link;
    struct delay *delay;
    struct place_set *set;
    struct pass *pass;  /* of a job that has a gate, else NULL */
    uint32_t slot;      /* index+1 of the job's slot, while that is in the place */
    uint32_t next_free; /* index+1 */
    enum place_state state;
    bool periodic; /* kept between two runs, until it is given back */
    bool let_in;   /* by its gate or descriptor */
    bool on_way;   /* likewise, and the clock is to move it to `due` at once */
    bool stray;    /* its alarm was taken out of the clock but is not to ring any more */
};

struct place_set {  /* under the lock */
    uint32_t begin; /* index of its first place; constant, as is the next */
    uint32_t places;
    uint32_t used;
    uint32_t free;  /* a list of index+1, by next_free */
    uint32_t fresh; /* so many of it were ever used */
};

/* What a pool still lets wait. */
enum delay_phase { DELAY_OPEN, DELAY_ONCE, DELAY_NONE };

struct descriptor_ops;

struct delay {
    struct host *host;
    /* Set before weir__delay_init: what each alarm does (due.h), and descriptor.h. */
    void (*ring)(struct alarm *alarm);
    const struct descriptor_ops *descriptor_ops;
    struct lock lock;
    struct alarm_clock clock;
    struct delay_place *all; /* in each set one more than `places`: for one that may be stray */
    struct pass *passes;     /* of the places for times, of the same index */
    struct place_set times, descriptors;
    struct descriptor *of_descriptors; /* what those places have besides; or NULL */
    bool keeps_clock;                  /* until the join: a descriptor has been waited for */
    struct list waiting;
    struct list due[WEIR_MAX_LANES]; /* by the lane, as it is numbered in jobs */
    uint32_t on_way[WEIR_MAX_LANES]; /* places that are; likewise */
    enum delay_phase phase;
    atomic(uint64_t) delayed; /* in a place; changed under the lock, read without */
    atomic(uint64_t) gated;   /* of these, at a gate; likewise */
};

struct place_counts {
    uint32_t times, descriptors;
};

/* How many slots the places may bring. */
static inline uint32_t place_slots(const struct place_counts *counts)
{
    return counts->times + 1 + (counts->descriptors != 0 ? counts->descriptors + 1 : 0);
}

/* 0 or -ENOMEM; to be released either way. `name`: of the clock's thread, borrowed. `watched`: once
 * this context is over, all that waits ends; or NULL. */
int weir__delay_init(struct delay *delay, struct host *host, const struct place_counts *counts,
                     const char *name, weir_context *watched);
/* `inherited`: by fork(). */
void weir__delay_release(struct delay *delay, bool inherited);
/* Waits for the clock's thread, after the last job has ended. */
void weir__delay_join(struct delay *delay);

struct wait_for_time {
    const struct job *job;
    int64_t at;            /* 0: it waits for its gate only */
    bool periodic;         /* keeps its place until weir__delay_give_place */
    bool first;            /* it is being submitted */
    struct job_gate *gate; /* that it has to pass then, or NULL; likewise. Else that of its place */
    int fd;                /* or it waits for this, until `at`, */
    unsigned events;       /* for these; 0: it does not */
};

/* Has the job wait for its time in *place (as index+1), or in a free one if that is 0, which is
 * written there before others can have the job; one that is not kept is given back when the job
 * leaves it. 0: it may be another thread's by now. -EAGAIN: no place is free; -EPIPE: the pool is
 * closed to it; -ECANCELED: it was to run again, but its sink was cancelled, or it is periodic and
 * the pool was closed; or why there is no thread; or as weir__reactor_add. */
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
