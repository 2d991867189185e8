/* SPDX-License-Identifier: MIT */
/* ring.c - the ring by itself: index_ring.h with a capacity of our choice, and weir/ring.h over it;
 * and the stack of free slots.
 *
 * What is pushed are numbers of items, and the items are plain memory: that they arrive whole is
 * checked as a data race would be. No thread ever has more items under way than its share, so that
 * every "full" and every "empty" is a false one.
 */
#include "scenario.h"

#include "ring/index_ring.h"

enum { MAX_ITEMS = 16, LAPS = 3 };

struct bench {
    struct ring ring;
    ring_word words[4];
    unsigned items[MAX_ITEMS]; /* number + 1 once written */
    unsigned popped[MAX_ITEMS];
};

static struct bench *new_bench(uint64_t capacity)
{
    struct bench *bench = make(sizeof *bench);
    ring_init(&bench->ring, bench->words, capacity, 0);
    count_ring_laps(&bench->ring);
    return bench;
}

static void push(struct bench *bench, unsigned item)
{
    uint64_t position;
    bench->items[item] = item + 1;
    check(ring_push(&bench->ring, item, &position)); /* false: a false full */
}

static unsigned pop(struct bench *bench)
{
    uint64_t position;
    uint32_t item;
    check(ring_pop(&bench->ring, &position, &item)); /* false: a false empty */
    check(item < MAX_ITEMS && bench->items[item] == item + 1);
    bench->items[item] = 0;
    bench->popped[item]++;
    return item;
}

/* Each pops one for each that it has pushed: there is always room, and always something. */
static void push_and_pop(struct bench *bench, unsigned thread)
{
    for (unsigned i = 0; i < LAPS; i++) {
        push(bench, thread * LAPS + i);
        (void)pop(bench);
    }
}

static void push_and_pop_second(void *arg)
{
    push_and_pop(arg, 1);
}

static void push_and_pop_third(void *arg)
{
    push_and_pop(arg, 2);
}

static void check_and_drop(struct bench *bench, unsigned items)
{
    uint64_t position;
    uint32_t item;
    check(!ring_pop(&bench->ring, &position, &item));
    check(ring_count(&bench->ring) == 0);
    for (unsigned i = 0; i < items; i++)
        check(bench->popped[i] == 1);
    drop(bench);
}

static void two_push_and_pop(uint64_t capacity)
{
    struct bench *bench = new_bench(capacity);
    loads_may_be_late();
    explore_begin();
    struct vthread *second = start(push_and_pop_second, bench);
    push_and_pop(bench, 0);
    finish(second);
    explore_end();
    check_and_drop(bench, 2 * LAPS);
}

static void never_falsely_full_or_empty(void)
{
    two_push_and_pop(2);
}

static void never_falsely_full_or_empty_with_three(void)
{
    struct bench *bench = new_bench(3);
    loads_may_be_late();
    explore_begin();
    struct vthread *second = start(push_and_pop_second, bench);
    struct vthread *third = start(push_and_pop_third, bench);
    push_and_pop(bench, 0);
    finish(second);
    finish(third);
    explore_end();
    check_and_drop(bench, 3 * LAPS);
}

/* One pushes 0, 1, 2, ... when there is room, one pops when there is something. */

struct stream {
    struct bench *bench;
    unsigned length;
};

static void push_stream(void *arg)
{
    const struct stream *stream = arg;
    struct bench *bench = stream->bench;
    for (unsigned i = 0; i < stream->length; i++) {
        uint64_t position;
        bench->items[i] = i + 1;
        while (!ring_push(&bench->ring, i, &position))
            give_way("a full ring");
    }
}

static void stream(uint64_t capacity, unsigned length)
{
    struct bench *bench = new_bench(capacity);
    struct stream *stream = make(sizeof *stream);
    *stream = (struct stream){bench, length};
    loads_may_be_late();
    explore_begin();
    struct vthread *pusher = start(push_stream, stream);
    for (unsigned i = 0; i < length; i++) {
        uint64_t position;
        uint32_t item;
        while (!ring_pop(&bench->ring, &position, &item))
            give_way("an empty ring");
        check(item == i && bench->items[i] == i + 1);
        check(ring_count(&bench->ring) <= capacity);
        bench->popped[i]++;
    }
    finish(pusher);
    explore_end();
    check_and_drop(bench, length);
    drop(stream);
}

static void first_in_first_out(void)
{
    stream(2, 5);
}

static void first_in_first_out_with_one_place(void)
{
    stream(1, 5);
}

static void first_in_first_out_below_the_slots(void)
{
    stream(3, 8);
}

/* With one place and two pushers: exactly one of two pushes succeeds. */
struct contest {
    struct bench *bench;
    unsigned pushed;
};

static void push_if_room(void *arg)
{
    struct contest *contest = arg;
    uint64_t position;
    contest->bench->items[1] = 2;
    contest->pushed = ring_push(&contest->bench->ring, 1, &position) ? 1 : 0;
}

static void exactly_full(void)
{
    struct bench *bench = new_bench(1);
    for (unsigned lap = 0; lap < 3; lap++) { /* the ring has two words */
        push(bench, 0);
        (void)pop(bench);
    }
    bench->popped[0] = 0;
    struct contest *contest = make(sizeof *contest);
    *contest = (struct contest){bench, 0};
    loads_may_be_late();
    explore_begin();
    struct vthread *other = start(push_if_room, contest);
    uint64_t position;
    bench->items[0] = 1;
    unsigned pushed = ring_push(&bench->ring, 0, &position) ? 1 : 0;
    finish(other);
    check(pushed + contest->pushed == 1);
    check(pop(bench) == (pushed == 1 ? 0U : 1U));
    explore_end();
    drop(contest);
    check_and_drop(bench, 0);
}

/* A thread that comes second starts from the hint that the first one left, so it has not looked at
 * the first one's word; and a third one, which it tells, must still find all as it was left. */
struct relay {
    struct bench *bench;
    uint64_t before;       /* positions that were used before */
    atomic(unsigned) told; /* the second one was really second */
};

static struct relay *new_relay(uint64_t capacity, uint64_t before)
{
    struct relay *relay = make(sizeof *relay);
    relay->bench = new_bench(capacity);
    relay->before = before;
    for (uint64_t i = 0; i < before; i++) {
        push(relay->bench, 0);
        (void)pop(relay->bench);
    }
    relay->bench->popped[0] = 0;
    return relay;
}

static void end_relay(struct relay *relay)
{
    drop(relay->bench);
    drop(relay);
}

static void push_one(void *arg)
{
    struct relay *relay = arg;
    push(relay->bench, 1);
}

static void push_one_and_tell(void *arg)
{
    struct relay *relay = arg;
    uint64_t position;
    relay->bench->items[2] = 3;
    check(ring_push(&relay->bench->ring, 2, &position));
    if (position == relay->before + 1)
        store_rel(&relay->told, 1);
}

/* Likewise, into a place that was kept. */
static void push_one_kept(void *arg)
{
    struct relay *relay = arg;
    relay->bench->items[3] = 4;
    (void)ring_push_kept(&relay->bench->ring, 3);
}

static void push_one_kept_and_tell(void *arg)
{
    struct relay *relay = arg;
    relay->bench->items[3] = 4;
    if (ring_push_kept(&relay->bench->ring, 3) == relay->before + 1)
        store_rel(&relay->told, 1);
}

/* All that is queued, and nothing else, lies between the ends. */
static void check_between_the_ends(struct relay *relay)
{
    const struct ring *ring = &relay->bench->ring;
    uint64_t end = ring_end(ring, 0);
    for (uint64_t p = relay->before; p < end; p++)
        check(ring_holds(ring, p));
}

static void push_after_push(void (*push_first)(void *), void (*push_second)(void *))
{
    struct relay *relay = new_relay(4, 8);
    ring_keep_place(&relay->bench->ring);
    loads_may_be_late();
    explore_begin();
    struct vthread *a = start(push_first, relay), *b = start(push_second, relay);
    if (load_acq(&relay->told) != 0)
        (void)pop(relay->bench);
    else
        check_between_the_ends(relay);
    finish(a);
    finish(b);
    explore_end();
    end_relay(relay);
}

static void a_push_after_a_push(void)
{
    push_after_push(push_one, push_one_and_tell);
}

static void a_push_after_a_kept_one(void)
{
    push_after_push(push_one_kept, push_one_and_tell);
}

static void a_kept_push_after_a_push(void)
{
    push_after_push(push_one, push_one_kept_and_tell);
}

/* The place of an item is kept by those who want it, several at once perhaps, and nobody else gets
 * it. */
static void take_and_keep(void *arg)
{
    struct relay *relay = arg;
    struct ring *ring = &relay->bench->ring;
    uint64_t position;
    uint32_t item;
    if (!ring_peek(ring, &position, &item))
        return;
    ring_keep_place(ring);
    if (!ring_take(ring, position, item))
        ring_give_place(ring);
}

static void kept_against_a_push(uint64_t capacity)
{
    struct relay *relay = new_relay(capacity, 6);
    struct ring *ring = &relay->bench->ring;
    uint64_t position;
    for (uint64_t i = 0; i < capacity; i++)
        push(relay->bench, 1);
    loads_may_be_late();
    explore_begin();
    struct vthread *a = start(take_and_keep, relay), *b = start(take_and_keep, relay);
    check(!ring_push(ring, 2, &position));
    finish(a);
    finish(b);
    check(!ring_push(ring, 2, &position) && ring_full(ring));
    for (uint64_t i = ring_count(ring); i < capacity; i++)
        (void)ring_push_kept(ring, 1);
    check(ring_count(ring) == capacity && ring_room(ring) == (int64_t)capacity);
    explore_end();
    end_relay(relay);
}

static void a_kept_place_against_a_push(void)
{
    kept_against_a_push(1);
}

static void kept_places_against_a_push(void)
{
    kept_against_a_push(2);
}

static void pop_one(void *arg)
{
    struct relay *relay = arg;
    (void)pop(relay->bench);
}

static void pop_one_and_tell(void *arg)
{
    struct relay *relay = arg;
    uint64_t position;
    uint32_t item;
    check(ring_pop(&relay->bench->ring, &position, &item));
    if (position == relay->before + 1)
        store_rel(&relay->told, 1);
}

/* A worker, whose own hint is right, and which tells it at one position in RING_TELL. */
static void pop_one_as_a_worker(void *arg)
{
    struct relay *relay = arg;
    uint64_t hint = relay->before;
    uint32_t item;
    do {
        check(ring_peek_from(&relay->bench->ring, hint, &hint, &item));
    } while (!ring_take_from(&relay->bench->ring, &hint, item));
}

static void pop_after_pop(void (*pop_first)(void *))
{
    struct relay *relay = new_relay(2, RING_TELL - 1);
    push(relay->bench, 1);
    push(relay->bench, 2);
    loads_may_be_late();
    explore_begin();
    struct vthread *a = start(pop_first, relay), *b = start(pop_one_and_tell, relay);
    if (load_acq(&relay->told) != 0) {
        check(!ring_full(&relay->bench->ring));
        push(relay->bench, 3);
    }
    finish(a);
    finish(b);
    explore_end();
    end_relay(relay);
}

static void a_pop_after_a_pop(void)
{
    pop_after_pop(pop_one);
}

static void a_pop_after_a_worker_s(void)
{
    pop_after_pop(pop_one_as_a_worker);
}

/* What was pushed and popped again counts for nothing: the end of what was popped is not beyond the
 * end of what was pushed, to a thread that looks at them in this order. */
static void push_and_pop_two(void *arg)
{
    struct relay *relay = arg;
    for (unsigned i = 1; i <= 2; i++) {
        push(relay->bench, i);
        (void)pop(relay->bench);
    }
}

static void a_count_from_aside(void)
{
    struct relay *relay = new_relay(4, 8);
    loads_may_be_late();
    explore_begin();
    struct vthread *other = start(push_and_pop_two, relay);
    check(ring_count(&relay->bench->ring) <= 2);
    finish(other);
    explore_end();
    end_relay(relay);
}

/* The same while no more than one is queued: so a ring for two is not full. */
static void a_look_whether_it_is_full(void)
{
    struct relay *relay = new_relay(2, 8);
    ring_item oldest;
    loads_may_be_late();
    explore_begin();
    struct vthread *other = start(push_and_pop_two, relay);
    check(!ring_seen_full(&relay->bench->ring, &oldest));
    finish(other);
    explore_end();
    end_relay(relay);
}

/* The public ring. */

struct bursts {
    weir_ring *ring;
    unsigned items[4];
};

/* Two threads, two laps, two items: eight pushes into a ring of four words. */
static void burst_pair(struct bursts *bursts, unsigned first)
{
    void *items[2] = {&bursts->items[first], &bursts->items[first + 1]};
    for (int lap = 0; lap < 2; lap++) {
        ++*(unsigned *)items[0];
        ++*(unsigned *)items[1];
        check(weir_ring_push_burst(bursts->ring, items, 2) == 2);
        check(weir_ring_pop_burst(bursts->ring, items, 2) == 2);
        ++*(unsigned *)items[0];
        ++*(unsigned *)items[1];
    }
}

static void burst_second(void *arg)
{
    burst_pair(arg, 2);
}

static void bursts(void)
{
    struct bursts *bursts = make(sizeof *bursts);
    int err = weir_ring_new(&bursts->ring, 4);
    check(err == 0);
    loads_may_be_late();
    explore_begin();
    struct vthread *second = start(burst_second, bursts);
    burst_pair(bursts, 0);
    finish(second);
    explore_end();
    check(weir_ring_count(bursts->ring) == 0);
    unsigned sum = 0;
    for (int i = 0; i < 4; i++)
        sum += bursts->items[i];
    check(sum == 16); /* each of two threads, in each of two laps: two items, twice */
    weir_ring_free(bursts->ring);
    drop(bursts);
}

const struct scenario ring_scenarios[] = {
    {"ring: never falsely full or empty", never_falsely_full_or_empty, false},
    {"ring: never falsely full or empty, three threads", never_falsely_full_or_empty_with_three,
     false},
    {"ring: first in, first out", first_in_first_out, false},
    {"ring: first in, first out, one place", first_in_first_out_with_one_place, false},
    {"ring: first in, first out, three places of four", first_in_first_out_below_the_slots, false},
    {"ring: exactly full", exactly_full, false},
    {"ring: a push after a push", a_push_after_a_push, false},
    {"ring: a push after one into a kept place", a_push_after_a_kept_one, false},
    {"ring: a push into a kept place after a push", a_kept_push_after_a_push, false},
    {"ring: a kept place against a push", a_kept_place_against_a_push, false},
    {"ring: two kept places against a push", kept_places_against_a_push, false},
    {"ring: a pop after a pop", a_pop_after_a_pop, false},
    {"ring: a pop after a worker's", a_pop_after_a_worker_s, false},
    {"ring: a count from aside", a_count_from_aside, false},
    {"ring: full or not, from aside", a_look_whether_it_is_full, false},
    {"ring: bursts", bursts, false},
    {0},
};
