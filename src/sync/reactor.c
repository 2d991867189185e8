/* SPDX-License-Identifier: MIT */
/* reactor.c - one thread sleeps until one of many descriptors is ready, and calls those who asked.
 *
 * States of an interest, under the lock: OUT -> IN, in the tree by its descriptor -> OUT, by its
 * event, and called; or by a remove, and not called. Or IN -> CLOSED, in a list, if its descriptor
 * was found to be closed, until the thread takes it out of there and calls it.
 *
 * A descriptor is armed for all that its interests ask for, and is disarmed when one of these
 * events comes. What remains is armed again, under the same lock under which the others are taken
 * out. So nothing is lost: what is in the tree is armed, or its event is in the hands of the
 * thread. An event whose tag is not that of the interests was in its hands when they were armed
 * anew, or is of a file that the number has left, but that is still open by another; it means
 * nothing, for what was armed later is reported by itself.
 *
 * Closed descriptors. The kernel does not tell of them. They are found out when their number is
 * added again, and names a file that was never armed.
 *
 * States of the thread: NONE -> RUNS -> LEFT -> NONE, under the lock, as in alarm.c. It leaves when
 * nothing has waited for LINGER, or nothing waits and nobody holds the reactor.
 *
 * Lock: guards everything. It is not held during a call. An owner's may be held when it is taken;
 * only the poller's is taken under it.
 */
#include "sync/reactor.h"

#include <errno.h>

#include "base/assert.h"
#include "base/deadline.h"
#include "os/fork.h"
#include "os/lock.h"
#include "os/poller.h"
#include "os/thread.h"
#include "wait/wait.h"

enum { MANY = 64 };
#define LINGER WEIR_S(1)

enum reactor_thread { THREAD_NONE, THREAD_RUNS, THREAD_LEFT };

static struct {
    struct lock lock;
    struct tree_node *descriptors;
    struct list closed;
    size_t added; /* interests: IN or CLOSED */
    uint64_t uses;
    uint32_t tags;
    uint32_t calls; /* that have begun */
    bool calling;   /* the last of them is under way */
    unsigned holds;
    enum reactor_thread state; /* LEFT: it must be joined */
    pthread_t thread;
} the = {.lock = LOCK_INIT, .closed = {&the.closed, &the.closed}};

static void reset_after_fork(void)
{
    lock_init(&the.lock);
    the.descriptors = NULL;
    list_init(&the.closed);
    the.added = 0;
    the.holds = 0;
    the.state = THREAD_NONE;
    the.calling = false;
    weir__poller_forget();
}

__attribute__((constructor)) static void watch_forks(void)
{
    (void)weir__at_fork_child(reset_after_fork); /* fails only if memory ends while loading */
}

/* Interests by their descriptor. */

static const void *key_of(int fd)
{
    return (const void *)((uintptr_t)fd + 1);
}

static struct interest *find_locked(int fd)
{
    struct tree_node *node = *tree_find(&the.descriptors, key_of(fd), tree_path(key_of(fd)));
    return node != NULL ? container_of(node, struct interest, node) : NULL;
}

static unsigned events_locked(const struct interest *first)
{
    return first->events | (first->other != NULL ? first->other->events : 0);
}

static void enter_locked(struct interest *interest, struct interest *first)
{
    interest->other = NULL;
    interest->state = INTEREST_IN;
    if (first != NULL) {
        first->other = interest;
        interest->node.at = NULL;
    } else {
        interest->node.key = key_of(interest->fd);
        tree_add(tree_find(&the.descriptors, interest->node.key, tree_path(interest->node.key)),
                 &interest->node);
    }
    the.added++;
}

/* Takes an interest out of the tree. Returns what remains in its descriptor, or NULL. */
static struct interest *take_locked(struct interest *interest)
{
    struct interest *first = find_locked(interest->fd), *rest = interest->other;
    if (first != interest) {
        first->other = NULL;
        rest = first;
    } else if (rest != NULL) {
        rest->node.key = interest->node.key;
        tree_replace(&interest->node, &rest->node);
    } else {
        tree_remove(&interest->node);
    }
    interest->state = INTEREST_OUT;
    the.added--;
    return rest;
}

/* The number names another file by now. */
static void close_locked(struct interest *first)
{
    while (first != NULL) {
        struct interest *rest = take_locked(first);
        first->state = INTEREST_CLOSED;
        list_append(&the.closed, &first->link);
        the.added++;
        first = rest;
    }
    weir__poller_wake();
}

/* The thread. */

/* Takes out the next interest that the event is for. When there is none left, what remains in the
 * descriptor is armed again. */
static struct interest *next_ready_locked(const struct poller_event *event)
{
    struct interest *first = find_locked(event->fd), *found = first;
    if (first == NULL || first->tag != event->tag)
        return NULL;
    while (found != NULL && event->ready != 0 && (found->events & event->ready) == 0)
        found = found->other;
    if (found != NULL)
        (void)take_locked(found);
    else if (weir__poller_rearm(event->fd, events_locked(first), first->tag) != 0)
        close_locked(first);
    return found;
}

static void take_closed_locked(struct interest *interest)
{
    list_remove(&interest->link);
    interest->state = INTEREST_OUT;
    the.added--;
}

static struct interest *next_closed_locked(void)
{
    if (list_empty(&the.closed))
        return NULL;
    struct interest *first = container_of(the.closed.next, struct interest, link);
    take_closed_locked(first);
    return first;
}

/* Calls the next one that the event is for; NULL: whose descriptor was closed. False: there is
 * none. The call is over when this comes again. */
static bool call_next(const struct poller_event *event)
{
    lock_acquire(&the.lock);
    bool was_calling = the.calling;
    struct interest *next = event != NULL ? next_ready_locked(event) : next_closed_locked();
    uint64_t use = next != NULL ? next->use : 0;
    unsigned ready = event != NULL && next != NULL ? event->ready & next->events : 0;
    the.calling = next != NULL;
    the.calls += the.calling;
    lock_release(&the.lock);
    if (was_calling)
        weir__wake_all(&the.calls);
    if (next != NULL)
        next->ready(next, use, ready);
    return next != NULL;
}

static bool call_closed(void)
{
    bool any = false;
    while (call_next(NULL))
        any = true;
    return any;
}

/* Until when to sleep, while nothing waits: from the first time that this is asked on. False: the
 * thread leaves. */
static bool stays(int64_t *until)
{
    lock_acquire(&the.lock);
    bool nothing = the.added == 0;
    bool left = nothing && (the.holds == 0 || *until <= weir_now());
    if (left) {
        the.state = THREAD_LEFT;
        weir__poller_close();
    } else {
        weir__poller_calm();
    }
    lock_release(&the.lock);
    if (!nothing)
        *until = WEIR_FOREVER;
    else if (*until == WEIR_FOREVER)
        *until = weir_after(LINGER);
    return !left;
}

static void *reactor_main(void *unused)
{
    (void)unused;
    weir__thread_name_ready();
    struct poller_event events[MANY];
    int64_t until = WEIR_FOREVER;
    while (stays(&until)) {
        if (call_closed()) /* after stays has calmed the poller: what comes later wakes it */
            continue;
        unsigned n = weir__poller_wait(events, MANY, until);
        if (n > 0)
            until = WEIR_FOREVER;
        for (unsigned i = 0; i < n; i++)
            while (call_next(&events[i]))
                continue;
    }
    weir__wake_all(&the.thread);
    return NULL;
}

static void join_locked(void)
{
    if (the.state == THREAD_LEFT)
        (void)pthread_join(the.thread, NULL); /* it needs no lock any more */
    the.state = THREAD_NONE;
}

/* 0, or why there is no thread. */
static int need_thread_locked(void)
{
    if (the.state == THREAD_RUNS)
        return 0;
    join_locked();
    int err = weir__poller_open();
    if (err != 0)
        return err;
    pthread_t thread;
    err = weir__thread_start(&thread, reactor_main, NULL, 0);
    if (err != 0) {
        weir__poller_close();
        return err;
    }
    the.thread = thread;
    the.state = THREAD_RUNS;
    return 0;
}

/* Adding and removing. */

/* 0: it was added to what waits for the descriptor already. -ENOENT: nothing does. */
static int join_other_locked(struct interest *interest)
{
    struct interest *first = find_locked(interest->fd);
    if (first == NULL)
        return -ENOENT;
    unsigned events = events_locked(first);
    bool busy = (events & interest->events) != 0;
    uint32_t tag = busy ? first->tag : ++the.tags;
    if (!busy)
        events |= interest->events;
    if (weir__poller_rearm(interest->fd, events, tag) != 0) {
        close_locked(first);
        return -ENOENT;
    }
    if (busy)
        return -EBUSY;
    enter_locked(interest, first);
    first->tag = interest->tag = tag;
    return 0;
}

static int add_locked(struct interest *interest)
{
    int err = need_thread_locked();
    if (err == 0)
        err = join_other_locked(interest);
    if (err != -ENOENT)
        return err;
    interest->tag = ++the.tags;
    err = weir__poller_arm(interest->fd, interest->events, interest->tag);
    if (err == 0)
        enter_locked(interest, NULL);
    return err;
}

int weir__reactor_add(struct interest *interest, int fd, unsigned events)
{
    if (fd < 0)
        return -EBADF;
    lock_acquire(&the.lock);
    weir_assert(interest->use == 0);
    interest->fd = fd;
    interest->events = events;
    int err = add_locked(interest);
    if (err == 0)
        interest->use = ++the.uses;
    lock_release(&the.lock);
    return err;
}

void weir__reactor_remove(struct interest *interest)
{
    lock_acquire(&the.lock);
    if (interest->state == INTEREST_CLOSED)
        take_closed_locked(interest);
    else if (interest->state == INTEREST_IN && take_locked(interest) == NULL)
        weir__poller_disarm(interest->fd);
    interest->use = 0;
    lock_release(&the.lock);
}

/* Owners. */

int weir__reactor_hold(unsigned interests)
{
    lock_acquire(&the.lock);
    int err = weir__poller_reserve(interests);
    bool first = err == 0 && the.holds++ == 0;
    lock_release(&the.lock);
    if (first)
        weir__wake_all(&the.thread); /* the last release before may wait until it has left */
    return err;
}

/* Is the call over that was under way? */
static bool call_over(void *arg)
{
    lock_acquire(&the.lock);
    bool over = !the.calling || the.calls != *(const uint32_t *)arg;
    lock_release(&the.lock);
    return over;
}

/* Has the thread left, or is it wanted again? */
static bool thread_left(void *unused)
{
    (void)unused;
    lock_acquire(&the.lock);
    bool left = the.state != THREAD_RUNS || the.holds != 0;
    lock_release(&the.lock);
    return left;
}

static void await_thread(void)
{
    (void)weir__wait_until(TELL_NOTHING, &the.thread, thread_left, NULL, NULL, NULL, WEIR_FOREVER);
    lock_acquire(&the.lock);
    if (the.state == THREAD_LEFT)
        join_locked();
    lock_release(&the.lock);
}

void weir__reactor_release(unsigned interests)
{
    lock_acquire(&the.lock);
    bool runs = the.state == THREAD_RUNS;
    bool own = runs && pthread_equal(the.thread, pthread_self()) != 0;
    uint32_t seen = the.calls;
    bool last = --the.holds == 0;
    weir_assert(!own || !last); /* this thread calls an owner, who has to wait for it */
    (void)weir__poller_reserve(-(int64_t)interests); /* less always succeeds */
    if (last && runs)
        weir__poller_wake();
    lock_release(&the.lock);
    if (own)
        return;
    (void)weir__wait_until(TELL_NOTHING, &the.calls, call_over, &seen, NULL, NULL, WEIR_FOREVER);
    if (last)
        await_thread();
}
