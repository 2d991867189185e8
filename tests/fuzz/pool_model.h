/* SPDX-License-Identifier: MIT */
/* pool_model.h - what a pool, its tasks, waitgroups and errgroups must do, for one caller.
 *
 * The model knows the pool at rest: the caller waits for that after each call. Then either a worker
 * is free or a task is queued, never both: so what happens next follows from the call and
 * from the times that pass in it. Where two workers could be free at once, or a worker while the
 * caller is about to submit, and the order in which they act would show, pool_program.c leaves the
 * call out or makes one that does not wait.
 *
 * It has no tasks that are delayed, periodic or retried.
 */
#ifndef WEIR_TESTS_FUZZ_POOL_MODEL_H
#define WEIR_TESTS_FUZZ_POOL_MODEL_H

#include <stdbool.h>

#include "context_model.h"
#include "weir.h"

enum { MAX_JOBS = 64, MAX_HANDLES = 4, MAX_WAITGROUPS = 2, MAX_GROUPS = 2, MAX_ERRORS = 2 };
enum { MAX_LANES = 3 };

/* What a task does. On a thread outside the pool none of them waits for anything. */
enum kind {
    RETURN,
    HOLD,   /* waits until its gate is open */
    AWAIT,  /* waits until its context is over, and returns why */
    SUBMIT, /* submits its children, plain tasks that return or hold */
    HELP,   /* submits its child with a handle of its own, and waits for it */
    KINDS
};

enum owner_kind { PLAIN, HANDLE, WAITGROUP, GROUP };

struct job {
    enum kind kind;
    int code; /* what it returns */
    enum owner_kind owner;
    int object; /* index of its handle, waitgroup or group */
    unsigned lane;
    int context;
    int64_t start_by, timeout;
    int child; /* index of the first, or 0: none */
    int children;

    /* As it must be. */
    weir_state state; /* IDLE: not accepted */
    int status;
    bool cancelled;  /* while it ran */
    bool open;       /* its gate */
    bool on_worker;  /* it keeps a worker busy */
    int64_t over_at; /* its timeout, as a time */
    int submit_err;  /* of a child */

    /* As it was seen to be. */
    unsigned seen_starts, seen_ends;
    weir_state seen_end;
    int seen_status, seen_submit_err;
};

struct group_model {
    int context;
    unsigned limit, active, failed;
    int errors[MAX_ERRORS];
    bool stopped;
    bool vague; /* several members failed at once: in an unknown order */
};

struct pool_model {
    unsigned workers, capacity, busy; /* capacity: of each lane */
    unsigned lanes;                   /* what names none goes to the last one */
    unsigned burst; /* of each worker; more than there are jobs, if they are two */
    weir_overflow overflow;
    bool helps;     /* threads outside do */
    unsigned local; /* how many fit into the deque of its one worker; 0: its order is FIFO */
    bool closed, cancelled, stopping;
    int context;
    int64_t now;

    struct job jobs[MAX_JOBS]; /* from 1 on */
    int job_count;
    struct lane_model {
        int queue[MAX_JOBS]; /* jobs; some may have ended already */
        unsigned queued;
        unsigned passed; /* taken from more urgent ones since its own last start */
        unsigned vain;   /* taken from it, as it was owed a start, and not started, in a row */
    } lane[MAX_LANES];
    struct deque_model {
        int jobs[MAX_JOBS]; /* the oldest first */
        unsigned count;
        unsigned since_ring, takes; /* as in src/pool/deques.h */
    } own;                          /* the one worker's */
    int started[MAX_JOBS];          /* in order */
    unsigned started_count;

    int handles[MAX_HANDLES]; /* the job last accepted, or 0 */
    unsigned waitgroups[MAX_WAITGROUPS];
    struct group_model groups[MAX_GROUPS];

    weir_pool_counts counts;
};

enum how { TRY, PLAINLY, UNTIL };

/* A call submits jobs[job]: the code that it must return. */
int model_submit(struct pool_model *model, int job, enum how how, int64_t deadline);
/* A call refuses it before it comes to the queue. */
int model_reject(struct pool_model *model, int code);

/* Lets workers do all that they can. */
void model_settle(struct pool_model *model);
/* Lets time pass until `done`, or until `deadline`; true: done. */
bool model_wait(struct pool_model *model, bool (*done)(struct pool_model *model, int arg), int arg,
                int64_t deadline);

bool model_is_quiet(struct pool_model *model, int unused);
bool model_is_over(struct pool_model *model, int job); /* lets it expire */
bool model_waitgroup_is_zero(struct pool_model *model, int waitgroup);
bool model_group_is_empty(struct pool_model *model, int group);

/* The caller runs queued jobs of the object itself. */
void model_help(struct pool_model *model, enum owner_kind owner, int object);
/* A queued job ends without a start. */
void model_end_unstarted(struct pool_model *model, int job, weir_state why);

void model_close(struct pool_model *model);
/* What a shutdown does when it no longer waits. */
void model_cancel_all(struct pool_model *model);
weir_shutdown_report model_report(const struct pool_model *model);
int model_group_outcome(const struct pool_model *model, int group);
unsigned model_live(const struct pool_model *model); /* queued jobs that have not ended */

#endif
