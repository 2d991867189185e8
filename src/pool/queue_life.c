/* SPDX-License-Identifier: MIT */
/* queue_life.c - making a queue with its lanes, and destroying it. */
#include <errno.h>

#include "os/alloc.h"
#include "pool/queue.h"

_Static_assert(sizeof(struct slot) == CACHE_LINE, "a slot is what freelist.c fetches");

/* Positions in the n-th queue of a process start at n * 2^32: so a mark from a queue that is no
 * more is below all positions of a later one at the same address. */
static atomic(uint64_t) queues_made;

/* Which lane has which number, and the memory of those besides the first. */
static int place_lanes(struct queue *queue, const struct queue_shape *shape)
{
    uint32_t others = shape->lanes - 1, numbers = 1;
    if (others != 0) {
        queue->others = weir__alloc(others, sizeof *queue->others);
        if (queue->others == NULL)
            return -ENOMEM;
    }
    queue->lane_count = shape->lanes;
    for (unsigned k = 0; k < shape->lanes; k++) {
        bool is_default = k == shape->default_lane;
        uint32_t number = is_default ? 0 : numbers++;
        struct lane *lane = is_default ? &queue->lane : &queue->others[number - 1];
        lane->number = number;
        queue->lanes[number] = queue->by_urgency[k] = lane;
        weir__eventcount_init(&lane->room.waiting);
    }
    return 0;
}

static int make_lane(struct queue *queue, struct lane *lane, uint32_t capacity, uint64_t first)
{
    ring_word *words = weir__alloc((size_t)ring_slots(capacity), sizeof *words);
    if (words == NULL)
        return -ENOMEM;
    ring_init(&lane->ring, words, capacity, first);
    store_rlx(&lane->head_seen, first); /* no other thread yet */
    lane->first = first;
    queue->quiet.rings[queue->quiet.ring_count++] = &lane->ring;
    queue->quiet.first += first;
    return 0;
}

/* Of a burst, each worker has a share before it asks the others, and the meter holds the rest. A
 * share of more than one is an eighth of the burst in all hands: so the meter is seldom written. A
 * worker that is alone need not ask. */
static void set_shares(struct queue *queue, uint32_t workers, unsigned burst)
{
    unsigned share = workers == 1 ? burst : burst / workers / 8;
    queue->share = share > 1 ? share : 1;
    uint64_t in_hands = (uint64_t)queue->share * workers;
    queue->shares = burst > in_hands ? (unsigned)(burst - in_hands) / queue->share : 0;
}

static int make_lanes(struct queue *queue, const struct queue_shape *shape)
{
    uint64_t first = add_rlx(&queues_made, 1) << 32; /* unique is all that it must be */
    int err = place_lanes(queue, shape);
    for (unsigned k = 0; k < shape->lanes && err == 0; k++)
        err = make_lane(queue, queue_lane(queue, k), shape->capacity[k], first);
    return err;
}

int weir__queue_init(struct queue *queue, const struct queue_shape *shape)
{
    struct tallies *tallies = &queue->quiet.tallies;
    uint32_t capacity = shape->workers * shape->local;
    for (unsigned k = 0; k < shape->lanes; k++)
        capacity += shape->capacity[k];
    uint32_t count = freelist_slots(capacity, shape->workers), most = count + shape->more;
    weir__eventcount_init(&queue->idle);
    weir__eventcount_init(&queue->clock_room.waiting);
    set_shares(queue, shape->workers, shape->burst);
    int err = make_lanes(queue, shape);
    queue->slots = weir__alloc_untouched(most, sizeof *queue->slots);
    tallies->of_workers = weir__alloc(shape->workers, sizeof *tallies->of_workers);
    int list_err = weir__freelist_init(&queue->free, count, most, shape->workers, queue->slots);
    if (err != 0 || queue->slots == NULL || tallies->of_workers == NULL || list_err != 0 ||
        weir__deques_init(&queue->deques, shape->workers, shape->local) != 0)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; i++)
        slot_init(&queue->slots[i], i);
    store_rlx(&queue->slot_count, count); /* no other thread yet */
    tallies->workers = shape->workers;
    return 0;
}

/* The positions that it has used are not used again. Marks are of the first lane. */
static void retire_positions(const struct queue *queue)
{
    uint64_t used = ring_end(&queue->lane.ring, 0) >> 32;
    uint64_t made = load_rlx(&queues_made);
    while (made <= used && !cas_rlx(&queues_made, &made, used + 1)) /* a number by itself */
        continue;
}

void weir__queue_destroy(struct queue *queue, bool inherited)
{
    if (queue->lane.ring.words != NULL)
        retire_positions(queue);
    if (!inherited) {
        weir__eventcount_destroy(&queue->idle);
        weir__eventcount_destroy(&queue->clock_room.waiting);
    }
    for (unsigned k = 0; k < queue->lane_count; k++) {
        struct lane *lane = queue_lane(queue, k);
        if (!inherited)
            weir__eventcount_destroy(&lane->room.waiting);
        weir__free(lane->ring.words);
    }
    weir__freelist_destroy(&queue->free);
    weir__deques_destroy(&queue->deques);
    weir__free(queue->quiet.tallies.of_workers);
    weir__free(queue->slots);
    weir__free(queue->others);
}

void weir__seat_init(struct seat *seat, struct queue *queue, const struct host *host,
                     unsigned worker)
{
    seat->host = host;
    seat->queue = queue;
    seat->tally = &queue->quiet.tallies.of_workers[worker];
    seat->slots = freelist_first_magazine(worker);
    for (unsigned k = 0; k < queue->lane_count; k++)
        seat->heads[k] = queue_lane(queue, k)->first;
    seat->local = deques_used(&queue->deques) ? &queue->deques.of_workers[worker] : NULL;
}
