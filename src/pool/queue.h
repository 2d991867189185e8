/* SPDX-License-Identifier: MIT */
/* queue.h - the queue of a pool: jobs that were accepted and have not started.
 *
 * It puts together the lanes, each with its ring of tickets and the threads that wait for room in
 * it, the slots in which the jobs lie, the free slots, the idle workers, and the counts. Positions
 * in a ring are nobody else's business, but for marks: a mark says that no job put later is before
 * it. Marks are of the lane where jobs go that name none, as those of groups and loops do.
 *
 * Phases: OPEN -> CLOSED -> CANCELLED -> STOPPING -> STOPPED, never back; CANCELLED is left out
 * when all jobs ended by themselves. Changed by shutdown.c, under the pool's lock; read without.
 *
 * Claims. A job can be taken out of its slot by its claim (slot.h) instead of by its ticket. Then
 * its ticket is dead, keeps its place until it comes to the head, and is counted (tally.h). A claim
 * is counted before it is tried, as work of its own (quiet.h): so the pool stays until the thread
 * that tried and lost is through with it.
 *
 * A job that only the popper can want (no sink, queue open) is taken without a claim.
 *
 * The gate. If not all workers may run jobs at all times, one is woken for a job only if the gate
 * lets it (size.h). So that a thread which would wake one asks, also if none is asleep, `idle` has
 * one sleeper for ever that is no thread. So the short way of runs_in_place in submit.c is never
 * taken there, and must not be: what asks may have to call for one more worker. A queue without a
 * gate has none of that.
 *
 * Turns. A job without a function is a turn (turn.h). Before a thread takes its ticket, it keeps
 * the place that the ticket has; so no submit can get it in between.
 */
#ifndef WEIR_POOL_QUEUE_H
#define WEIR_POOL_QUEUE_H

#include <errno.h>

#include "base/assert.h"
#include "os/probe.h"
#include "base/pace.h"
#include "os/thread.h"
#include "pool/deques.h"
#include "pool/freelist.h"
#include "pool/lane.h"
#include "pool/quiet.h"
#include "pool/slot.h"
#include "record/event.h"

enum phase { POOL_OPEN, POOL_CLOSED, POOL_CANCELLED, POOL_STOPPING, POOL_STOPPED };

typedef uint64_t queue_mark;

/* What a queue is made with. */
struct queue_shape {
    uint32_t workers;                  /* that take from it */
    uint32_t more;                     /* slots that may be added */
    unsigned lanes, default_lane;      /* as in weir_pool_options, but from 0 on; as the next */
    unsigned burst;                    /* as there */
    uint32_t capacity[WEIR_MAX_LANES]; /* of each */
    uint32_t local;                    /* of each worker's deque; 0: they have none */
};

struct queue {
    struct lane lane;   /* where jobs go that name none */
    struct slot *slots; /* constant */
    struct freelist free;
    atomic(uint32_t) slot_count; /* of slots that there are; the memory is there for more */
    _Alignas(CACHE_LINE) atomic(int) phase;      /* read by each submit and pop, written rarely */
    weir_measure measure;                        /* constant, as are the next seven */
    unsigned lane_count;                         /* how many there are */
    unsigned share, shares;                      /* of a burst: see lanes.h */
    struct lane *lanes[WEIR_MAX_LANES];          /* by the number in a job */
    struct lane *by_urgency[WEIR_MAX_LANES];     /* see queue_lane */
    struct lane *others;                         /* all but `lane` */
    struct deques deques;                        /* of the workers: local.h */
    _Alignas(CACHE_LINE) struct eventcount idle; /* workers */
    struct size *size;                           /* constant, as the next: see weir__queue_gate */
    bool (*may_wake)(struct queue *queue);
    _Alignas(CACHE_LINE) struct room clock_room; /* of the clock's thread alone: due.c */
    atomic(uint32_t) clock_wants;                /* bits of the lanes in which that has no room */
    struct quiet quiet;
};

/* A worker's own side of the queue. */
struct seat {
    _Alignas(CACHE_LINE) struct queue *queue;
    const struct host *host; /* of the pool; compared only */
    struct tally *tally;
    struct watched *watched; /* where the watchdog of the pool sees its runs; or NULL */
    struct times *times;
    struct loaded slots;             /* free ones */
    uint32_t lane;                   /* that it took from last */
    bool submits;                    /* a job of its own did, since this was cleared */
    struct local *local;             /* its deque; NULL: it has none */
    uint64_t heads[WEIR_MAX_LANES];  /* where this worker last found the head of each */
    uint32_t passed[WEIR_MAX_LANES]; /* jobs it took from more urgent lanes: see lanes.h */
    uint32_t vain[WEIR_MAX_LANES];   /* jobs that the lane was owed, and that have not started */
    uint64_t owed;                   /* one more than where the meter of `lane` stood, if it was
                                        owed the job that this worker took last; else 0 */
    const struct job *taken;         /* that job, until it starts; compared only. NULL: it has, or
                                        there is one lane */
};

/* The lanes in the order of their urgency, from 0 on. Jobs number them otherwise: the one where
 * jobs go that name none has 0 there. */
static inline struct lane *queue_lane(const struct queue *queue, unsigned k)
{
    return queue->by_urgency[k];
}

/* Does the clock's thread wait for room in this lane? After a place became free. */
static inline bool clock_wants_room(struct queue *queue, const struct lane *lane)
{
    if (likely(!eventcount_has_sleepers(&queue->clock_room.waiting)))
        return false;
    uint32_t wanted = load_seqcst(&queue->clock_wants); /* pairs with says_wanted in due.c */
    return (wanted & lane_bit(lane)) != 0;
}

/* A place in the lane became free, or may be made so at its head. */
static inline void place_freed(struct queue *queue, struct lane *lane)
{
    room_freed(&lane->room);
    if (unlikely(clock_wants_room(queue, lane)))
        room_freed(&queue->clock_room);
}

/* The seat of the calling thread, if it is a worker at this queue; or NULL. */
static inline struct seat *own_seat(const struct queue *queue)
{
    struct seat *seat = this_thread()->seat;
    return seat != NULL && seat->queue == queue ? seat : NULL;
}

static inline struct tally *own_tally(const struct queue *queue)
{
    const struct seat *seat = own_seat(queue);
    return seat != NULL ? seat->tally : NULL;
}

/* Counts for the calling thread. */
#define COUNT(queue, count, n) TALLY(&(queue)->quiet.tallies, own_tally(queue), count, n)

/* 0, or -ENOMEM; to be destroyed either way. */
int weir__queue_init(struct queue *queue, const struct queue_shape *shape);
/* `inherited`: by fork(), so that the parent's threads may be asleep on the copies. */
void weir__queue_destroy(struct queue *queue, bool inherited);
void weir__seat_init(struct seat *seat, struct queue *queue, const struct host *host,
                     unsigned worker);

static inline int queue_phase(const struct queue *queue)
{
    return load_seqcst(&queue->phase); /* pairs with weir__queue_set_phase */
}

void weir__queue_set_phase(struct queue *queue, enum phase phase);

/* From now on, each time that a worker could be woken for a job, may_wake is asked; before others
 * know the queue. */
void weir__queue_gate(struct queue *queue, struct size *size,
                      bool (*may_wake)(struct queue *queue));

/* Of queue_notify. */
bool weir__queue_wake(struct queue *queue);

/* There is a job: wakes an idle worker, if there is one. True: a wake was made. */
static inline bool queue_notify(struct queue *queue)
{
    return unlikely(eventcount_has_sleepers(&queue->idle)) && weir__queue_wake(queue);
}

/* Putting. */

/* What weir__queue_retract needs to know. */
struct ticket {
    uint64_t position, claim;
};

/* Of queue_put. How many places are taken now that position `t` was filled, if that is a record. */
void weir__queue_note_peak(struct lane *lane, uint64_t t);
/* A worker was woken for the job. */
void weir__queue_woke(struct queue *queue);
/* The queue is full. If a worker is idle beside jobs, the thread that was to wake it is held up. */
void weir__queue_found_full(struct queue *queue);
/* The push failed. 0: the job was claimed in the meantime, so it was accepted, and never was in the
 * ring; there is no dead ticket, and the claim counts no more. */
int weir__queue_push_failed(struct queue *queue, uint32_t slot, const struct job *job,
                            uint64_t claim);

static inline bool queue_push(struct queue *queue, struct lane *lane, uint32_t slot,
                              uint64_t *ret_position, void (*lost)(void))
{
    uint64_t position;
    if (unlikely(!ring_push_or(&lane->ring, slot - 1, &position, lost))) {
        weir__queue_found_full(queue);
        return false;
    }
    bool woke = queue_notify(queue);
    if (unlikely(woke))
        weir__queue_woke(queue);
    int64_t taken = (int64_t)(position + 1 - load_rlx(&lane->head_seen)) + lane_kept(lane);
    if (unlikely(taken > (int64_t)load_rlx(&lane->peak)))
        weir__queue_note_peak(lane, position);
    *ret_position = position;
    return true;
}

static inline uint64_t queue_measure(const struct queue *queue)
{
    if (unlikely(queue->measure != WEIR_MEASURE_SAMPLED))
        return queue->measure == WEIR_MEASURE_ALL ? stamp_of(weir_now(), 0) : 0;
    return note_submit(&this_thread()->sampler);
}

/* The stamp of a job that is about to be queued, or to be run in place. */
static inline uint64_t queue_stamp(const struct queue *queue)
{
    uint64_t stamp = queue_measure(queue);
    if (stamp == 0 && (trace_on() || probe_wanted(task_start)))
        stamp = stamp_of_time(weir_now());
    return stamp;
}

/* Of one that waits for its time. These are all measured: a lock and an alarm cost more. */
static inline uint64_t queue_stamp_at(const struct queue *queue, int64_t time)
{
    return queue->measure != WEIR_MEASURE_NONE ? stamp_of(time, 0) : stamp_of_time(time);
}

/* To a trace and to tools: the job was put. */
void weir__queue_show_put(const struct queue *queue, const struct job *job,
                          const struct ticket *ticket);

/* Queues the job and wakes a worker. 0, or -EAGAIN: its lane has exactly as many as it can. Tells
 * the job's sink. Calls `lost` each time that another push was quicker. `lane`: the job's; `seat`:
 * own_seat(queue). */
static inline int queue_put(struct queue *queue, struct lane *lane, struct seat *seat,
                            const struct job *job, void (*lost)(void), struct ticket *ret)
{
    struct loaded *own = seat != NULL ? &seat->slots : NULL;
    uint32_t slot;
    while (unlikely((slot = freelist_take(&queue->free, own)) == LINK_NONE)) {
        if (lane_full(lane))
            return -EAGAIN;
        weir__thread_yield(); /* SLOT_MARGIN slots are in the hands of threads inside a call */
    }
    uint64_t stamp = job->stamp != 0 ? job->stamp : queue_stamp(queue);
    ret->claim = slot_fill(&queue->slots[slot - 1], job, stamp, job->lane);
    /* From here on the sink may be gone: if it can be told of a claim, another may end the job. */
    if (job->sink != NULL && sink_ops(job->sink)->placed != NULL)
        sink_ops(job->sink)->placed(job->sink, ret->claim, 0);
    if (unlikely(!queue_push(queue, lane, slot, &ret->position, lost)))
        return weir__queue_push_failed(queue, slot, job, ret->claim);
    if (trace_on() || probe_wanted(task_submit))
        weir__queue_show_put(queue, job, ret);
    return 0;
}

/* Claims back what was just put. False: it was popped or claimed, so it is accepted. */
bool weir__queue_retract(struct queue *queue, const struct ticket *ticket, const struct job *job);
/* The same if the ticket was not taken; that is for the caller to know. */
bool weir__queue_take_back(struct queue *queue, uint64_t claim, const struct job *job);
/* Queues the job of a slot that is filled already. False: full. */
bool weir__queue_put_slot(struct queue *queue, uint32_t slot);

/* A free slot (as index+1), however long it takes: threads inside a call have them all. */
uint32_t weir__queue_take_slot(struct queue *queue);
void weir__queue_give_slot(struct queue *queue, uint32_t slot);
/* Adds a slot to the free ones; one thread at a time. */
void weir__queue_add_slot(struct queue *queue);

/* Is there no room for a job of the calling thread that names no lane? */
static inline bool queue_full(const struct queue *queue)
{
    const struct seat *seat = own_seat(queue);
    return lane_full(&queue->lane) &&
           (seat == NULL || seat->local == NULL || deque_full(&seat->local->deque));
}

/* No job that names no lane and is put after this call is before the mark. */
static inline queue_mark queue_mark_end(const struct queue *queue)
{
    /* Acquire: a thread that sees a mark sees as full what was put before it, see errgroup.c. */
    return load_acq(&queue->lane.ring.tail); /* pairs with ring_push_or */
}

/* Taking. */

/* The oldest job, for a worker of a queue with one lane. False: the queue is empty. */
bool weir__queue_next(struct seat *seat, struct job *ret);

/* A ticket at the head of a lane. */
struct head {
    uint64_t position;
    uint32_t index;
};

static inline bool slot_claimed(const struct slot *slot)
{
    /* Part of a blocked submitter's look at the queue. seq_cst: a canceller that misses the sleeper
     * must be seen here; pairs with slot_claim. The pop confirms what is read. */
    return claim_taken(load_seqcst(&slot->claim));
}

/* Is the job in the slot claimed, or expired? If not, when it expires. */
static inline bool slot_done(const struct slot *slot, int64_t passed, int64_t *ret_until)
{
    if (slot_claimed(slot))
        return true;
    int64_t start_by = load_rlx(&slot->start_by);
    if (start_by != WEIR_FOREVER && (start_by <= passed || start_by <= weir_now()))
        return true;
    *ret_until = start_by;
    return false;
}

/* Is there a job at the head of the lane that was claimed, or has expired? If not, `*ret_until` is
 * when it will have. `passed`: as in room.h. */
static inline bool queue_head_done(const struct queue *queue, const struct lane *lane,
                                   int64_t passed, struct head *ret, int64_t *ret_until)
{
    *ret_until = WEIR_FOREVER;
    uint64_t from = ring_head(&lane->ring);
    struct seat *seat = likely(queue->lane_count == 1) ? own_seat(queue) : NULL;
    if (seat != NULL && (int64_t)(seat->heads[0] - from) > 0)
        from = seat->heads[0]; /* a worker that runs jobs in place looks again and again */
    bool any = ring_peek_from(&lane->ring, from, &ret->position, &ret->index);
    if (seat != NULL)
        seat->heads[0] = ret->position;
    return any && slot_done(&queue->slots[ret->index], passed, ret_until);
}

/* Is the lane known to be full, with a job at its head that was not claimed and never expires? */
static ALWAYS_INLINE bool queue_stays_full(const struct queue *queue, const struct lane *lane)
{
    uint32_t index;
    if (!ring_seen_full(&lane->ring, &index))
        return false;
    const struct slot *slot = &queue->slots[index]; /* if it was popped since: any slot */
    return !slot_claimed(slot) && load_rlx(&slot->start_by) == WEIR_FOREVER; /* as in slot_done */
}

enum taken { TAKEN_NONE, TAKEN_DEAD, TAKEN_JOB };

/* For a worker of a queue with several: takes the ticket at its head of this one, of the lanes by
 * their urgency. None: another thread did. */
enum taken weir__queue_take_seen(struct seat *seat, unsigned lane, uint32_t index, struct job *ret);
/* Takes the oldest ticket of the lane: none, a dead one, or with its job. */
enum taken weir__queue_take(struct queue *queue, struct lane *lane, struct job *ret);
/* Takes this one. None: another thread did. */
enum taken weir__queue_take_head(struct queue *queue, struct lane *lane, const struct head *head,
                                 struct job *ret);

/* After the ticket `index` was taken from a deque, by the worker `seat` or, if that is NULL, by
 * another thread: the job. False: another thread had claimed it. */
bool weir__queue_redeem(struct queue *queue, struct seat *seat, uint32_t index, struct job *ret);

/* Takes the job in `slot` by a claim. False: another thread has it. The first wakes nobody: it is
 * for one whose ticket is in a deque. `own`: own_tally(queue). */
static inline bool queue_try_claim(struct queue *queue, struct tally *own, struct slot *slot,
                                   uint64_t claim)
{
    TALLY(&queue->quiet.tallies, own, claimed, 1); /* first: the ticket may come out at once */
    bool won = slot_claim(slot, claim);
    if (likely(won))
        trace_taken(claim, NO_POSITION);
    else
        quiet_unclaimed(&queue->quiet, own);
    return won;
}

bool weir__queue_claim(struct queue *queue, struct slot *slot, uint64_t claim);
/* For a job that was claimed and has no ticket in the ring after all: its claim counts no more. */
void weir__queue_no_ticket(struct queue *queue);
/* The slot that a claim names, or NULL if this queue has none such. */
struct slot *weir__queue_slot_of(const struct queue *queue, uint64_t claim);

/* Claims the job in `slot` if there is one and it is of `sink`. */
bool weir__queue_claim_of(struct queue *queue, struct slot *slot, const struct sink *sink,
                          struct job *ret);
/* Claims the first job of `sink` in the ring from `*mark` on, and moves the mark behind it. */
bool weir__queue_claim_next(struct queue *queue, const struct sink *sink, queue_mark *mark,
                            struct job *ret);

/* Idle workers. */

/* Nothing in the ring, nor in a deque. */
bool weir__queue_empty(const struct queue *queue);
/* For a worker that was woken and has taken a job: wakes the next one if more is queued. */
void weir__queue_pass_wake(struct queue *queue);
/* Are so many more queued in the lane of the job that this worker took last? */
bool weir__queue_has_lead(const struct seat *seat);

/* Is there a lane with no room? */
bool weir__queue_has_full_lane(const struct queue *queue);

/* Jobs that are queued and not dead: exact at rest. */
uint64_t weir__queue_count(const struct queue *queue);

#endif
