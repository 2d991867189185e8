/* SPDX-License-Identifier: MIT */
/* algorithm.h - the lock-free MPMC ring, for words of any width.
 *
 * Positions count pushes from 0 and never wrap in practice (64 bits). The word of position p, at
 * index p mod N, holds a sequence number and an item:
 *
 *     sequence p      free, waits for push number p
 *     sequence p+1    holds the item of position p
 *     sequence p+N    the item was taken: free for the next lap
 *
 * push: CAS {t, none} -> {t+1, item} at the first word that is not filled; pop: CAS {h+1, item} ->
 * {h+N, none} at the first that is not consumed. That CAS is the whole operation: a thread stopped
 * anywhere holds nothing. `tail` and `head` are hints, stored after the CAS; they may lag and even
 * go backwards when a thread was preempted before its store, so every operation scans on from them.
 *
 * Invariants:
 *   I1  Filled positions are a prefix, and so are consumed ones; at most N are filled only.
 *   I2  "Filled" and "consumed" never become false again, so what a scan has passed stays passed.
 *   I3  A hint never exceeds the position up to which everything was filled (consumed).
 *   I4  At most `capacity` positions are filled and not consumed: push at t first sees that
 *       position t - capacity was consumed.
 *   I5  `room` is the capacity less the places that are kept: a popper lowers it before it takes an
 *       item whose place is to be kept for a later push. A push looks at `room` after it has seen
 *       that place consumed: so items and kept places never exceed the capacity together. In
 *       between the item counts twice, or more often if several poppers want it.
 * From I1 and I3: a push that scanned up to t and finds position t - capacity not consumed has seen
 * exactly `capacity` items queued; a pop that scanned up to h and finds h not filled has seen none.
 *
 * Which order carries what:
 *   word_fill in a push -> word_ahead in a pop     the item, and all that came before the push
 *   word_drain in a pop -> word_ahead in a push    the popper has finished with the word, and with
 *                                                  what it read
 *   a hint's store -> its load    what the hint says was filled (consumed) is visible as filled.
 *                                 Without that an item can be lost or doubled on weak memory, also
 *                                 with the sequentially consistent words of index_ring.h: a thread
 *                                 that starts from a hint has not looked at the words before it.
 * A pool's idle worker relies on more: its last look at the ring and a submitter's CAS are
 * sequentially consistent (word_ahead, word_fill), see wait/eventcount.c.
 *
 * The includer defines ring_word, ring_item and
 *   int64_t word_ahead(word, p)      sequence - p, signed, from a load that is at least acquire
 *   ring_item word_item(word)        the item, to be confirmed by the CAS
 *   bool word_fill(word, p, item)    CAS {p, none} -> {p+1, item}
 *   bool word_drain(word, p, item, next)   CAS {p+1, item} -> {next, none}
 */
#ifndef WEIR_RING_ALGORITHM_H
#define WEIR_RING_ALGORITHM_H

#include "base/assert.h"
#include "base/atomic.h"
#include "base/pace.h"

/* After a lost CAS: lets the word's line settle. */
static inline void ring_back_off(void)
{
    cpu_relax(RING_BACKOFF);
}

struct ring {
    _Alignas(CACHE_LINE) atomic(uint64_t) tail; /* hint, written by pushers */
    _Alignas(CACHE_LINE) atomic(uint64_t) head; /* hint, written by poppers */
    _Alignas(CACHE_LINE) ring_word *words;      /* constant, as the next two */
    uint64_t mask;                              /* N - 1 */
    uint64_t capacity;                          /* 1 to N */
    atomic(uint64_t) room;                      /* I5; hardly ever written */
};

/* Below 0 while several poppers keep a place for the same item: one of them will take it. */
static inline int64_t ring_room(const struct ring *ring)
{
    /* I5: the word that was seen consumed shows what was kept. seq_cst, as looks at words are: a
     * pool's submitter that waits for room misses no place. Pairs with ring_give_place. */
    return (int64_t)load_seqcst(&ring->room);
}

/* Of a thread that is about to take an item whose place is kept. */
static inline void ring_keep_place(struct ring *ring)
{
    (void)sub_rlx(&ring->room, 1); /* I5: published when the item is taken */
}

static inline void ring_give_place(struct ring *ring)
{
    (void)add_seqcst(&ring->room, 1); /* pairs with ring_room */
}

/* The smallest N for a capacity. */
static inline uint64_t ring_slots(uint64_t capacity)
{
    uint64_t n = 2;
    while (n < capacity)
        n *= 2;
    return n;
}

static inline ring_word *ring_at(const struct ring *ring, uint64_t position)
{
    return &ring->words[position & ring->mask];
}

/* Is `position` filled (bias 0) or consumed (bias 1)? */
static inline bool ring_passed(const struct ring *ring, uint64_t position, unsigned bias)
{
    return word_ahead(ring_at(ring, position), position + bias) > 0;
}

/* The first position after `from` that was not seen filled (bias 0) or consumed (bias 1). `from`
 * itself is, and its word is `ahead` ahead. Gallops, so that a stale hint costs O(log N). */
static COLD uint64_t ring_skip_far(const struct ring *ring, uint64_t from, int64_t ahead,
                                   unsigned bias)
{
    /* A word k laps ahead says that position from + (k-1)*N has been passed. */
    uint64_t n = ring->mask + 1;
    uint64_t laps = ((uint64_t)ahead + bias) / n;
    uint64_t low = laps > 1 ? from + (laps - 1) * n : from;
    uint64_t step = 1;
    while (step < n && ring_passed(ring, low + step, bias)) {
        low += step;
        step *= 2;
    }
    while (step > 1) {
        step /= 2;
        if (ring_passed(ring, low + step, bias))
            low += step;
    }
    return low + 1;
}

static inline uint64_t ring_skip(const struct ring *ring, uint64_t from, int64_t ahead,
                                 unsigned bias)
{
    if (likely((uint64_t)ahead + bias < 2 * (ring->mask + 1) && !ring_passed(ring, from + 1, bias)))
        return from + 1;
    return ring_skip_far(ring, from, ahead, bias);
}

/* Pushes `item` and writes its position. False: exactly `capacity` items are queued. Calls `lost`
 * each time that another push was quicker. */
static inline bool ring_push_or(struct ring *ring, ring_item item, uint64_t *ret_position,
                                void (*lost)(void))
{
    uint64_t t = load_acq(&ring->tail); /* pairs with ring_push_or */
    for (;;) {
        ring_word *word = ring_at(ring, t);
        int64_t ahead = word_ahead(word, t); /* sees what a popper's word_drain did */
        if (likely(ahead == 0)) {
            int64_t room = ring_room(ring); /* after the word: I5 */
            /* I4; below 0 in the first lap: reads as consumed. Not below t if there is no room. */
            uint64_t oldest = t - (uint64_t)room;
            if (room <= (int64_t)ring->mask) {
                if (word_ahead(ring_at(ring, oldest), oldest + ring->mask + 1) < 0)
                    return false;
                if (unlikely(ring_room(ring) < room)) /* I5 */
                    continue;
            }
            if (likely(word_fill(word, t, item))) {
                /* pairs with ring_push_or, ring_push_kept, ring_end, ring_seen_full,
                 * queue_mark_end in pool/queue.h */
                store_rel(&ring->tail, t + 1);
                *ret_position = t;
                return true;
            }
            lost();
        } else if (ahead < 0) {
            return false;
        } else {
            t = ring_skip(ring, t, ahead, 0);
        }
    }
}

/* Pushes an item for which a place is kept (I5), and gives up the place. */
static inline uint64_t ring_push_kept(struct ring *ring, ring_item item)
{
    uint64_t t = load_acq(&ring->tail); /* pairs with ring_push_or */
    for (;;) {
        ring_word *word = ring_at(ring, t);
        int64_t ahead = word_ahead(word, t); /* never below 0: fewer than N are filled only */
        if (ahead > 0) {
            t = ring_skip(ring, t, ahead, 0);
        } else if (likely(word_fill(word, t, item))) {
            store_rel(&ring->tail, t + 1); /* pairs with ring_push_or, ring_end, ring_seen_full */
            ring_give_place(ring);         /* last: the item has one of its own now */
            return t;
        } else {
            ring_back_off();
        }
    }
}

static inline bool ring_push(struct ring *ring, ring_item item, uint64_t *ret_position)
{
    return ring_push_or(ring, item, ret_position, ring_back_off);
}

/* Writes the first position, from `h` on, that is not consumed. True: it holds an item, which is
 * written too. */
static inline bool ring_peek_from(const struct ring *ring, uint64_t h, uint64_t *ret_position,
                                  ring_item *ret_item)
{
    for (;;) {
        ring_word *word = ring_at(ring, h);
        int64_t ahead = word_ahead(word, h + 1); /* sees what a pusher's word_fill published */
        if (ahead > 0) {
            h = ring_skip(ring, h, ahead, 1);
            continue;
        }
        *ret_position = h;
        if (ahead < 0)
            return false;
        *ret_item = word_item(word);
        return true;
    }
}

/* From where to look for the first position that is not consumed. */
static inline uint64_t ring_head(const struct ring *ring)
{
    return load_acq(&ring->head); /* pairs with ring_take, ring_take_from */
}

static inline bool ring_peek(const struct ring *ring, uint64_t *ret_position, ring_item *ret_item)
{
    return ring_peek_from(ring, ring_head(ring), ret_position, ret_item);
}

/* Takes `item` from `position`, unless another thread did. */
static inline bool ring_take(struct ring *ring, uint64_t position, ring_item item)
{
    if (!word_drain(ring_at(ring, position), position, item, position + ring->mask + 1))
        return false;
    store_rel(&ring->head, position + 1); /* pairs with ring_head, ring_end */
    return true;
}

/* Pops the oldest item and its position. False: the ring is empty. */
static inline bool ring_pop(struct ring *ring, uint64_t *ret_position, ring_item *ret_item)
{
    while (likely(ring_peek(ring, ret_position, ret_item))) {
        if (likely(ring_take(ring, *ret_position, *ret_item)))
            return true;
        ring_back_off();
    }
    return false;
}

/* ring_take for a thread that pops again and again, and peeks from where it was, `*hint`: it stores
 * `head` for the others only now and then. All poppers write `head`; so its line mostly stays put.
 */
static inline bool ring_take_from(struct ring *ring, uint64_t *hint, ring_item item)
{
    uint64_t h = *hint;
    if (unlikely(!word_drain(ring_at(ring, h), h, item, h + ring->mask + 1)))
        return false;
    *hint = h + 1;
    if (h % RING_TELL == RING_TELL - 1)
        store_rel(&ring->head, h + 1); /* pairs with ring_head, ring_end */
    return true;
}

/* Does the word of `position` still hold its item? */
static inline bool ring_holds(const struct ring *ring, uint64_t position)
{
    return word_ahead(ring_at(ring, position), position + 1) == 0;
}

/* The first position that is not filled (bias 0) or not consumed (bias 1). */
static inline uint64_t ring_end(const struct ring *ring, unsigned bias)
{
    /* pairs with ring_push_or, ring_push_kept, ring_take, ring_take_from */
    uint64_t p = bias == 0 ? load_acq(&ring->tail) : load_acq(&ring->head);
    for (;;) {
        int64_t ahead = word_ahead(ring_at(ring, p), p + bias);
        if (ahead <= 0)
            return p;
        p = ring_skip(ring, p, ahead, bias);
    }
}

/* Are exactly `capacity` items queued? */
static inline bool ring_full(const struct ring *ring)
{
    uint64_t oldest = ring_end(ring, 0) - (uint64_t)ring_room(ring); /* I4, as in ring_push_or */
    return word_ahead(ring_at(ring, oldest), oldest + ring->mask + 1) < 0;
}

/* The same, quickly, of a ring of which no place is kept: false also if one is, or the hint lags.
 * Writes the oldest item; if it returns false, any number. */
static ALWAYS_INLINE bool ring_seen_full(const struct ring *ring, ring_item *ret_oldest)
{
    /* By I4: if what is so far behind the hint is queued, nothing is queued beyond the hint. */
    uint64_t tail = load_acq(&ring->tail); /* pairs with ring_push_or, ring_push_kept */
    uint64_t oldest = tail - ring->capacity;
    const ring_word *word = ring_at(ring, oldest);
    /* The hint shows that the word was filled. If it is not consumed below, it was not here. */
    *ret_oldest = word_item(word);
    return ring_room(ring) == (int64_t)ring->capacity &&
           word_ahead(word, oldest + ring->mask + 1) < 0;
}

/* How many items are queued: exact at rest. */
static inline uint64_t ring_count(const struct ring *ring)
{
    uint64_t head = ring_end(ring, 1); /* first: then the difference cannot be negative */
    uint64_t queued = ring_end(ring, 0) - head;
    return queued < ring->capacity ? queued : ring->capacity;
}

#endif
