/* SPDX-License-Identifier: MIT */
/* channel.c - a bounded channel: a ring of elements, a lock for each of its two sides, and two
 * lists of waiting arms, in the order of arrival.
 *
 * Locks (M. M. Michael and M. L. Scott, 1996, the two-lock queue): the send side's guards the place
 * and the count of what was sent, the recv side's those of what was received. Both together guard
 * everything, and the list fields of the arms entered here. A channel that keeps fewer elements
 * than CHANNEL_TWO_LOCKS has the send side's lock alone, which counts as both. Order: send, then
 * recv; a select holds those of several channels, by address. No other lock is taken under them.
 *
 * A send needs only its own lock if it concerns no other call: the channel is open, no receiver has
 * an arm here (`attention` tells), and the ring is not full. So does a recv if no sender has an arm
 * here and the ring is not empty. Every other case, each failure too, is decided under both locks,
 * as if there were one. A thread that holds both brings `attention` up to date before it unlocks;
 * so a fast call is wholly before that, and what it did is seen, or after that, and sees it.
 *
 * The counts say how far the other side may go: count of sends - capacity <= count of recvs <=
 * count of sends. A side looks at the other's only when it has come to its `limit`, the last value
 * it saw; so while the ring is neither full nor empty neither line moves between the cores.
 *
 * Invariants, under both locks, for arms whose call still waits, with a context that is not over:
 *   I1  an arm receives: no element is here, no arm sends;
 *   I2  an arm sends: the ring is full (of capacity 0: always);
 *   I3  the channel is closed: no arm is entered.
 * So a call that makes room or brings an element looks for one arm. Arms of calls that were taken
 * on another channel, or gave up, or have a context that is over, may be in the lists: they are
 * removed when they come to the head. A cancel that came before the peer therefore wins.
 *
 * Elements go straight between ring, the peer and the memory of the call that waits.
 *
 * Orders. weir__channel_let_go publishes the element, index and status to the caller (call_done).
 * go_on publishes with a side's count, to the other side (is_alone), the element that was put, or
 * that it was copied out of its place. The locks order everything else.
 *
 * fork: arms that other threads of the parent process entered are dropped by the child, which finds
 * that the channel was last used by its parent.
 */
#include "flow/channel.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/pace.h"
#include "base/sizes.h"
#include "os/alloc.h"
#include "os/fork.h"
#include "os/thread.h"
#include "wait/wait.h"

/* Of the senders, or of the receivers. */
struct side {
    struct mutex lock;
    bool attention;       /* another lock is needed */
    uint16_t found;       /* `count` when the ring was found full, or empty; only the low bits */
    size_t place;         /* in the ring: of the next element to put, or to get */
    size_t limit;         /* of `count`, by what was last seen of the other side's */
    atomic(size_t) count; /* of elements put, or got, so far; wraps */
};

struct weir_channel {
    size_t element_size, capacity; /* constant */
    uint32_t fork;                 /* fork_count() of the process that used it last */
    bool closed;
    atomic(uint32_t) subscriptions; /* to topics */
    _Alignas(CACHE_LINE) struct side send;
    struct list senders, receivers; /* on that line, so a rendezvous needs no other one */
    _Alignas(CACHE_LINE) struct side recv;
    _Alignas(CACHE_LINE) unsigned char ring[];
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
    channel->send.limit = capacity;
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

/* Small rings are full or empty all the time: a second lock would only be one more to take. */
static inline bool is_split(const weir_channel *channel)
{
    return channel->capacity >= CHANNEL_TWO_LOCKS;
}

/* Takes both locks. */
static inline void lock(weir_channel *channel)
{
    mutex_lock(&channel->send.lock);
    if (is_split(channel))
        mutex_lock(&channel->recv.lock);
    if (unlikely(channel->fork != fork_count()))
        drop_arms_of_the_parent(channel);
}

static inline void unlock(weir_channel *channel)
{
    struct side *send = &channel->send, *recv = &channel->recv;
    if (is_split(channel)) {
        send->attention = channel->closed || !list_empty(&channel->receivers);
        recv->attention = !list_empty(&channel->senders);
        recv->limit = load_rlx(&send->count); /* this and the next: the locks order them */
        send->limit = load_rlx(&recv->count) + channel->capacity;
        mutex_unlock(&recv->lock);
    }
    mutex_unlock(&send->lock); /* the last access: free takes this lock first */
}

void weir__channel_lock(weir_channel *channel)
{
    lock(channel);
}

void weir__channel_unlock(weir_channel *channel)
{
    unlock(channel);
}

void weir_channel_free(weir_channel *channel)
{
    if (channel == NULL)
        return;
    /* In a child that has not used it, a thread of the parent may hold a lock. */
    if (channel->fork == fork_count()) {
        lock(channel); /* so a send or recv that was seen to be done has left the channel */
        bool used = !list_empty(&channel->senders) || !list_empty(&channel->receivers);
        unlock(channel);
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

/* With both locks: how many elements are here. */
static inline size_t kept(const weir_channel *channel)
{
    return load_rlx(&channel->send.count) -
           load_rlx(&channel->recv.count); /* the locks order them */
}

static inline void copy(const weir_channel *channel, void *to, const void *from)
{
    if (channel->element_size == sizeof(uint64_t))
        memcpy(to, from, sizeof(uint64_t));
    else if (channel->element_size != 0)
        memcpy(to, from, channel->element_size);
}

static inline void *place(weir_channel *channel, const struct side *side)
{
    return channel->ring + side->place * channel->element_size;
}

static inline void go_on(const weir_channel *channel, struct side *side)
{
    side->place = side->place + 1 < channel->capacity ? side->place + 1 : 0;
    store_rel(&side->count, load_rlx(&side->count) + 1); /* pairs with is_alone */
}

static inline void put(weir_channel *channel, const void *element)
{
    copy(channel, place(channel, &channel->send), element);
    go_on(channel, &channel->send);
}

static inline void get(weir_channel *channel, void *ret_element)
{
    copy(channel, ret_element, place(channel, &channel->recv));
    go_on(channel, &channel->recv);
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
        /* pairs with weir__channel_wait; relaxed would do: it only decides who is first. The locks
         * order what this call gets, call_done what the other one gets. */
        if (weir_context_err(call->ctx) != 0 || !cas_acqrel(&call->state, &waiting, CALL_TAKEN))
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
        (void)xchg_seqcst(&call->state, CALL_DONE); /* pairs with call_done; it may be gone now */
        weir__wake_all(call);
        call = next;
    }
}

static bool call_done(void *arg)
{
    const struct call *call = arg;
    return load_seqcst(&call->state) == CALL_DONE; /* pairs with weir__channel_let_go */
}

int weir__channel_wait(struct call *call, weir_context *ctx, int64_t deadline)
{
    int64_t end = weir_now() + CHANNEL_YIELD_NS;
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
    /* pairs with take_call; relaxed would do: the lock that is taken next orders what follows */
    if (cas_acqrel(&call->state, &waiting, CALL_GONE))
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
    if (kept(channel) == channel->capacity)
        return -EAGAIN;
    put(channel, element);
    return 0;
}

static inline int recv_locked(weir_channel *channel, void *ret_element, struct call **ret_peer)
{
    struct arm *sender;
    if (likely(kept(channel) > 0)) {
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

/* Waits with one arm; called with the locks, returns without them. */
static COLD int wait_unlock(weir_channel *channel, bool sends, void *element, weir_context *ctx,
                            int64_t deadline)
{
    if (deadline != WEIR_FOREVER && deadline <= weir_now()) {
        unlock(channel);
        return -ETIMEDOUT;
    }
    struct arm arm = {.channel = channel, .sends = sends, .element = element};
    struct call call = {.n = 1, .arms = &arm, .ctx = ctx};
    arm.call = &call;
    weir__channel_enter_locked(&arm);
    unlock(channel);
    int err = weir__channel_wait(&call, ctx, deadline);
    if (err == 0)
        return call.status; /* the channel may be gone */
    lock(channel);
    weir__channel_leave_locked(&arm);
    unlock(channel);
    return err;
}

/* With both locks: whatever the case is. */
static int run_slowly(weir_channel *channel, bool sends, void *element, bool waits,
                      weir_context *ctx, int64_t deadline)
{
    struct call *peer = NULL;
    lock(channel);
    int err = weir_context_err(ctx); /* with the locks: a cancel before the peer came is seen */
    if (likely(err == 0))
        err = sends ? send_locked(channel, element, &peer) : recv_locked(channel, element, &peer);
    if (unlikely(err == -EAGAIN && waits))
        return wait_unlock(channel, sends, element, ctx, deadline);
    unlock(channel);
    weir__channel_let_go(peer);
    return err;
}

/* With its side's lock: whether that is enough for a call. */
static inline bool is_alone(weir_channel *channel, bool sends)
{
    struct side *side = sends ? &channel->send : &channel->recv;
    if (unlikely(side->attention || channel->fork != fork_count()))
        return false;
    size_t count = load_rlx(&side->count); /* the lock orders it */
    if (unlikely(count == side->limit))    /* pairs with go_on */
        side->limit = sends ? load_acq(&channel->recv.count) + channel->capacity
                            : load_acq(&channel->send.count);
    return count != side->limit;
}

/* With its side's lock, which was not enough: whether to pause and try again. A stream that is
 * faster on this side than on the other would wait for each single element from here on; so it
 * gives the other side a head start. Not so where elements come one by one, or where the other side
 * waits: they are not delayed. */
static inline bool is_stream(struct side *side)
{
    if (side->attention)
        return false;
    uint16_t count = (uint16_t)load_rlx(&side->count), since = (uint16_t)(count - side->found);
    side->found = count;
    return since >= CHANNEL_STREAM;
}

static inline int run(weir_channel *channel, bool sends, void *element, bool waits,
                      weir_context *ctx, int64_t deadline)
{
    if (unlikely(channel == NULL || (element == NULL && channel->element_size != 0)))
        return -EINVAL;
    struct side *side = sends ? &channel->send : &channel->recv;
    for (unsigned tries = is_split(channel) ? 2 : 0; tries > 0; tries--) {
        mutex_lock(&side->lock);
        if (likely(is_alone(channel, sends))) {
            int err = weir_context_err(ctx); /* after the look: as above */
            if (likely(err == 0)) {
                if (sends)
                    put(channel, element);
                else
                    get(channel, element);
            }
            mutex_unlock(&side->lock);
            return err;
        }
        bool again = is_stream(side) && waits && tries > 1;
        mutex_unlock(&side->lock);
        if (!again)
            break;
        cpu_relax(CHANNEL_STREAM_PAUSES);
    }
    return run_slowly(channel, sends, element, waits, ctx, deadline);
}

int weir_channel_send(weir_channel *channel, const void *element)
{
    return run(channel, true, (void *)element, true, NULL, WEIR_FOREVER);
}

int weir_channel_try_send(weir_channel *channel, const void *element)
{
    return run(channel, true, (void *)element, false, NULL, WEIR_FOREVER);
}

int weir_channel_send_until(weir_channel *channel, const void *element, weir_context *ctx,
                            int64_t deadline)
{
    return run(channel, true, (void *)element, true, ctx, deadline);
}

int weir_channel_recv(weir_channel *channel, void *ret_element)
{
    return run(channel, false, ret_element, true, NULL, WEIR_FOREVER);
}

int weir_channel_try_recv(weir_channel *channel, void *ret_element)
{
    return run(channel, false, ret_element, false, NULL, WEIR_FOREVER);
}

int weir_channel_recv_until(weir_channel *channel, void *ret_element, weir_context *ctx,
                            int64_t deadline)
{
    return run(channel, false, ret_element, true, ctx, deadline);
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
    /* Receivers wait only if no element is here (I1), so none of them will get one any more. */
    struct call *calls = take_all(&channel->senders, take_all(&channel->receivers, NULL));
    unlock(channel);
    weir__channel_let_go(calls);
    return was_closed ? -EALREADY : 0;
}

size_t weir_channel_count(const weir_channel *channel)
{
    if (channel == NULL)
        return 0;
    lock((weir_channel *)channel);
    size_t count = kept(channel);
    unlock((weir_channel *)channel);
    return count;
}

size_t weir_channel_capacity(const weir_channel *channel)
{
    return channel != NULL ? channel->capacity : 0;
}
