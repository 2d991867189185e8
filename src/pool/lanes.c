/* SPDX-License-Identifier: MIT */
#include "pool/lanes.h"

#include "base/sizes.h"

/* The first ticket of the lane, as far as this worker sees. */
static bool peek(struct seat *seat, unsigned k, uint32_t *ret_index)
{
    const struct lane *lane = queue_lane(seat->queue, k);
    return ring_peek_from(&lane->ring, seat->heads[k], &seat->heads[k], ret_index);
}

/* This worker has taken a share from lanes more urgent than this one, which has a job. True: the
 * meter had room for it. Else `*ret_stands` is where that stands. */
static bool add_share(const struct queue *queue, struct lane *lane, uint64_t *ret_stands)
{
    uint64_t full = queue->shares;            /* of each `full + 1` numbers, the last one */
    uint64_t stands = load_acq(&lane->meter); /* pairs with add_share, begin_meter_anew */
    do {
        if (stands % (full + 1) == full) {
            *ret_stands = stands;
            return false;
        }
        /* pairs with add_share, begin_meter_anew */
    } while (!cas_acqrel(&lane->meter, &stands, stands + 1));
    return true;
}

/* After a start of the lane, which was owed it as the meter stood. */
static void begin_meter_anew(struct lane *lane, uint64_t stood)
{
    (void)cas_acqrel(&lane->meter, &stood, stood + 1); /* pairs with add_share, begin_meter_anew */
}

static void owe_nothing(struct seat *seat, unsigned lane)
{
    seat->passed[lane] = 0;
    seat->vain[lane] = 0;
}

/* The lane that this worker took from last has had its start. */
static void settle_debt(struct seat *seat)
{
    if (unlikely(seat->owed != 0))
        begin_meter_anew(queue_lane(seat->queue, seat->lane), seat->owed - 1);
    owe_nothing(seat, seat->lane);
}

/* The worker is through with the job that it took last. */
static void forget_job(struct seat *seat)
{
    bool vain = unlikely(seat->owed != 0) && seat->taken != NULL; /* it has not started */
    if (vain && ++seat->vain[seat->lane] == LANE_VAIN)
        settle_debt(seat);
    seat->taken = NULL;
    seat->owed = 0;
}

/* The lane that this worker takes from next, and the first ticket there. False: all are empty. */
static bool choose(struct seat *seat, unsigned *ret_lane, uint32_t *ret_index)
{
    const struct queue *queue = seat->queue;
    uint64_t stands;
    forget_job(seat);
    for (unsigned k = queue->lane_count - 1; k > 0; k--) {
        if (likely(seat->passed[k] < queue->share))
            continue;
        *ret_lane = k;
        if (peek(seat, k, ret_index) && !add_share(queue, queue_lane(queue, k), &stands)) {
            seat->owed = stands + 1;
            return true;
        }
        owe_nothing(seat, k);
    }
    for (unsigned k = 0; k < queue->lane_count; k++) {
        *ret_lane = k;
        if (peek(seat, k, ret_index))
            return true;
    }
    return false;
}

static void count_taken(struct seat *seat, const struct job *job)
{
    for (unsigned k = seat->lane + 1; k < seat->queue->lane_count; k++)
        seat->passed[k]++;
    seat->taken = job;
}

bool weir__lanes_next(struct seat *seat, struct job *ret)
{
    unsigned lane;
    uint32_t index;
    while (choose(seat, &lane, &index))
        if (weir__queue_take_seen(seat, lane, index, ret) == TAKEN_JOB) {
            count_taken(seat, ret);
            return true;
        }
    return false;
}

void weir__lanes_started(struct seat *seat)
{
    seat->taken = NULL;
    settle_debt(seat);
}

void weir__lanes_idle(struct queue *queue)
{
    for (unsigned k = 0; k < queue->lane_count; k++)
        weir__room_idle(&queue_lane(queue, k)->room);
    weir__room_idle(&queue->clock_room);
}

void weir__lanes_wake_all(struct queue *queue)
{
    for (unsigned k = 0; k < queue->lane_count; k++)
        weir__room_wake_all(&queue_lane(queue, k)->room);
}

uint64_t weir__lanes_capacity(const struct queue *queue)
{
    uint64_t capacity = 0;
    for (unsigned k = 0; k < queue->lane_count; k++)
        capacity += queue_lane(queue, k)->ring.capacity;
    return capacity;
}

uint64_t weir__lanes_peak(const struct queue *queue)
{
    uint64_t peak = 0;
    for (unsigned k = 0; k < queue->lane_count; k++)
        peak += load_rlx(&queue_lane(queue, k)->peak); /* numbers by themselves */
    return peak;
}
