/* SPDX-License-Identifier: MIT */
/* admission.h - which requests are let in: a bounded queue, and shedding by delay.
 *
 * A crew is a pool and the times at which its tasks were submitted. Since a pool is first in, first
 * out, the task at its head is the one after those that have started, and so is its age.
 *
 * Load is shed when that age has been above a target for an interval: then the queue does not take
 * up a burst, but stands (the signal is CoDel's, RFC 8289). From then on a request gets in only if
 * it can be expected to start within the target: from the number of those in front of it, and how
 * long one takes lately. This ends when for ten intervals nothing had to be refused. */
#ifndef ADMISSION_H
#define ADMISSION_H

#include <pthread.h>
#include <stdatomic.h>

#include <weir.h>

struct crew {
    weir_pool *pool;
    atomic_uint_fast64_t started; /* tasks that have left the queue */
    atomic_int_fast64_t run_ns;   /* how long one takes, about */
    uint64_t submitted;           /* these two under the admission's lock */
    int64_t *times;               /* of the submits, as a ring */
    uint64_t mask;
    unsigned workers, capacity;
    struct crew *next; /* of those that are no longer used */
};

enum verdict { ADMITTED, REFUSED_FULL, REFUSED_DELAY, REFUSED_CLOSED, VERDICTS };

struct admission {
    pthread_mutex_t lock; /* of all below, and of the order of the submits */
    struct crew *crew;
    int64_t target, interval;
    int shed;
    int64_t above_since; /* the head's age was above the target at every look since then; 0: not */
    int64_t refused_at;  /* the last refusal of a time of shedding; 0: nothing is shed */
    atomic_uint_fast64_t verdicts[VERDICTS];
};

struct request;

int crew_new(struct crew **ret, unsigned workers, unsigned capacity);
void crew_free(struct crew *crew);

int admission_init(struct admission *admission, unsigned workers, unsigned capacity);
void admission_destroy(struct admission *admission);

/* The limits from now on; and another crew, if there is one: then the old one is returned, which
 * still has tasks. */
struct crew *admission_change(struct admission *admission, struct crew *crew, int64_t target,
                              int64_t interval, int shed);

/* Would a request be let in now? To be asked before it costs anything. */
enum verdict admission_ask(struct admission *admission, int64_t now);

/* Puts the request on the pool, under its context. The pool then holds a reference on it. */
enum verdict admission_submit(struct admission *admission, struct request *request);

/* How long a request that came now would wait, about, in ns. */
int64_t admission_expected_wait(struct admission *admission);

/* For those who want to know. */
struct admission_state {
    size_t queued;
    unsigned workers, capacity;
    int shedding;
    int64_t head_age;
};
void admission_read(struct admission *admission, struct admission_state *ret);

/* Calls fn with the pool, which is not freed meanwhile. Returns what that returns. */
int admission_with_pool(struct admission *admission, int (*fn)(weir_pool *pool, void *arg),
                        void *arg);

#endif
