/* SPDX-License-Identifier: MIT */
/* ready.c - waiting until a descriptor is ready.
 *
 * The thread sleeps in the kernel's poll. With a context it polls one of its own too, which a
 * cancellation raises: the wake of a watch (wait/follow.h). A watch is woken once; when it was,
 * or the poll has ended for no reason, a new one is begun before the thread looks again.
 * weir__watch_end waits for a waker that is at work: so raise and lower alternate, and the
 * descriptor can be closed.
 *
 * No cancellation is lost: the watch is begun, then the context is looked at (sleep_once), and what
 * is raised after that ends the poll.
 */
#include "weir/ready.h"

#include <errno.h>

#include "base/deadline.h"
#include "os/poll.h"
#include "pool/task_submit.h"
#include "wait/wait.h"

struct ready_wait {
    struct watch watch;
    struct notify over;
};

static void raise_over(struct sleeper *sleeper)
{
    struct watch *watch = container_of(sleeper, struct watch, sleeper);
    weir__notify_raise(&container_of(watch, struct ready_wait, watch)->over);
}

/* One sleep. Returns as weir__poll, or what ctx says. */
static int sleep_once(struct ready_wait *wait, int fd, unsigned events, weir_context *ctx,
                      int64_t until)
{
    const weir_context *const contexts[3] = {ctx, NULL, NULL};
    weir__watch_begin(&wait->watch, contexts, NULL, raise_over);
    int result = context_err(ctx);
    if (result == 0)
        result = weir__poll(fd, events, &wait->over, until);
    weir__watch_end(&wait->watch);
    if (sleeper_woken(&wait->watch.sleeper))
        weir__notify_lower(&wait->over);
    return result;
}

static int wait_with_context(int fd, unsigned events, weir_context *ctx, int64_t deadline)
{
    struct ready_wait wait;
    int result = weir__notify_open(&wait.over);
    if (result != 0)
        return result;
    int64_t until = earlier(deadline, weir_context_deadline(ctx));
    do
        result = sleep_once(&wait, fd, events, ctx, until);
    while (result == 0 || result == -EINTR);
    weir__notify_close(&wait.over);
    int err = result == -ETIMEDOUT ? context_err(ctx) : 0;
    return err != 0 ? err : result;
}

static int wait_alone(int fd, unsigned events, int64_t deadline)
{
    int result;
    do
        result = weir__poll(fd, events, NULL, deadline);
    while (result == -EINTR);
    return result;
}

static int wrong_events(unsigned events)
{
    return events == 0 || (events & ~(WEIR_READABLE | WEIR_WRITABLE)) != 0 ? -EINVAL : 0;
}

static int refusal(int fd, unsigned events)
{
    int err = wrong_events(events);
    return err == 0 && fd < 0 ? -EBADF : err;
}

int weir_try_wait_ready(int fd, unsigned events)
{
    int result = refusal(fd, events);
    if (result == 0)
        result = wait_alone(fd, events, INT64_MIN);
    return result == -ETIMEDOUT ? -EAGAIN : result;
}

int weir_wait_ready_until(int fd, unsigned events, weir_context *ctx, int64_t deadline)
{
    int result = refusal(fd, events);
    if (result == 0)
        result = weir_context_err(ctx);
    if (result != 0)
        return result;
    result = wait_alone(fd, events, INT64_MIN);
    if (result != -ETIMEDOUT || (deadline != WEIR_FOREVER && deadline <= weir_now()))
        return result;
    note_block(TELL("weir_wait_ready", NULL));
    bool begun = sleep_begin();
    result = ctx != NULL ? wait_with_context(fd, events, ctx, deadline)
                         : wait_alone(fd, events, deadline);
    sleep_end(begun);
    note_unblock();
    return result;
}

int weir_wait_ready(int fd, unsigned events)
{
    return weir_wait_ready_until(fd, events, NULL, WEIR_FOREVER);
}

int weir_pool_submit_when_until(weir_pool *pool, weir_task *task, int fd, unsigned events,
                                weir_task_fn *fn, void *arg, const weir_task_options *options,
                                weir_context *ctx, int64_t deadline)
{
    int err = wrong_events(events);
    if (err != 0)
        return err;
    return weir__submit_task_when(pool, task, fd, events, fn, arg, options, ctx, deadline);
}

int weir_pool_submit_when(weir_pool *pool, weir_task *task, int fd, unsigned events,
                          weir_task_fn *fn, void *arg, const weir_task_options *options)
{
    return weir_pool_submit_when_until(pool, task, fd, events, fn, arg, options, NULL,
                                       WEIR_FOREVER);
}
