/* SPDX-License-Identifier: MIT */
/* deque.h - a bounded deque of numbers: one thread, the owner, pushes and takes at its young end,
 * all threads take at its old end (D. Chase and Y. Lev, "Dynamic circular work-stealing deque",
 * 2005; the orders after N. M. Le and others, "Correct and efficient work-stealing for weak memory
 * models", 2013). It knows nothing of pools.
 *
 * Positions count up from 0. What is queued lies in the words from `top`, the oldest, up to before
 * `bottom`. Only the owner changes `bottom`, up and down; `top` only grows, by a CAS of the thread
 * that takes the oldest, be it the owner.
 *
 * Invariants:
 *   I1  top <= bottom <= top + capacity, but that bottom is one lower inside a take that comes too
 *       late.
 *   I2  What is queued is returned once: the word at `top` by the CAS that moves it, be it the
 *       owner's, any other one by the owner's take. That lowers `bottom` first and then looks at
 *       `top`; a thief looks at `top` and then at `bottom`. So of the two that want a word, either
 *       the owner finds it at `top`, and needs the CAS as well, or the thief finds nothing there.
 *       An owner that changes another word in between, by a sequentially consistent
 *       read-modify-write, lowers `bottom` by a store that relies on that one
 *       (store_ahead_seqcst); to all others it is the same.
 *   I3  A word is written again only once the owner has seen that `top` is beyond its position; or
 *       after the owner took it, and then thieves that have read it lose their CAS: it was either
 *       the last one, so that `top` moved, or not at `top`.
 * A thread that is stopped anywhere has one number in hand at most. All others go on.
 *
 * Which order carries what:
 *   deque_push -> deque_range, deque_oldest   the word, and all that came before the push
 *   deque_take_oldest -> deque_full           the thief has read the word
 * The look at `bottom` before a thread parks, and the push, are sequentially consistent too, as the
 * ring's are (wait/eventcount.h).
 */
#ifndef WEIR_POOL_DEQUE_H
#define WEIR_POOL_DEQUE_H

#include "base/assert.h"
#include "base/atomic.h"

struct deque {
    _Alignas(CACHE_LINE) atomic(uint64_t) top;    /* written by whoever takes the oldest */
    _Alignas(CACHE_LINE) atomic(uint64_t) bottom; /* written by the owner */
    uint64_t top_seen;                            /* of the owner: `top` was there at least */
    atomic(uint32_t) *words;                      /* constant, as the next two */
    uint64_t mask;
    uint64_t capacity; /* 1 to mask + 1 */
};

/* The smallest number of words for a capacity. */
static inline uint32_t deque_words(uint32_t capacity)
{
    uint32_t n = 1;
    while (n < capacity)
        n *= 2;
    return n;
}

/* `words`: deque_words(capacity) of them, 0 all. No other thread knows it yet. */
static inline void deque_init(struct deque *deque, atomic(uint32_t) *words, uint32_t capacity)
{
    store_rlx(&deque->top, 0);
    store_rlx(&deque->bottom, 0);
    deque->top_seen = 0;
    deque->words = words;
    deque->mask = deque_words(capacity) - 1;
    deque->capacity = capacity;
}

/* What was at a position. It counts only once it was taken, or if it does no harm to be wrong. */
static inline uint32_t deque_at(const struct deque *deque, uint64_t position)
{
    return load_rlx(&deque->words[position & deque->mask]); /* shown by `bottom`; else see I3 */
}

/* Of the owner. */

static inline bool deque_full(struct deque *deque)
{
    uint64_t bottom = load_rlx(&deque->bottom); /* our own */
    if (likely(bottom - deque->top_seen < deque->capacity))
        return false;
    deque->top_seen = load_acq(&deque->top); /* I3: pairs with deque_take_oldest */
    return bottom - deque->top_seen >= deque->capacity;
}

/* deque_full was just false. Returns the position. */
static inline uint64_t deque_push(struct deque *deque, uint32_t number)
{
    uint64_t bottom = load_rlx(&deque->bottom); /* our own */
    weir_assert(bottom - deque->top_seen < deque->capacity);
    store_rlx(&deque->words[bottom & deque->mask], number); /* published by the next step */
    (void)xchg_seqcst(&deque->bottom, bottom + 1); /* pairs with deque_range, deque_oldest */
    return bottom;
}

/* The newest, if it is still there. True: deque_take will return this one, or nothing. */
static inline bool deque_newest(const struct deque *deque, uint32_t *ret_number)
{
    uint64_t bottom = load_rlx(&deque->bottom);         /* our own */
    if ((int64_t)(bottom - load_rlx(&deque->top)) <= 0) /* a hint: it only grows */
        return false;
    *ret_number = deque_at(deque, bottom - 1);
    return true;
}

/* Takes the newest, if there are several, in two steps; between them comes a sequentially
 * consistent read-modify-write of something else. False: there is one at most, and no second step
 * follows. */
static inline bool deque_begin_take(struct deque *deque)
{
    uint64_t bottom = load_rlx(&deque->bottom) - 1;    /* our own */
    if ((int64_t)(bottom - load_rlx(&deque->top)) < 1) /* as in deque_newest */
        return false;
    store_ahead_seqcst(&deque->bottom, bottom); /* I2: pairs with deque_range, deque_oldest */
    return true;
}

/* False: thieves have taken it meanwhile. */
static inline bool deque_end_take(struct deque *deque)
{
    uint64_t bottom = load_rlx(&deque->bottom); /* our own */
    uint64_t top = load_seqcst(&deque->top);    /* pairs with deque_take_oldest */
    int64_t older = (int64_t)(bottom - top);
    if (likely(older > 0))
        return true;
    /* They have come at least that far; pairs with deque_oldest. */
    bool ours = older == 0 && cas_seqcst(&deque->top, &top, top + 1);
    store_rlx(&deque->bottom, bottom + 1); /* it is empty: nothing to publish */
    return ours;
}

/* Takes the newest at once. False: it is empty. */
static inline bool deque_take(struct deque *deque, uint32_t *ret_number)
{
    uint64_t bottom = load_rlx(&deque->bottom) - 1; /* our own */
    uint64_t top = load_rlx(&deque->top);           /* too low, at worst */
    int64_t older = (int64_t)(bottom - top);
    if (older < 0)
        return false;
    *ret_number = deque_at(deque, bottom);
    if (older == 0)                                    /* the last one, in the way of a thief */
        return cas_seqcst(&deque->top, &top, top + 1); /* pairs with deque_oldest */
    (void)xchg_seqcst(&deque->bottom, bottom); /* I2: pairs with deque_range, deque_oldest */
    return deque_end_take(deque);
}

/* Has the one that the owner pushed there not been taken? The owner has not, nor what is older. */
static inline bool deque_holds(const struct deque *deque, uint64_t position)
{
    return load_seqcst(&deque->top) <= position; /* pairs with deque_take_oldest */
}

/* Of all threads. */

/* The positions of what is queued, for a look at it without taking it. */
static inline void deque_range(const struct deque *deque, uint64_t *ret_top, uint64_t *ret_bottom)
{
    uint64_t top = load_rlx(&deque->top); /* too low, at worst: then there are some too many */
    uint64_t bottom = load_seqcst(&deque->bottom); /* pairs with deque_push, deque_take,
                                                      deque_begin_take */
    if ((int64_t)(bottom - top) < 0)
        bottom = top; /* the owner is taking the last one, or `top` moved on */
    else if (bottom - top > deque->capacity)
        top = bottom - deque->capacity; /* likewise */
    *ret_top = top;
    *ret_bottom = bottom;
}

/* How many are queued: exact at rest, and not 0 by mistake. */
static inline uint64_t deque_count(const struct deque *deque)
{
    uint64_t top, bottom;
    deque_range(deque, &top, &bottom);
    return bottom - top;
}

/* The oldest and where it is, to be taken by the next call. False: it is empty. */
static inline bool deque_oldest(const struct deque *deque, uint64_t *ret_position,
                                uint32_t *ret_number)
{
    /* I2: in this order. pairs with deque_take_oldest, deque_take, deque_end_take */
    uint64_t top = load_seqcst(&deque->top);
    uint64_t bottom = load_seqcst(&deque->bottom); /* pairs with deque_push, deque_take,
                                                      deque_begin_take */
    if ((int64_t)(bottom - top) <= 0)
        return false;
    *ret_position = top;
    *ret_number = deque_at(deque, top);
    return true;
}

/* Takes the one that deque_oldest has found there. False: another thread did. */
static inline bool deque_take_oldest(struct deque *deque, uint64_t position)
{
    /* pairs with deque_full, deque_end_take, deque_holds, deque_oldest */
    return cas_seqcst(&deque->top, &position, position + 1);
}

#endif
