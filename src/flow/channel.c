/* SPDX-License-Identifier: MIT */
/* channel.c - a bounded channel: its locks, send, recv and close. The ring of elements is in
 * channel_ring.h, the calls that wait are in channel_call.h.
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
 * Invariants, under both locks, for arms whose call still waits, with contexts that are not over:
 *   I1  an arm receives: no element is here, no arm sends;
 *   I2  an arm sends: the ring is full (of capacity 0: always);
 *   I3  the channel is closed: no arm is entered.
 * So a call that makes room or brings an element looks for one arm.
 *
 * Elements go straight between ring, the peer and the memory of the call that waits.
 *
 * fork: arms that other threads of the parent process entered are dropped by the child, which finds
 * that the channel was last used by its parent.
 */
#include "flow/channel.h"

#include <errno.h>

#include "base/assert.h"
#include "base/pace.h"
#include "flow/channel_ring.h"
#include "os/alloc.h"
#include "os/fork.h"

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

/* Sending and receiving. */

static inline int send_locked(weir_channel *channel, const void *element, struct call **ret_peer)
{
    if (unlikely(channel->closed))
        return -EPIPE;
    struct arm *receiver;
    if (!list_empty(&channel->receivers) &&
        (receiver = weir__channel_take_call(&channel->receivers)) != NULL) { /* I1 */
        channel_copy(channel, receiver->element, element);
        *ret_peer = receiver->call;
        return 0;
    }
    if (channel_kept(channel) == channel->capacity)
        return -EAGAIN;
    channel_put(channel, element);
    return 0;
}

static inline int recv_locked(weir_channel *channel, void *ret_element, struct call **ret_peer)
{
    struct arm *sender;
    if (likely(channel_kept(channel) > 0)) {
        channel_get(channel, ret_element);
        if (unlikely(!list_empty(&channel->senders)) &&
            (sender = weir__channel_take_call(&channel->senders)) != NULL) { /* I2 */
            channel_put(channel, sender->element);
            *ret_peer = sender->call;
        }
        return 0;
    }
    if (!list_empty(&channel->senders) &&
        (sender = weir__channel_take_call(&channel->senders)) != NULL) {
        channel_copy(channel, ret_element, sender->element);
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

void weir__channel_enter_locked(struct arm *arm)
{
    weir_channel *channel = arm->channel;
    list_append(arm->sends ? &channel->senders : &channel->receivers, &arm->link);
    arm->entered = true;
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
    int err = weir__channel_wait(TELL(sends ? "weir_channel_send" : "weir_channel_recv", channel),
                                 &call, ctx, deadline);
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
    channel_let_go(peer);
    return err;
}

/* With its side's lock: whether that is enough for a call. */
static inline bool is_alone(weir_channel *channel, bool sends)
{
    struct side *side = sends ? &channel->send : &channel->recv;
    if (unlikely(side->attention || channel->fork != fork_count()))
        return false;
    size_t count = load_rlx(&side->count); /* the lock orders it */
    if (unlikely(count == side->limit)) {
        /* Pairs with side_go_on. */
        side->limit = sends ? load_acq(&channel->recv.count) + channel->capacity
                            : load_acq(&channel->send.count);
        tsan_acquire(sends ? &channel->recv.count : &channel->send.count);
    }
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
                    channel_put(channel, element);
                else
                    channel_get(channel, element);
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

/* Returns the calls to let go after the unlock. */
static struct call *close_locked(weir_channel *channel)
{
    channel->closed = true;
    /* Receivers wait only if no element is here (I1), so none of them will get one any more. */
    return weir__channel_take_all(&channel->senders,
                                  weir__channel_take_all(&channel->receivers, NULL));
}

int weir_channel_close(weir_channel *channel)
{
    if (channel == NULL)
        return -EINVAL;
    lock(channel);
    bool was_closed = channel->closed;
    struct call *calls = close_locked(channel);
    unlock(channel);
    channel_let_go(calls);
    return was_closed ? -EALREADY : 0;
}

int weir_channel_add_senders(weir_channel *channel, size_t n)
{
    if (channel == NULL || n == 0)
        return -EINVAL;
    int err = 0;
    lock(channel);
    if (channel->closed)
        err = -EPIPE;
    else if (n > SIZE_MAX - channel->counted_senders)
        err = -EOVERFLOW;
    else
        channel->counted_senders += n;
    unlock(channel);
    return err;
}

int weir_channel_sender_done(weir_channel *channel)
{
    if (channel == NULL)
        return -EINVAL;
    struct call *calls = NULL;
    lock(channel);
    if (channel->counted_senders == 0)
        weir__misuse("weir_channel_sender_done", "there is no sender left.");
    if (--channel->counted_senders == 0)
        calls = close_locked(channel);
    unlock(channel);
    channel_let_go(calls);
    return 0;
}

size_t weir_channel_count(const weir_channel *channel)
{
    if (channel == NULL)
        return 0;
    lock((weir_channel *)channel);
    size_t count = channel_kept(channel);
    unlock((weir_channel *)channel);
    return count;
}

size_t weir_channel_capacity(const weir_channel *channel)
{
    return channel != NULL ? channel->capacity : 0;
}

int weir_channel_is_closed(const weir_channel *channel)
{
    if (channel == NULL)
        return 0;
    lock((weir_channel *)channel);
    int closed = channel->closed;
    unlock((weir_channel *)channel);
    return closed;
}
