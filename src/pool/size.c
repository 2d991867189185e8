/* SPDX-License-Identifier: MIT */
/* size.c - the steps of the word, and what workers and submitters do with it. The protocol is in
 * size.h. */
#include "pool/size.h"

#include <errno.h>

#include "os/alloc.h"
#include "record/notes.h"

#define ALIVE SIZE_ONE(SIZE_ALIVE)
#define BLOCKED SIZE_ONE(SIZE_BLOCKED)
#define HELD SIZE_ONE(SIZE_HELD)
#define WAITING SIZE_ONE(SIZE_WAITING)
#define RIGHTS SIZE_ONE(SIZE_RIGHTS)

/* Steps. */

/* Added to the word, modulo 2^64: no count goes below 0. */
static const uint64_t change[STEPS] = {
    [STEP_ADD] = ALIVE,
    [STEP_DROP] = -ALIVE,
    [STEP_LEAVE] = -ALIVE,
    [STEP_TAKE] = HELD,
    [STEP_GIVE] = -HELD,
    [STEP_BLOCK] = BLOCKED - HELD,
    [STEP_GO_ON] = HELD - BLOCKED,
    [STEP_RETURN] = HELD - BLOCKED,
    [STEP_WAIT] = WAITING,
    [STEP_SERVED] = HELD - BLOCKED - WAITING,
    [STEP_DIE] = -BLOCKED,
};

static bool allowed(const struct size *size, uint64_t word, enum size_step step)
{
    switch (step) {
    case STEP_ADD:
        return size_count(word, SIZE_ALIVE) < size->most;
    case STEP_LEAVE:
        return size_is_above(size, word);
    case STEP_TAKE:
    case STEP_RETURN:
        return size_has_right(word);
    case STEP_SERVED:
        return size_count(word, SIZE_HELD) < size_count(word, SIZE_RIGHTS);
    default:
        return true;
    }
}

bool weir__size_step(struct size *size, enum size_step step)
{
    uint64_t word = size_word(size); /* a false answer is a look, as before a sleep */
    do
        if (!allowed(size, word, step))
            return false;
    while (!cas_seqcst(&size->word, &word, word + change[step])); /* pairs with size_word */
    return true;
}

/* Which thread is to be woken or called. */

/* A job is queued, and no worker can take it: can the manager do something? */
static inline bool is_short(const struct size *size, uint64_t word)
{
    return size_has_right(word) && !size_has_idle(word) &&
           size_count(word, SIZE_ALIVE) < size->most;
}

static inline bool is_busy(const struct size *size, uint64_t word)
{
    return !size_has_right(word) && (size_count(word, SIZE_ALIVE) < size->most ||
                                     size_unblocked(word) > size_count(word, SIZE_RIGHTS));
}

/* For the queue, which has a job: may an idle worker be woken? */
static bool may_wake(struct queue *queue)
{
    struct size *size = queue->size;
    uint64_t word = size_word(size);
    if (size_has_right(word) && size_has_idle(word))
        return true;
    if (size_serves(word)) /* the thread that freed the right may be stopped before that */
        (void)eventcount_notify(&size->served);
    uint32_t alert = load_seqcst(&size->alert); /* pairs with publish */
    if ((alert >= ALERT_SHORT && is_short(size, word)) ||
        (alert >= ALERT_BUSY && is_busy(size, word)))
        (void)eventcount_notify(&size->called);
    return false;
}

void weir__size_offer(struct size *size)
{
    if (size_serves(size_word(size)))
        (void)eventcount_notify(&size->served);
    weir__queue_pass_wake(size->queue);
}

bool weir__size_is_short(const struct size *size)
{
    uint64_t word = size_word(size);
    unsigned alive = size_count(word, SIZE_ALIVE);
    return (alive < size_wanted(size) && alive < size->most) ||
           (is_short(size, word) && !weir__queue_empty(size->queue));
}

bool weir__size_is_busy(const struct size *size)
{
    return is_busy(size, size_word(size)) && !weir__queue_empty(size->queue);
}

void weir__size_resize(struct size *size, unsigned workers)
{
    (void)xchg_seqcst(&size->wanted, workers); /* pairs with size_wanted */
    add_seqcst(&size->resizes, 1);             /* pairs with obey */
    (void)eventcount_notify(&size->called);
}

void weir__size_set_rights(struct size *size, unsigned rights)
{
    uint64_t word = size_word(size), next;
    do
        next = word + RIGHTS * rights - RIGHTS * size_count(word, SIZE_RIGHTS);
    while (!cas_seqcst(&size->word, &word, next)); /* pairs with size_word */
}

void weir__size_limit(struct size *size, unsigned ceiling)
{
    (void)xchg_seqcst(&size->ceiling, ceiling); /* pairs with size_is_above */
    weir__eventcount_wake_all(&size->served);
    weir__eventcount_wake_all(&size->queue->idle);
}

/* For a worker. */

bool weir__size_take(struct share *share)
{
    if (share->state == SHARE_RIGHT)
        return true;
    if (!weir__size_step(share->size, STEP_TAKE))
        return false;
    share->state = SHARE_RIGHT;
    return true;
}

void weir__size_give(struct share *share)
{
    struct size *size = share->size;
    if (share->state != SHARE_RIGHT)
        return;
    share->state = SHARE_NONE;
    (void)weir__size_step(size, STEP_GIVE);
    if (size_serves(size_word(size)))
        (void)eventcount_notify(&size->served);
}

bool weir__size_block(struct share *share)
{
    if (share->state != SHARE_RIGHT)
        return false;
    share->state = SHARE_BLOCKED;
    (void)weir__size_step(share->size, STEP_BLOCK);
    weir__size_offer(share->size);
    return true;
}

static void have_right_again(struct share *share)
{
    share->state = SHARE_RIGHT;
    weir__size_offer(share->size);
}

void weir__size_go_on(struct share *share)
{
    (void)weir__size_step(share->size, STEP_GO_ON);
    have_right_again(share);
}

static COLD void wait_for_right(struct size *size)
{
    (void)weir__size_step(size, STEP_WAIT);
    for (;;) {
        uint32_t key = eventcount_prepare(&size->served);
        if (weir__size_step(size, STEP_SERVED))
            break;
        (void)weir__eventcount_sleep(&size->served, key, WEIR_FOREVER);
    }
    eventcount_cancel(&size->served);
}

void weir__size_return(struct share *share, struct told told)
{
    struct size *size = share->size;
    if (share->state != SHARE_BLOCKED)
        return;
    if (!weir__size_step(size, STEP_RETURN)) {
        note_block(told);
        wait_for_right(size);
        note_unblock();
    }
    have_right_again(share);
}

void weir__size_died(struct share *share)
{
    if (share->state != SHARE_BLOCKED)
        return; /* a right goes on to the next thread in the seat */
    (void)weir__size_step(share->size, STEP_DIE);
    share->state = SHARE_NONE;
}

bool weir__size_leave(struct share *share)
{
    struct size *size = share->size;
    if (!weir__size_step(size, STEP_LEAVE))
        return false;
    if (size_has_right(size_word(size)) && !weir__queue_empty(size->queue) &&
        weir__size_step(size, STEP_ADD)) /* I2 */
        return false;
    add_rlx(&size->shrunk, 1); /* a count by itself */
    weir__size_offer(size);
    return true;
}

void weir__size_left(struct size *size, unsigned seat)
{
    store_rel(&size->seats[seat], SEAT_LEFT); /* pairs with join_left */
    add_seqcst(&size->left, 1);               /* pairs with join_left */
    (void)eventcount_notify(&size->called);
}

/* The rule, unless there is another. */
int weir_growth_rule(const weir_growth *growth, void *user)
{
    (void)user;
    return growth != NULL && growth->stalled_ns >= SIZE_LOOK_NS &&
           (growth->queued > 2 * (size_t)growth->workers || growth->full);
}

/* The beginning, and the end. */

int weir__size_init(struct size *size, struct queue *queue, const struct size_options *options)
{
    size->queue = queue;
    size->most = options->most;
    size->idle_timeout = options->idle_timeout;
    size->rule = options->rule != NULL ? options->rule : weir_growth_rule;
    size->user = options->user;
    weir__eventcount_init(&size->called);
    weir__eventcount_init(&size->served);
    /* Nobody else knows it yet. */
    store_rlx(&size->word, (ALIVE + RIGHTS) * options->workers);
    store_rlx(&size->wanted, options->workers);
    store_rlx(&size->ceiling, options->most);
    size->seats = weir__alloc(options->most, sizeof *size->seats);
    if (size->seats == NULL)
        return -ENOMEM;
    for (unsigned i = 0; i < options->workers; i++)
        store_rlx(&size->seats[i], SEAT_TAKEN);
    weir__queue_gate(queue, size, may_wake);
    return 0;
}

void weir__size_release(struct size *size, bool inherited)
{
    if (!inherited) {
        weir__eventcount_destroy(&size->called);
        weir__eventcount_destroy(&size->served);
    }
    weir__free(size->seats);
}
