/* SPDX-License-Identifier: MIT */
/* channel.c - a bounded channel: a lock, a ring of elements, and two lists of arms that wait, in
 * the order of arrival.
 *
 * Locks: the channel's guards everything in it and the list fields of the arms entered there. A
 * select holds several, taken in the order of their addresses. No other lock is taken under it.
 *
 * Invariants, for arms whose call still waits, with a context that is not over:
 *   I1  an arm receives: no element is here, no arm sends;
 *   I2  an arm sends: the ring is full (of capacity 0: always);
 *   I3  the channel is closed: no arm is entered.
 * So whoever makes room or brings an element looks for one arm. Arms of calls that were taken on
 * another channel, or gave up, or have a context that is over, may be in the lists: they are thrown
 * out when they come to the head. A cancel that came before the peer therefore wins.
 *
 * Elements go straight between ring, the peer and the memory of the call that waits.
 *
 * Edges: R15 DONE -> A15 the caller's look: the element, index and status. Everything else is
 * ordered by the lock.
 *
 * fork: arms that other threads of the parent process entered are dropped by the child, which finds
 * that the channel was last used by its parent.
 */
#include "flow/channel.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "os/alloc.h"
#include "os/fork.h"
#include "os/thread.h"
#include "sync/context.h"

struct weir_channel {
    struct mutex lock;
    uint32_t fork; /* fork_count() of the process that used it last */
    bool closed;
    atomic(uint32_t) subscriptions; /* to topics */
    size_t element_size, capacity;
    size_t count;      /* of elements kept */
    size_t head, tail; /* places in the ring: of the oldest element, and of the next one */
    struct list senders, receivers;
    unsigned char ring[];
};

int weir_channel_new(weir_channel **ret, size_t element_size, size_t capacity)
{
    size_t most = PTRDIFF_MAX - sizeof(weir_channel);
    if (ret == NULL || (element_size != 0 && capacity > most / element_size))
        return -EINVAL;
    weir_channel *channel = weir__alloc(1, sizeof *channel + element_size * capacity);
    if (channel == NULL)
        return -ENOMEM;
    channel->fork = fork_count();
    channel->element_size = element_size;
    channel->capacity = capacity;
    list_init(&channel->senders);
    list_init(&channel->receivers);
    *ret = channel;
    return 0;
}

static COLD void drop_arms_of_the_parent(weir_channel *channel)
{
    channel->fork = fork_count();
    list_init(&channel->senders);
    list_init(&channel->receivers);
}

static inline void lock(weir_channel *channel)
{
    mutex_lock(&channel->lock);
    if (unlikely(channel->fork != fork_count()))
        drop_arms_of_the_parent(channel);
}

void weir__channel_lock(weir_channel *channel)
{
    lock(channel);
}

void weir__channel_unlock(weir_channel *channel)
{
    mutex_unlock(&channel->lock);
}

void weir_channel_free(weir_channel *channel)
{
    if (channel == NULL)
        return;
    /* In a child that has not used it, the lock may be that of a thread which stayed behind. */
    if (channel->fork == fork_count()) {
        mutex_lock(&channel->lock);
        bool used = !list_empty(&channel->senders) || !list_empty(&channel->receivers);
        mutex_unlock(&channel->lock);
        if (used)
            weir__misuse("weir_channel_free", "somebody waits on the channel.");
    }
    if (load_rlx(&channel->subscriptions) != 0) /* the caller orders unsubscribe before free */
        weir__misuse("weir_channel_free", "the channel is subscribed to a topic.");
    weir__free(channel);
}

size_t weir__channel_element_size(const weir_channel *channel)
{
    return channel->element_size; /* constant */
}

void weir__channel_subscribed(weir_channel *channel, bool is)
{
    add_rlx(&channel->subscriptions, is ? 1 : UINT32_MAX); /* only counted */
}

/* The ring. */

static inline void copy(const weir_channel *channel, void *to, const void *from)
{
    if (channel->element_size == sizeof(uint64_t))
        memcpy(to, from, sizeof(uint64_t));
    else if (channel->element_size != 0)
        memcpy(to, from, channel->element_size);
}

static inline void *place(weir_channel *channel, size_t index)
{
    return channel->ring + index * channel->element_size;
}

static inline size_t after(const weir_channel *channel, size_t index)
{
    return index + 1 < channel->capacity ? index + 1 : 0;
}

static inline void put(weir_channel *channel, const void *element)
{
    copy(channel, place(channel, channel->tail), element);
    channel->tail = after(channel, channel->tail);
    channel->count++;
}

static inline void get(weir_channel *channel, void *ret_element)
{
    copy(channel, ret_element, place(channel, channel->head));
    channel->head = after(channel, channel->head);
    channel->count--;
}

/* Arms. */

void weir__channel_enter_locked(struct arm *arm)
{
    weir_channel *channel = arm->channel;
    list_append(arm->sends ? &channel->senders : &channel->receivers, &arm->link);
    arm->entered = true;
}

void weir__channel_leave_locked(struct arm *arm)
{
    if (arm->entered)
        list_remove(&arm->link);
    arm->entered = false;
}

/* Takes the call that has waited longest in `arms`, if there is one. Its arm; NULL. */
static COLD struct arm *take_call(struct list *arms)
{
    while (!list_empty(arms)) {
        struct arm *arm = container_of(arms->next, struct arm, link);
        struct call *call = arm->call;
        weir__channel_leave_locked(arm);
        uint32_t waiting = CALL_WAITING;
        if (weir_context_err(call->ctx) != 0 ||
            !cas_acqrel(&call->state, &waiting, CALL_TAKEN)) /* R15, A15 make the edges */
            continue;
        for (unsigned i = 0; i < call->n; i++)
            if (call->arms[i].channel == arm->channel)
                weir__channel_leave_locked(&call->arms[i]);
        call->index = arm->index;
        call->status = 0;
        call->next = NULL;
        return arm;
    }
    return NULL;
}

void weir__channel_let_go(struct call *call)
{
    while (call != NULL) {
        struct call *next = call->next;
        (void)xchg_seqcst(&call->state,
                          CALL_DONE); /* R15; seq_cst: a waiter's look. It may be gone */
        weir__wake_all(call);
        call = next;
    }
}

static bool call_done(void *arg)
{
    const struct call *call = arg;
    return load_seqcst(&call->state) == CALL_DONE; /* A15; seq_cst: a waiter's look */
}

int weir__channel_wait(struct call *call, weir_context *ctx, int64_t deadline)
{
    int64_t end = weir_now() + YIELD_NS;
    if (end > deadline)
        end = deadline;
    while (weir_now() < end) {
        if (call_done(call))
            return 0;
        weir__thread_yield();
    }
    int err = weir__wait_until(call, call_done, call, ctx, NULL, deadline);
    if (err == 0)
        return 0;
    uint32_t waiting = CALL_WAITING;
    if (cas_acqrel(&call->state, &waiting, CALL_GONE)) /* the lock orders what follows */
        return err;
    return weir__wait_until(call, call_done, call, NULL, NULL, WEIR_FOREVER); /* it is soon DONE */
}

/* Sending and receiving. */

static inline int send_locked(weir_channel *channel, const void *element, struct call **ret_peer)
{
    if (unlikely(channel->closed))
        return -EPIPE;
    struct arm *receiver;
    if (!list_empty(&channel->receivers) &&
        (receiver = take_call(&channel->receivers)) != NULL) { /* I1 */
        copy(channel, receiver->element, element);
        *ret_peer = receiver->call;
        return 0;
    }
    if (channel->count == channel->capacity)
        return -EAGAIN;
    put(channel, element);
    return 0;
}

static inline int recv_locked(weir_channel *channel, void *ret_element, struct call **ret_peer)
{
    struct arm *sender;
    if (likely(channel->count > 0)) {
        get(channel, ret_element);
        if (unlikely(!list_empty(&channel->senders)) &&
            (sender = take_call(&channel->senders)) != NULL) { /* I2 */
            put(channel, sender->element);
            *ret_peer = sender->call;
        }
        return 0;
    }
    if (!list_empty(&channel->senders) && (sender = take_call(&channel->senders)) != NULL) {
        copy(channel, ret_element, sender->element);
        *ret_peer = sender->call;
        return 0;
    }
    return channel->closed ? -EPIPE : -EAGAIN;
}

int weir__channel_try_locked(const struct arm *arm, struct call **ret_peer)
{
    return arm->sends ? send_locked(arm->channel, arm->element, ret_peer)
                      : recv_locked(arm->channel, arm->element, ret_peer);
}

/* Waits with one arm; called with the lock, returns without it. */
static COLD int wait_unlock(weir_channel *channel, bool sends, void *element, weir_context *ctx,
                            int64_t deadline)
{
    if (deadline != WEIR_FOREVER && deadline <= weir_now()) {
        mutex_unlock(&channel->lock);
        return -ETIMEDOUT;
    }
    struct arm arm = {.channel = channel, .sends = sends, .element = element};
    struct call call = {.n = 1, .arms = &arm, .ctx = ctx};
    arm.call = &call;
    weir__channel_enter_locked(&arm);
    mutex_unlock(&channel->lock);
    int err = weir__channel_wait(&call, ctx, deadline);
    if (err == 0)
        return call.status; /* the channel may be gone */
    lock(channel);
    weir__channel_leave_locked(&arm);
    mutex_unlock(&channel->lock);
    return err;
}

static inline int send(weir_channel *channel, const void *element, bool waits, weir_context *ctx,
                       int64_t deadline)
{
    if (unlikely(channel == NULL || (element == NULL && channel->element_size != 0)))
        return -EINVAL;
    struct call *peer = NULL;
    lock(channel);
    int err = weir_context_err(ctx); /* with the lock: a cancel before the peer came is seen */
    if (likely(err == 0))
        err = send_locked(channel, element, &peer);
    if (unlikely(err == -EAGAIN && waits))
        return wait_unlock(channel, true, (void *)element, ctx, deadline);
    mutex_unlock(&channel->lock);
    weir__channel_let_go(peer);
    return err;
}

static inline int recv(weir_channel *channel, void *ret_element, bool waits, weir_context *ctx,
                       int64_t deadline)
{
    if (unlikely(channel == NULL || (ret_element == NULL && channel->element_size != 0)))
        return -EINVAL;
    struct call *peer = NULL;
    lock(channel);
    int err = weir_context_err(ctx); /* as above */
    if (likely(err == 0))
        err = recv_locked(channel, ret_element, &peer);
    if (unlikely(err == -EAGAIN && waits))
        return wait_unlock(channel, false, ret_element, ctx, deadline);
    mutex_unlock(&channel->lock);
    weir__channel_let_go(peer);
    return err;
}

int weir_channel_send(weir_channel *channel, const void *element)
{
    return send(channel, element, true, NULL, WEIR_FOREVER);
}

int weir_channel_try_send(weir_channel *channel, const void *element)
{
    return send(channel, element, false, NULL, WEIR_FOREVER);
}

int weir_channel_send_until(weir_channel *channel, const void *element, weir_context *ctx,
                            int64_t deadline)
{
    return send(channel, element, true, ctx, deadline);
}

int weir_channel_recv(weir_channel *channel, void *ret_element)
{
    return recv(channel, ret_element, true, NULL, WEIR_FOREVER);
}

int weir_channel_try_recv(weir_channel *channel, void *ret_element)
{
    return recv(channel, ret_element, false, NULL, WEIR_FOREVER);
}

int weir_channel_recv_until(weir_channel *channel, void *ret_element, weir_context *ctx,
                            int64_t deadline)
{
    return recv(channel, ret_element, true, ctx, deadline);
}

/* Closing, and looking. */

/* Takes all calls that wait in `arms` and puts them before `calls`. */
static struct call *take_all(struct list *arms, struct call *calls)
{
    struct arm *arm;
    while ((arm = take_call(arms)) != NULL) {
        arm->call->status = -EPIPE;
        arm->call->next = calls;
        calls = arm->call;
    }
    return calls;
}

int weir_channel_close(weir_channel *channel)
{
    if (channel == NULL)
        return -EINVAL;
    lock(channel);
    bool was_closed = channel->closed;
    channel->closed = true;
    /* Receivers wait only if nothing is here (I1), so none of them has anything to come. */
    struct call *calls = take_all(&channel->senders, take_all(&channel->receivers, NULL));
    mutex_unlock(&channel->lock);
    weir__channel_let_go(calls);
    return was_closed ? -EALREADY : 0;
}

size_t weir_channel_count(const weir_channel *channel)
{
    if (channel == NULL)
        return 0;
    mutex_lock((struct mutex *)&channel->lock);
    size_t count = channel->count;
    mutex_unlock((struct mutex *)&channel->lock);
    return count;
}

size_t weir_channel_capacity(const weir_channel *channel)
{
    return channel != NULL ? channel->capacity : 0;
}
