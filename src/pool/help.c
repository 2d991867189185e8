/* SPDX-License-Identifier: MIT */
/* help.c - waiting for a group of tasks, which on a worker means running them.
 *
 * A worker that only slept while it waits could be the one that its tasks need. So it takes queued
 * tasks of what it waits for, and of nothing else: strangers could want locks that its caller
 * holds. It finds them by walking the ring from the head, or from where the group's first one can
 * be; it walks each position once, since later members are queued behind.
 *
 * A member queued after that walk wakes it: the waiter is entered before it walks, and who queues a
 * member pushes before it looks for waiters, all sequentially consistent.
 *
 * When none is queued, what is left runs elsewhere. If it is short it is over before this thread
 * would be asleep; so it lingers for a moment, once, and again after each task that it ran.
 */
#include "pool/pool.h"

#include <errno.h>

/* Some two microseconds on x86-64. */
enum { LINGER_LOOKS = 8, LINGER_PAUSES = 16 };

struct help {
    weir_pool *pool; /* whose queue to walk, or NULL */
    owner owner;
    uint64_t at; /* positions before it were walked */
    bool (*over)(void *arg);
    void *arg;
    struct job job;
    bool found;
    unsigned looks; /* still to come, while it lingers */
};

/* Takes the next queued task of the owner. */
static bool take_member(struct help *help)
{
    weir_pool *pool = help->pool;
    uint64_t head = ring_end(&pool->ring, 1), tail = ring_end(&pool->ring, 0);
    if (help->at < head || help->at > tail) /* the latter: a hint from a pool that is no more */
        help->at = head;
    for (; help->at < tail; help->at++) {
        const ring_word *word = ring_at(&pool->ring, help->at);
        if (word_ahead(word, help->at + 1) != 0)
            continue;
        struct slot *slot =
            &pool->slab.slots[word_item(word)];  /* if it was popped since: any slot */
        uint64_t claim = load_acq(&slot->claim); /* A11 */
        if (claim_taken(claim) || load_rlx(&slot->owner) != help->owner)
            continue; /* a hint: A10 comes */
        slot_read(slot, &help->job);
        if (help->job.owner == help->owner && weir__take_out_of_turn(pool, slot, claim)) { /* R12 */
            help->at++;
            return true;
        }
    }
    return false;
}

static bool over_or_found(void *arg)
{
    struct help *help = arg;
    if (help->over(help->arg))
        return true;
    if (help->pool == NULL)
        return false;
    help->found = take_member(help);
    for (; !help->found && help->looks > 0; help->looks--) {
        cpu_relax(LINGER_PAUSES);
        if (help->over(help->arg))
            return true;
    }
    return help->found;
}

int weir__wait_helping(weir_pool *helped, owner o, const void *object, uint64_t first,
                       bool (*over)(void *arg), void *arg, weir_context *ctx,
                       const weir_context *const also[2], int64_t deadline)
{
    struct help help = {.owner = o, .at = first, .over = over, .arg = arg};
    for (;;) {
        /* Not when the deadline has passed: a task may take long. */
        bool late = deadline != WEIR_FOREVER && deadline <= weir_now();
        help.pool = late ? NULL : helped;
        help.found = false;
        help.looks = helped != NULL && helped->spins != 0 ? LINGER_LOOKS : 0;
        int err = weir__wait_until(help.pool != NULL ? helper_key(object) : object, over_or_found,
                                   &help, ctx, also, deadline);
        if (err != 0 || !help.found)
            return err;
        weir__run(helped, &help.job, 0);
    }
}

weir_pool *weir__helped(weir_pool *pool)
{
    return pool->outside_waiters_help || weir__inside(pool) ? pool : NULL;
}
