/* SPDX-License-Identifier: MIT */
/* hook.c - functions that are called once a context is over.
 *
 * States: UNSET -> SETTING -> SET -> UNSET (stopped) or BEGUN (its function is or was called). A
 * hook that is UNSET or BEGUN can be set, also again.
 *
 * A hook that is SET follows its context (wait/follow.h), or was told that this is over, and is in
 * the list of a thread that is about to run it. The thread that takes it out of there, under the
 * lock, decides what becomes of it: a thread that cancels, the alarm of its context's deadline, a
 * thread that sets it and finds the context over, or one that stops it. So it is called once or
 * never, and is not called after a stop that took it. A hook without a context is in no list.
 *
 * Called with no lock held. While its function is called nothing of the hook is touched: so the
 * function may free it or set it again. `runs` notes, by the hook's address, that a call is under
 * way, until the caller takes its note out and wakes the threads that wait for that under the
 * address.
 *
 * Lock: that of the followers guards `runs` too, and `state` and `rung` of all hooks. No other is
 * taken under it.
 *
 * The alarm is set before the hook is, so that no thread can take the hook while the alarm is being
 * set. A thread that takes a hook stops its alarm before it goes on; if that has begun to ring, it
 * waits until the ring has finished with the hook (`rung`), which needs nothing but the lock.
 *
 * No call is lost: weir_context_on_done has the hook follow the context, then looks whether that is
 * over (enter); wait/follow.c says why a cancellation is not missed.
 *
 * fork: a child has neither the lists nor the clock's thread; hooks of the parent are not called
 * there.
 */
#include "sync/hook.h"

#include <errno.h>

#include "base/assert.h"
#include "os/fork.h"
#include "sync/alarm.h"
#include "wait/wait.h"

enum state { UNSET, SETTING, SET, BEGUN };

struct __attribute__((may_alias)) hook {
    struct follower follower;
    struct alarm alarm; /* of the context's deadline */
    weir_context *ctx;  /* a reference, or NULL */
    void (*fn)(void *arg);
    void *arg;
    uint32_t fork;    /* fork_count() when it was set; 0: never */
    bool alarmed;     /* the alarm was set */
    enum state state; /* under the lock, as is the next one */
    bool rung;        /* the alarm found the hook taken by another thread */
};

_Static_assert(sizeof(struct hook) <= sizeof(weir_context_hook), "fits");

/* A call under way. */
struct run {
    struct list link;
    const struct hook *hook; /* compared only: it may be gone */
    const struct self *thread;
    weir_context *ctx; /* the hook's reference */
    uint32_t fork; /* fork_count() when it began: if fn forks, it is in no list of the child's */
};

static struct lock *const lock = &weir__follow_lock;
static struct list runs = {&runs, &runs};
static struct alarm_clock deadlines = ALARM_CLOCK_FOR_EVER("weir");

static void reset_after_fork(void)
{
    list_init(&runs);
    weir__alarm_clock_init(&deadlines, "weir", true);
}

static void run_hooks(struct list *told);

__attribute__((constructor)) static void register_here(void)
{
    weir__hooks_run = run_hooks;
    (void)weir__at_fork_child(reset_after_fork); /* fails only if memory ends while loading */
}

/* The alarm of a hook that this thread took. */

static bool has_rung(void *arg)
{
    const struct hook *hook = arg;
    lock_acquire(lock);
    bool rung = hook->rung;
    lock_release(lock);
    return rung;
}

static void stop_alarm(struct hook *hook)
{
    if (hook->alarmed && !weir__alarm_stop(&deadlines, &hook->alarm))
        (void)weir__wait_until(TELL_NOTHING, &hook->alarm, has_rung, hook, NULL, NULL,
                               WEIR_FOREVER);
}

/* Calling. */

static void begin_locked(struct hook *hook, struct run *run)
{
    weir_assert(hook->state == SET);
    weir__unfollow_locked(&hook->follower);
    hook->state = BEGUN;
    *run =
        (struct run){.hook = hook, .thread = this_thread(), .ctx = hook->ctx, .fork = fork_count()};
    list_append(&runs, &run->link);
}

/* Calls the hook's function; from then on the hook may be gone. */
static void call(struct hook *hook, struct run *run)
{
    hook->fn(hook->arg);
    lock_acquire(lock);
    if (run->fork == fork_count())
        list_remove(&run->link);
    lock_release(lock);
    weir__wake_all(run->hook); /* only the address */
    weir_context_unref(run->ctx);
}

/* Runs the first hook of a list of this thread's. False: there is none left, or they belong to the
 * parent process: the hook before has forked. */
static bool run_next(struct list *due)
{
    struct run run;
    lock_acquire(lock);
    struct hook *hook = container_of(due->next, struct hook, follower.link);
    bool any = !list_empty(due) && hook->fork == fork_count();
    if (any)
        begin_locked(hook, &run);
    lock_release(lock);
    if (any) {
        stop_alarm(hook);
        call(hook, &run);
    }
    return any;
}

/* A stop still finds them, in this list. */
static void run_hooks(struct list *told)
{
    while (run_next(told))
        continue;
}

/* The deadline has come. */
static void ring(struct alarm *alarm)
{
    struct hook *hook = container_of(alarm, struct hook, alarm);
    struct run run;
    lock_acquire(lock);
    bool ours = hook->state == SET;
    if (ours)
        begin_locked(hook, &run);
    else
        hook->rung = true; /* from here on it may be gone */
    lock_release(lock);
    if (ours)
        call(hook, &run);
    else
        weir__wake_all(alarm); /* only the address */
}

/* Setting and stopping. */

/* Takes the hook for this call, unless it is set already. */
static bool begin_setting(struct hook *hook)
{
    lock_acquire(lock);
    bool set = hook->fork == fork_count() && (hook->state == SET || hook->state == SETTING);
    if (!set) {
        hook->state = SETTING;
        hook->fork = fork_count();
    }
    lock_release(lock);
    return !set;
}

/* Makes it SET, and begins the call if the context is over already; then returns true. Under one
 * lock: as soon as another thread can take the hook, it may be gone. */
static bool enter(struct hook *hook, struct run *run)
{
    lock_acquire(lock);
    hook->follower.of = 0;
    if (hook->ctx != NULL)
        weir__follow_locked(&hook->follower, FOLLOWER_HOOK, hook->ctx);
    else
        list_init(&hook->follower.link);
    hook->state = SET;
    bool over = weir_context_err(hook->ctx) != 0; /* after it follows: see the head */
    if (over)
        begin_locked(hook, run);
    lock_release(lock);
    return over;
}

/* It was not set after all. */
static int give_up(struct hook *hook, int err)
{
    lock_acquire(lock);
    hook->state = UNSET;
    lock_release(lock);
    return err;
}

static int set_hook(weir_context *ctx, weir_context_hook *handle, void (*fn)(void *arg), void *arg,
                    bool alarmed)
{
    struct hook *hook = (struct hook *)handle;
    if (hook == NULL || fn == NULL)
        return -EINVAL;
    if (!begin_setting(hook))
        return -EBUSY;
    weir_context *held = weir_context_ref(ctx);
    if (ctx != NULL && held == NULL)
        return give_up(hook, -ENOMEM);
    hook->ctx = held;
    hook->fn = fn;
    hook->arg = arg;
    hook->rung = false;
    hook->alarm = (struct alarm){.ring = ring};
    hook->alarmed =
        alarmed && weir_context_deadline(held) != WEIR_FOREVER && weir_context_err(held) == 0;
    if (hook->alarmed) {
        int err = weir__alarm_set(&deadlines, &hook->alarm, weir_context_deadline(held), NULL);
        if (err != 0) {
            weir_context_unref(held);
            return give_up(hook, err);
        }
    }
    struct run run;
    if (enter(hook, &run)) {
        stop_alarm(hook);
        call(hook, &run);
    }
    return 0;
}

int weir_context_on_done(weir_context *ctx, weir_context_hook *hook, void (*fn)(void *arg),
                         void *arg)
{
    return set_hook(ctx, hook, fn, arg, true);
}

int weir__context_on_cancel(weir_context *ctx, weir_context_hook *hook, void (*fn)(void *arg),
                            void *arg)
{
    return set_hook(ctx, hook, fn, arg, false);
}

/* Is its function being called? *ret_own: on this thread. */
static bool running_locked(const struct hook *hook, bool *ret_own)
{
    bool running = false;
    for (const struct list *at = runs.next; at != &runs; at = at->next) {
        const struct run *run = container_of(at, const struct run, link);
        if (run->hook != hook)
            continue;
        running = true;
        if (run->thread == this_thread())
            *ret_own = true;
    }
    return running;
}

static bool not_running(void *hook)
{
    bool own = false;
    lock_acquire(lock);
    bool running = running_locked(hook, &own);
    lock_release(lock);
    return !running;
}

/* The hook was set in the parent process: only its reference has to be given back. */
static int leave_to_parent(struct hook *hook)
{
    if (hook->state == SET)
        weir_context_unref(hook->ctx);
    hook->state = UNSET;
    return -ESTALE;
}

int weir_context_hook_stop(weir_context_hook *handle)
{
    struct hook *hook = (struct hook *)handle;
    if (hook == NULL)
        return -EINVAL;
    lock_acquire(lock);
    if (hook->fork != 0 && hook->fork != fork_count()) {
        lock_release(lock);
        return leave_to_parent(hook);
    }
    enum state state = hook->state;
    bool own = false, running = running_locked(hook, &own);
    if (state == SET) {
        weir__unfollow_locked(&hook->follower);
        hook->state = UNSET;
    }
    lock_release(lock);
    if (state == SETTING)
        return -EBUSY;
    if (state == SET) {
        stop_alarm(hook);
        weir_context_unref(hook->ctx);
    }
    if (own)
        return state == BEGUN ? -EDEADLK : 0;
    if (running)
        (void)weir__wait_until(TELL("weir_context_hook_stop", hook), hook, not_running, hook, NULL,
                               NULL, WEIR_FOREVER);
    return state == BEGUN ? -EALREADY : 0;
}
