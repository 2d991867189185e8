/* SPDX-License-Identifier: MIT */
/* stop.c - ends a run early. The context is what weir's own waits end with: the pool's for room,
 * those for a permit, a token, or the next attempt. Jobs that run learn nothing of it.
 */
#include "stop.h"

#include <errno.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

static void deadline_passed(void *arg)
{
    stop_to(arg, STOP_TERM, STOP_DEADLINE, 0);
}

int stop_init(struct stop *stop, struct slots *slots, int64_t deadline)
{
    *stop = (struct stop){.lock = PTHREAD_MUTEX_INITIALIZER, .slots = slots};
    stop->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (stop->wake < 0)
        return -errno;
    int err = weir_context_new(&stop->ctx, NULL, deadline);
    if (err != 0)
        close(stop->wake);
    return err;
}

int stop_at_deadline(struct stop *stop)
{
    if (weir_context_deadline(stop->ctx) == WEIR_FOREVER)
        return 0;
    return weir_context_on_done(stop->ctx, &stop->deadline_hook, deadline_passed, stop);
}

void stop_destroy(struct stop *stop)
{
    (void)weir_context_hook_stop(&stop->deadline_hook);
    weir_context_unref(stop->ctx);
    close(stop->wake);
}

void stop_to(struct stop *stop, enum stop_level level, enum stop_reason reason, int signal)
{
    uint64_t one = 1;
    pthread_mutex_lock(&stop->lock);
    bool first = stop->level == STOP_NOT;
    bool further = level > stop->level;
    if (first) {
        stop->reason = reason;
        stop->signal = signal;
    }
    if (further)
        stop->level = level;
    pthread_mutex_unlock(&stop->lock);
    if (first) {
        weir_context_cancel(stop->ctx, 0);
        if (write(stop->wake, &one, sizeof(one)) < 0)
            return; /* cannot be: the count is one */
    }
    /* After signals the steps are the user's; else SIGKILL follows SIGTERM by itself. */
    if (further && level == STOP_TERM)
        slots_signal(stop->slots, SIGTERM, true, reason == STOP_SIGNAL);
    if (further && level == STOP_KILL)
        slots_signal(stop->slots, SIGKILL, true, false);
}

enum stop_level stop_level(struct stop *stop)
{
    pthread_mutex_lock(&stop->lock);
    enum stop_level level = stop->level;
    pthread_mutex_unlock(&stop->lock);
    return level;
}

enum stop_reason stop_reason(struct stop *stop, int *ret_signal)
{
    pthread_mutex_lock(&stop->lock);
    enum stop_reason reason = stop->reason;
    *ret_signal = stop->signal;
    pthread_mutex_unlock(&stop->lock);
    /* The context knows of the deadline before its hook has been called. */
    if (reason == STOP_NO_REASON && weir_context_err(stop->ctx) == -ETIMEDOUT)
        reason = STOP_DEADLINE;
    return reason;
}
