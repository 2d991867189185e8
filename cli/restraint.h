/* SPDX-License-Identifier: MIT */
/* restraint.h - what a start has to wait for besides a slot: --delay, --rate, --load, --memfree,
 * --breaker.
 */
#ifndef CLI_RESTRAINT_H
#define CLI_RESTRAINT_H

#include "settings.h"
#include "weir.h"

#include <pthread.h>

struct restraint {
    const struct settings *settings;
    bool any;
    weir_limiter rate;
    weir_semaphore gate; /* --delay, --load, --memfree: one start at a time; guards the next four */
    int64_t started;     /* the last one; 0: none */
    int64_t looked;      /* when the load was read */
    unsigned since;      /* how many it let start since the load was read */
    double load;

    weir_breaker breaker;
    pthread_mutex_t lock; /* guards the next two */
    pthread_cond_t changed;
    int64_t open_until;
    bool is_over;
    pthread_mutex_t probe_lock; /* guards the next two; before `lock` */
    bool probe_is_out;
    uint64_t probe;
    weir_context_hook hook;
};

/* Returns 0 or a negative errno. `ctx` is the run's. */
int restraint_init(struct restraint *restraint, const struct settings *settings, weir_context *ctx);
void restraint_destroy(struct restraint *restraint);

/* Blocks until a job may start. Returns 0, and restraint_started must be called; or -ECANCELED or
 * -ETIMEDOUT once `ctx` is over, or if it will be before. `*ret_ticket` is for restraint_record. */
int restraint_wait(struct restraint *restraint, weir_context *ctx, uint64_t *ret_ticket);

/* The job has started, or cannot be. */
void restraint_started(struct restraint *restraint);

/* How the job went: 0, -ECANCELED if that is not known, any other code for a failure. */
void restraint_record(struct restraint *restraint, uint64_t ticket, int code);

#endif
