/* SPDX-License-Identifier: MIT */
/* size.h - how many workers a pool has, where that may change; and which of them may run jobs.
 *
 * A pool with `workers_max` has memory for so many workers, its seats, and one thread more: the
 * manager (manager.c). It alone starts workers, joins those that have left, and says how many there
 * are to be and how many may run. Everybody else changes the words below by single atomic steps,
 * and calls the manager if there is something to do for it. So there is no lock; and while the
 * manager does not run, the number of workers does not change, and nothing else is held up. A fixed
 * pool has no struct size, and comes to nothing of this.
 *
 * Rights. A worker runs jobs only while it has a right. There are `wanted` of them, and one more
 * for each time that the rule for growth has asked for one. A worker of which the task blocks gives
 * its right away meanwhile, so that there are more workers than rights; and one that has nothing to
 * do gives it back before it parks.
 *
 *     NONE --- take ---> RIGHT --- its task blocks ---> BLOCKED
 *          <-- give ---        <-- it goes on ---------
 *
 * The word has five counts, and changes by the steps of size.c only:
 *
 *     alive      workers, also one that is being started
 *     blocked    of these: BLOCKED
 *     held       of these: RIGHT. More than there are rights for a moment, if a wait is over
 *     waiting    of the blocked: those that wait for a right, in weir_blocking_end
 *     rights
 *
 * I1  alive <= most.
 * I2  A worker leaves only from NONE, and only if `wanted` others are left that are not blocked.
 *     Then it looks at the queue once more: a job that was queued before may have relied on it. If
 *     there is one, and a right, it stays.
 * I3  A job does not stay in the queue beside a right that nobody has and a worker that has none.
 *     Workers without a right sleep on the queue's `idle`. A thread that pushes a job looks at the
 *     word after that, and wakes one if a right is free. A thread that frees a right looks at the
 *     queue after that, and wakes one if there is a job (weir__size_offer). A worker that has just
 *     taken a right does the same once it has its first job. One that is about to sleep has said
 *     so, and looks at both.
 * I4  While workers wait for a right, no other takes one, but for the end of a wait. A thread that
 *     frees a right wakes one of them, and a worker that has jobs to do gives it up after its job.
 * I5  While there are jobs and no worker can take one, the manager knows it if it can do something:
 *     those that push or free a right, as in I3, find that none is to be woken, and call it. What
 *     it wants to be called for is in `alert`. It sets that, and then looks.
 *
 * All of I3 and I5 is of two sides, each of which changes something and then looks at what the
 * other changes. Steps, pushes and announcements are sequentially consistent read-modify-writes,
 * and the looks are loads of that kind: one of the two sees the other.
 *
 * Leaving. `ceiling` says how many workers there are to be at most; a worker that finds that there
 * are more leaves, if I2 lets it. It is a level, so nothing is lost if one does not.
 */
#ifndef WEIR_POOL_SIZE_H
#define WEIR_POOL_SIZE_H

#include "pool/queue.h"

enum { SIZE_BITS = 11, SIZE_LOOK_NS = 1000000 }; /* the latter: between two questions */
enum size_count { SIZE_ALIVE, SIZE_BLOCKED, SIZE_HELD, SIZE_WAITING, SIZE_RIGHTS };
#define SIZE_ONE(count) (UINT64_C(1) << (SIZE_BITS * (count)))

/* TAKEN: there is a thread, or is about to be. LEFT: it is to be joined. */
enum seat_state { SEAT_EMPTY, SEAT_TAKEN, SEAT_LEFT };

/* What the manager is to be called for: nothing; that there are fewer workers than rights and a
 * job is queued; and that all rights are held as well. */
enum size_alert { ALERT_NOTHING, ALERT_SHORT, ALERT_BUSY };

enum size_step {
    STEP_ADD,    /* one more worker, or one that was to leave stays */
    STEP_DROP,   /* it could not be started */
    STEP_LEAVE,  /* a worker leaves */
    STEP_TAKE,   /* a right */
    STEP_GIVE,   /* it back */
    STEP_BLOCK,  /* the task of a worker with a right blocks */
    STEP_GO_ON,  /* and is over with it, and takes a right in any case */
    STEP_RETURN, /* or takes one if there is one */
    STEP_WAIT,   /* or waits for one */
    STEP_SERVED, /* and takes it */
    STEP_DIE,    /* or ended its thread instead */
    STEPS
};

struct size {
    struct queue *queue;
    unsigned most; /* constant, as the next four */
    int64_t idle_timeout;
    int (*rule)(const weir_growth *growth, void *user);
    void *user;
    atomic(uint32_t) *seats;
    _Alignas(CACHE_LINE) atomic(uint64_t) word;
    atomic(unsigned) wanted;  /* workers that there are to be at least: changed by any thread, */
    atomic(uint32_t) resizes; /* which counts that here */
    atomic(uint32_t) left;    /* threads that have left their seats */
    atomic(unsigned) ceiling; /* the manager's, as the next one */
    atomic(uint32_t) alert;
    atomic(unsigned) needed;  /* the most workers that were not idle, and that had a right, at */
    atomic(unsigned) busiest; /* the starts of jobs since the manager cleared them */
    atomic(uint32_t) moved;   /* likewise: has a worker taken a job? */
    _Alignas(CACHE_LINE) struct eventcount called; /* the manager sleeps here, */
    struct eventcount served;                      /* and those that wait for a right */
    atomic(uint64_t) grown, shrunk, not_grown;     /* counts by themselves */
};

/* Of a worker; its own thread's. */
enum share_state { SHARE_NONE, SHARE_RIGHT, SHARE_BLOCKED };

struct share {
    struct size *size;
    enum share_state state;
};

static inline unsigned size_count(uint64_t word, enum size_count count)
{
    return (unsigned)(word >> (SIZE_BITS * count)) & ((1U << SIZE_BITS) - 1);
}

/* Workers whose task does not block. */
static inline unsigned size_unblocked(uint64_t word)
{
    return size_count(word, SIZE_ALIVE) - size_count(word, SIZE_BLOCKED);
}

/* Is there a worker without a right whose task does not block? */
static inline bool size_has_idle(uint64_t word)
{
    return size_unblocked(word) > size_count(word, SIZE_HELD);
}

/* Is there a right that nobody has, nor waits for? */
static inline bool size_has_right(uint64_t word)
{
    return size_count(word, SIZE_HELD) + size_count(word, SIZE_WAITING) <
           size_count(word, SIZE_RIGHTS);
}

/* Do workers wait for a right that there is? */
static inline bool size_serves(uint64_t word)
{
    return unlikely(size_count(word, SIZE_WAITING) != 0) &&
           size_count(word, SIZE_HELD) < size_count(word, SIZE_RIGHTS);
}

static inline uint64_t size_word(const struct size *size)
{
    return load_seqcst(&size->word); /* pairs with weir__size_step, weir__size_set_rights */
}

static inline unsigned size_wanted(const struct size *size)
{
    return load_seqcst(&size->wanted); /* pairs with weir__size_resize */
}

/* Is there a thread in the seat, or about to be? */
static inline bool size_has(const struct size *size, unsigned seat)
{
    return load_rlx(&size->seats[seat]) == SEAT_TAKEN; /* a hint */
}

/* Is a worker that has no right to leave? */
static inline bool size_is_above(const struct size *size, uint64_t word)
{
    /* pairs with weir__size_limit, let_stay */
    return unlikely(size_count(word, SIZE_ALIVE) > load_seqcst(&size->ceiling)) &&
           size_unblocked(word) > size_wanted(size);
}

/* So many were not idle, and had a right. Two threads may both raise a number, and the lower one
 * win: then the next start of a job raises it. */
static inline void size_note_use(struct size *size, uint64_t word)
{
    unsigned held = size_count(word, SIZE_HELD), needed = held + size_count(word, SIZE_BLOCKED);
    if (needed > load_rlx(&size->needed)) /* these all decide only who leaves when */
        store_rlx(&size->needed, needed);
    if (held > load_rlx(&size->busiest))
        store_rlx(&size->busiest, held);
}

/* A worker has taken a job. */
static inline void size_note_start(struct size *size)
{
    size_note_use(size, load_rlx(&size->word)); /* as there */
    if (load_rlx(&size->moved) == 0)            /* a hint: the manager looks again */
        store_rlx(&size->moved, 1);
}

/* Is a worker, after a job, to do something else than the next one? All relaxed: it looks again
 * after the next job, and in step with the others before it parks. */
static inline bool size_asks(const struct size *size)
{
    uint64_t word = load_rlx(&size->word);
    return unlikely(size_count(word, SIZE_WAITING) != 0 ||
                    size_count(word, SIZE_HELD) > size_count(word, SIZE_RIGHTS) ||
                    (size_count(word, SIZE_ALIVE) > load_rlx(&size->ceiling) &&
                     size_unblocked(word) > load_rlx(&size->wanted)));
}

struct size_options {
    unsigned workers, most;
    int64_t idle_timeout;
    int (*rule)(const weir_growth *growth, void *user);
    void *user;
};

/* 0 or -ENOMEM; to be released either way. */
int weir__size_init(struct size *size, struct queue *queue, const struct size_options *options);
/* `inherited`: by fork(). */
void weir__size_release(struct size *size, bool inherited);

/* False: the step is not allowed now. */
bool weir__size_step(struct size *size, enum size_step step);
/* A right may be free now, or a job may have nobody to take it: tells those whom it concerns. */
void weir__size_offer(struct size *size);
/* Any thread, in any state. */
void weir__size_resize(struct size *size, unsigned workers);

/* For a worker. */

/* Takes a right; false: there is none. Gives it back, and looks at the queue after that. */
bool weir__size_take(struct share *share);
void weir__size_give(struct share *share);
/* Its task blocks, if it has a right; false: it has none. It goes on, at once. */
bool weir__size_block(struct share *share);
void weir__size_go_on(struct share *share);
/* It goes on once it has a right. */
void weir__size_return(struct share *share, struct told told);
/* It ended its thread. */
void weir__size_died(struct share *share);
/* It has no right. True: it leaves. */
bool weir__size_leave(struct share *share);
/* The seat is free from now on: the last access of its thread to what is in it. */
void weir__size_left(struct size *size, unsigned seat);

/* For the manager. */

void weir__size_set_rights(struct size *size, unsigned rights);
/* So many workers at most. All that sleep look: whether they are to leave, or may go on now. */
void weir__size_limit(struct size *size, unsigned ceiling);
/* Could one more worker take a job that is queued, now; or could it with one more right? */
bool weir__size_is_short(const struct size *size);
bool weir__size_is_busy(const struct size *size);

#endif
