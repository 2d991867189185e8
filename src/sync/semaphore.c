/* SPDX-License-Identifier: MIT */
/* semaphore.c - a weighted semaphore that serves in the order of arrival.
 *
 * state: {unused:31, WAITED_FOR:1, free:32}. While the flag is clear, permits are taken and given
 * back by CAS. Waiters are entered in the table of waiters under an address of the semaphore
 * (giver_key), so that the semaphore itself carries no list.
 *
 * Invariants:
 *   I1  A waiter is entered only while the flag is set; flag and list change under the bucket's
 *       lock. The flag may be set while no waiter is entered: in a child process, whose table is
 *       empty at first. So the list decides, and the flag only says that it must be asked.
 *   I2  While the flag is set, the state changes only under the lock: all other changes are CASes
 *       from a state without it.
 *   I3  At an unlock, the first waiter whose context is not over needs more than is free.
 *
 * Permits are handed over under the lock. A waiter finds itself woken, or gives up under the same
 * lock: so a wait that ends without success has taken nothing. A waiter that gives up may have been
 * the large request that the others waited behind, and hands over what is free then.
 *
 * A waiter that was handed its permits may destroy the semaphore. So the hand-over has two steps:
 * it takes out the waiters that can be served and writes the state; then it wakes them, and no
 * longer touches the semaphore.
 *
 * A release publishes what came before it (weir_semaphore_release, hand_over_locked) to the thread
 * that takes later, or sets the flag (take, take_or_enter). CASes in between carry that on, and so
 * does the bucket's lock from take_or_enter to hand_over_locked. Woken waiters have it from that
 * lock.
 */
#include "sync/semaphore.h"

#include <errno.h>

#include "base/assert.h"
#include "base/tsan.h"
#include "os/thread.h"
#include "wait/wait.h"

#define WAITED_FOR (UINT64_C(1) << 32)

struct __attribute__((may_alias)) semaphore {
    atomic(uint64_t) state;
    uint32_t permits; /* in all; constant */
};

_Static_assert(sizeof(struct semaphore) <= sizeof(weir_semaphore), "fits");

static uint32_t free_permits(uint64_t state)
{
    return (uint32_t)state;
}

static struct semaphore_request *request_of(const struct waiter *waiter)
{
    return container_of(waiter, struct semaphore_request, waiter);
}

int weir_semaphore_init(weir_semaphore *handle, uint32_t permits)
{
    struct semaphore *sem = (struct semaphore *)handle;
    if (sem == NULL || permits == 0)
        return -EINVAL;
    *handle = (weir_semaphore){{0}};
    sem->permits = permits;
    store_rlx(&sem->state, permits); /* nobody uses it yet */
    return 0;
}

void weir_semaphore_destroy(weir_semaphore *handle)
{
    struct semaphore *sem = (struct semaphore *)handle;
    if (sem == NULL)
        return;
    struct bucket *bucket = weir__waiters_lock(giver_key(sem));
    bool waited_for = weir__waiters_next_locked(bucket, giver_key(sem), NULL) != NULL;
    weir__waiters_unlock(bucket);
    if (waited_for)
        weir__misuse("weir_semaphore_destroy", "somebody waits for the semaphore.");
    sem->permits = 0;
    store_rlx(&sem->state, 0); /* nobody uses it any more */
}

/* Taking. */

/* Takes n if they are free and no thread is known to wait. */
static inline bool take(struct semaphore *sem, uint32_t n)
{
    uint64_t state = load_rlx(&sem->state); /* the CAS checks it */
    while ((state & WAITED_FOR) == 0 && free_permits(state) >= n)
        /* pairs with weir_semaphore_release, hand_over_locked */
        if (likely(cas_acq(&sem->state, &state, state - n))) {
            tsan_acquire(sem);
            return true;
        }
    return false;
}

/* Under the lock: is there a waiter that is not about to give up? */
static bool others_wait(const struct semaphore *sem, struct bucket *bucket)
{
    const struct waiter *waiter = NULL;
    while ((waiter = weir__waiters_next_locked(bucket, giver_key(sem), waiter)) != NULL)
        if (weir_context_err(request_of(waiter)->ctx) == 0)
            return true;
    return false;
}

/* Takes n, under the lock, if they are free and no thread waits. If not, it enters `request`,
 * unless that is NULL. */
static bool take_or_enter(struct semaphore *sem, uint32_t n, struct semaphore_request *request)
{
    struct bucket *bucket = weir__waiters_lock(giver_key(sem));
    bool entered = weir__waiters_next_locked(bucket, giver_key(sem), NULL) != NULL;
    bool others = entered && others_wait(sem, bucket);
    uint64_t state = load_rlx(&sem->state); /* the CAS checks it */
    uint64_t next;
    bool taken;
    do {
        taken = !others && free_permits(state) >= n;
        next = taken ? (entered ? state : free_permits(state)) - n : state; /* I1 */
        if (!taken && request != NULL)
            next |= WAITED_FOR; /* I1 */
        /* pairs with weir_semaphore_release, hand_over_locked */
    } while (next != state && !cas_acq(&sem->state, &state, next));
    tsan_acquire(sem);
    if (!taken && request != NULL)
        weir__waiter_add_locked(bucket, &request->waiter);
    weir__waiters_unlock(bucket);
    return taken;
}

int weir_semaphore_try_acquire(weir_semaphore *handle, uint32_t n)
{
    struct semaphore *sem = (struct semaphore *)handle;
    if (sem == NULL || n > sem->permits)
        return -EINVAL;
    if (n == 0 || likely(take(sem, n)))
        return 0;
    /* A flag beside enough free permits may be inherited from the parent process, see I1, or there
     * for waiters that are about to give up. */
    if (free_permits(load_rlx(&sem->state)) < n) /* a hint: take_or_enter looks again */
        return -EAGAIN;
    return take_or_enter(sem, n, NULL) ? 0 : -EAGAIN;
}

/* Giving. */

/* Under the lock, the flag being set: adds n to what is free, takes out the waiters that can be
 * served, and wakes them. Those that are no threads are left in `granted`, to be called after the
 * unlock. Afterwards the semaphore may be gone. */
static void hand_over_locked(struct semaphore *sem, struct bucket *bucket, uint32_t n,
                             struct list *granted)
{
    struct list served;
    list_init(&served);
    /* Relaxed: the thread that set the flag has acquired the releases before; the lock orders the
     * rest (I2). */
    uint32_t left = free_permits(load_rlx(&sem->state)) + n;
    uint64_t flag = 0;
    struct waiter *waiter = weir__waiters_next_locked(bucket, giver_key(sem), NULL), *next;
    for (; waiter != NULL; waiter = next) {
        next = weir__waiters_next_locked(bucket, giver_key(sem), waiter);
        const struct semaphore_request *request = request_of(waiter);
        if (weir_context_err(request->ctx) != 0) {
            flag = WAITED_FOR; /* it is about to give up */
            continue;
        }
        if (request->n > left) {
            flag = WAITED_FOR;
            break; /* I3 */
        }
        left -= request->n;
        weir__waiter_take_locked(bucket, waiter);
        list_append(&served, &waiter->link);
    }
    tsan_release(sem);
    store_rel(&sem->state, flag | left); /* pairs with take, take_or_enter; a store suffices, I2 */
    while (!list_empty(&served)) {
        waiter = container_of(served.next, struct waiter, link);
        list_remove(&waiter->link);
        if (request_of(waiter)->granted != NULL)
            list_append(granted, &waiter->link);
        weir__sleeper_wake_locked(&waiter->sleeper);
    }
}

/* What is granted may release permits in turn, and so on, from gate to gate. The outermost call on
 * this thread makes all the calls, so that the stack does not grow with their number. */
static void call_granted(struct list *granted)
{
    struct self *self = this_thread();
    struct list *outer = self->granted;
    if (list_empty(granted))
        return;
    if (outer == NULL)
        self->granted = granted;
    while (!list_empty(granted)) {
        struct waiter *waiter = container_of(granted->next, struct waiter, link);
        list_remove(&waiter->link);
        if (outer != NULL)
            list_append(outer, &waiter->link);
        else
            request_of(waiter)->granted(request_of(waiter));
    }
    if (outer == NULL)
        self->granted = NULL;
}

/* The same if the flag is set and there is room for n; false if not. */
static bool release_to_waiters(struct semaphore *sem, uint32_t n)
{
    struct bucket *bucket = weir__waiters_lock(giver_key(sem));
    uint64_t state = load_rlx(&sem->state); /* with the flag: I2; else the caller looks again */
    bool fits = n <= sem->permits - free_permits(state);
    bool handed_over = (state & WAITED_FOR) != 0 && fits;
    struct list granted;
    list_init(&granted);
    if (handed_over)
        hand_over_locked(sem, bucket, n, &granted);
    weir__waiters_unlock(bucket);
    call_granted(&granted);
    return handed_over;
}

void weir_semaphore_release(weir_semaphore *handle, uint32_t n)
{
    struct semaphore *sem = (struct semaphore *)handle;
    if (sem == NULL)
        weir__misuse("weir_semaphore_release", "the semaphore is NULL.");
    uint64_t state = load_rlx(&sem->state); /* the CAS checks it, or the lock */
    while (n != 0) {
        if (n > sem->permits - free_permits(state))
            weir__misuse("weir_semaphore_release", "more permits are released than were acquired.");
        if (likely((state & WAITED_FOR) == 0)) {
            tsan_release(sem);
            if (cas_rel(&sem->state, &state, state + n)) /* pairs with take, take_or_enter */
                return;
        } else {
            if (release_to_waiters(sem, n))
                return;
            state = load_rlx(&sem->state); /* as above */
        }
    }
}

/* Waiting. */

static bool served(void *arg)
{
    const struct semaphore_request *request = arg;
    return sleeper_woken(&request->waiter.sleeper);
}

/* False: it was served before. */
static bool give_up(struct semaphore *sem, struct semaphore_request *request)
{
    struct bucket *bucket = weir__waiters_lock(giver_key(sem));
    bool waits = !sleeper_woken(&request->waiter.sleeper);
    struct list granted;
    list_init(&granted);
    if (waits) {
        weir__waiter_take_locked(bucket, &request->waiter);
        hand_over_locked(sem, bucket, 0, &granted);
    }
    weir__waiters_unlock(bucket);
    call_granted(&granted);
    return waits;
}

/* What was taken may have been released after the context was cancelled: then it must go back. */
static inline int keep(struct semaphore *sem, uint32_t n, const weir_context *ctx)
{
    int err = weir_context_err(ctx);
    if (unlikely(err != 0))
        weir_semaphore_release((weir_semaphore *)sem, n);
    return err;
}

int weir_semaphore_acquire_until(weir_semaphore *handle, uint32_t n, weir_context *ctx,
                                 int64_t deadline)
{
    struct semaphore *sem = (struct semaphore *)handle;
    if (sem == NULL || n > sem->permits)
        return -EINVAL;
    int err = weir_context_err(ctx);
    if (err != 0 || n == 0)
        return err;
    if (likely(take(sem, n)))
        return keep(sem, n, ctx);
    struct semaphore_request request = {
        .waiter = {.node.key = giver_key(sem),
                   .sleeper = {.wake = weir__wake_thread, .park = &this_thread()->park}},
        .ctx = ctx,
        .n = n,
    };
    if (take_or_enter(sem, n, &request))
        return keep(sem, n, ctx);
    err = weir__wait_until(TELL("weir_semaphore_acquire", sem), NULL, served, &request, ctx, NULL,
                           deadline);
    if (err != 0)
        return give_up(sem, &request) ? err : 0;
    weir__waiter_remove(&request.waiter);
    return 0;
}

int weir_semaphore_acquire(weir_semaphore *sem, uint32_t n)
{
    return weir_semaphore_acquire_until(sem, n, NULL, WEIR_FOREVER);
}

/* Without a thread. */

static void wake_nobody(struct sleeper *sleeper)
{
    (void)sleeper;
}

bool weir__semaphore_ask(weir_semaphore *handle, uint32_t n, struct semaphore_request *request)
{
    struct semaphore *sem = (struct semaphore *)handle;
    weir_assert(n <= sem->permits && request->granted != NULL);
    if (likely(take(sem, n)))
        return true;
    request->waiter = (struct waiter){.node.key = giver_key(sem), .sleeper.wake = wake_nobody};
    request->ctx = NULL;
    request->n = n;
    return take_or_enter(sem, n, request);
}

bool weir__semaphore_withdraw(weir_semaphore *sem, struct semaphore_request *request)
{
    return give_up((struct semaphore *)sem, request);
}

/* Observers. */

uint32_t weir_semaphore_permits(const weir_semaphore *handle)
{
    return handle != NULL ? ((const struct semaphore *)handle)->permits : 0;
}

uint32_t weir_semaphore_available(const weir_semaphore *handle)
{
    /* Relaxed: a number to look at. */
    return handle != NULL ? free_permits(load_rlx(&((const struct semaphore *)handle)->state)) : 0;
}

size_t weir_semaphore_waiting(const weir_semaphore *sem)
{
    if (sem == NULL)
        return 0;
    size_t waiting = 0;
    struct bucket *bucket = weir__waiters_lock(giver_key(sem));
    const struct waiter *waiter = NULL;
    while ((waiter = weir__waiters_next_locked(bucket, giver_key(sem), waiter)) != NULL)
        waiting++;
    weir__waiters_unlock(bucket);
    return waiting;
}
