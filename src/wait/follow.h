/* SPDX-License-Identifier: MIT */
/* follow.h - what is told when a context is over: threads that are blocked with it, hooks, and what
 * follows contexts below it.
 */
#ifndef WEIR_WAIT_FOLLOW_H
#define WEIR_WAIT_FOLLOW_H

#include "os/lock.h"
#include "wait/context_state.h"
#include "wait/waiter.h"

extern struct lock weir__follow_lock;

/* Enters the follower in ctx's list, so that it is told once: when ctx or one of its ancestors is
 * cancelled. The caller then looks whether ctx is over. */
void weir__follow_locked(struct follower *follower, enum follower_kind kind, weir_context *ctx);

/* Takes it out of the list that it is in. */
void weir__unfollow_locked(struct follower *follower);

/* After a cancellation of `ctx` was written: tells all that follow it or its descendants. Takes as
 * long as there are such, and no lock if there are none. */
void weir__follow_tell(weir_context *ctx);

/* The same for a task's own context, if there is one with this flag. */
void weir__follow_tell_task(const atomic(uint32_t) *task_flag);

/* Lets the threads that are blocked with this very context look again. */
void weir__follow_wake(weir_context *ctx);

/* Calls the hooks in a list of followers. Set before main() by sync/hook.c, the only file that sets
 * hooks. The caller holds no lock. */
extern void (*weir__hooks_run)(struct list *told);

/* A thread that is woken when one of its contexts is over, and sleeps on `park`; for loops that
 * sleep elsewhere than in weir__wait_until. Does nothing if all contexts are NULL. */
struct watch {
    struct sleeper sleeper;
    struct follower follows[3];
    bool on;
};

void weir__watch_begin(struct watch *watch, const weir_context *const contexts[3],
                       struct park *park, void (*wake)(struct sleeper *sleeper));
/* Was it woken? Then it is entered again, and the caller has to look again before it sleeps. */
bool weir__watch_again(struct watch *watch);
void weir__watch_end(struct watch *watch);

#endif
