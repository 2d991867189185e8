/* SPDX-License-Identifier: MIT */
/* ring.c - the lock-free ring by itself.
 *
 * The stress tests pass pointers to records that check themselves: a torn or invented pointer is
 * not one of the records, a doubled one was taken before, and the fields are plain, so that
 * ThreadSanitizer sees whether the push publishes them.
 */
#include "support/suite.h"

#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "support/gate.h"
#include "weir/ring.h"

static weir_ring *new_ring(size_t capacity)
{
    weir_ring *ring = NULL;
    ck_assert_int_eq(weir_ring_new(&ring, capacity), 0);
    ck_assert_ptr_nonnull(ring);
    return ring;
}

/* An element that stands for the number n. */
static void *item(size_t n)
{
    return (void *)(uintptr_t)n;
}

/* These are called so often that Check's bookkeeping for each assertion would take most of the
 * time; so it is called for failures only. */

static void push(weir_ring *ring, size_t n)
{
    int err = weir_ring_push(ring, item(n));
    if (err != 0)
        ck_abort_msg("push returned %d", err);
}

static void pop(weir_ring *ring, size_t n)
{
    void *got = NULL;
    int err = weir_ring_pop(ring, &got);
    if (err != 0 || got != item(n))
        ck_abort_msg("pop returned %d and %p, %p was expected", err, got, item(n));
}

static void assert_count(weir_ring *ring, size_t n)
{
    size_t count = weir_ring_count(ring);
    if (count != n)
        ck_abort_msg("the count is %zu, %zu was expected", count, n);
}

static void assert_full(weir_ring *ring)
{
    int err = weir_ring_push(ring, item(99));
    if (err != -EAGAIN)
        ck_abort_msg("a push to a full ring returned %d", err);
    assert_count(ring, weir_ring_capacity(ring));
}

static void assert_empty(weir_ring *ring)
{
    void *got = &got;
    int err = weir_ring_pop(ring, &got);
    if (err != -EAGAIN || got != &got)
        ck_abort_msg("a pop from an empty ring returned %d and %p", err, got);
    assert_count(ring, 0);
}

START_TEST(a_ring_is_made_for_every_power_of_two)
{
    for (size_t capacity = 2; capacity <= (size_t)1 << 16; capacity *= 2) {
        weir_ring *ring = new_ring(capacity);
        ck_assert_uint_eq(weir_ring_capacity(ring), capacity);
        assert_empty(ring);
        weir_ring_free(ring);
    }
}
END_TEST

START_TEST(the_largest_ring_works)
{
    weir_ring *ring = new_ring((size_t)1 << 23);
    ck_assert_uint_eq(weir_ring_capacity(ring), (size_t)1 << 23);
    push(ring, 1);
    push(ring, 2);
    ck_assert_uint_eq(weir_ring_count(ring), 2);
    pop(ring, 1);
    pop(ring, 2);
    assert_empty(ring);
    weir_ring_free(ring);
}
END_TEST

START_TEST(other_capacities_are_refused)
{
    static const size_t capacities[] = {
        0,
        1,
        3,
        5,
        6,
        7,
        9,
        1000,
        ((size_t)1 << 23) - 1,
        ((size_t)1 << 23) + 1,
        (size_t)1 << 24,
        (size_t)1 << 30,
        (size_t)1 << 31,
        SIZE_MAX / 2 + 1,
        SIZE_MAX,
    };
    for (size_t i = 0; i < sizeof capacities / sizeof capacities[0]; i++) {
        weir_ring *ring = item(77);
        ck_assert_int_eq(weir_ring_new(&ring, capacities[i]), -EINVAL);
        ck_assert_ptr_eq(ring, item(77));
    }
}
END_TEST

START_TEST(a_ring_with_elements_can_be_freed)
{
    weir_ring *ring = new_ring(8);
    for (size_t i = 0; i < 5; i++)
        push(ring, i);
    weir_ring_free(ring);
    weir_ring_free(NULL);
}
END_TEST

START_TEST(null_is_refused_by_every_call)
{
    weir_ring *ring = new_ring(2);
    void *got = item(77);
    void *items[2] = {item(1), item(2)};

    ck_assert_int_eq(weir_ring_new(NULL, 2), -EINVAL);
    ck_assert_int_eq(weir_ring_push(NULL, item(1)), -EINVAL);
    ck_assert_int_eq(weir_ring_pop(NULL, &got), -EINVAL);
    ck_assert_ptr_eq(got, item(77));
    ck_assert_uint_eq(weir_ring_push_burst(NULL, items, 2), 0);
    ck_assert_uint_eq(weir_ring_pop_burst(NULL, items, 2), 0);
    ck_assert_uint_eq(weir_ring_push_burst(ring, NULL, 2), 0);
    ck_assert_uint_eq(weir_ring_count(NULL), 0);
    ck_assert_uint_eq(weir_ring_capacity(NULL), 0);
    assert_empty(ring);

    push(ring, 5);
    ck_assert_int_eq(weir_ring_pop(ring, NULL), -EINVAL);
    ck_assert_uint_eq(weir_ring_pop_burst(ring, NULL, 2), 0);
    pop(ring, 5);
    weir_ring_free(ring);
}
END_TEST

START_TEST(elements_come_out_in_the_order_of_their_pushes)
{
    weir_ring *ring = new_ring(8);
    size_t in = 0, out = 0;
    /* Every fill level at every position: the steps are coprime to the capacity. */
    for (int step = 0; step < 200; step++) {
        for (int i = 0; i < 7 && in - out < 8; i++)
            push(ring, in++);
        assert_count(ring, in - out);
        for (int i = 0; i < 5 && out < in; i++)
            pop(ring, out++);
        assert_count(ring, in - out);
    }
    while (out < in)
        pop(ring, out++);
    assert_empty(ring);
    weir_ring_free(ring);
}
END_TEST

START_TEST(full_and_empty_are_exact_in_every_lap)
{
    for (size_t capacity = 2; capacity <= 1024; capacity *= 2) {
        weir_ring *ring = new_ring(capacity);
        for (size_t lap = 0; lap < 5; lap++) {
            for (size_t i = 0; i < capacity; i++) {
                assert_count(ring, i);
                push(ring, lap * capacity + i);
            }
            assert_full(ring);
            assert_full(ring);
            for (size_t i = 0; i < capacity; i++)
                pop(ring, lap * capacity + i);
            assert_empty(ring);
            assert_empty(ring);
            /* The next lap begins one slot later. */
            push(ring, lap);
            pop(ring, lap);
        }
        weir_ring_free(ring);
    }
}
END_TEST

START_TEST(a_full_ring_takes_one_for_each_that_leaves)
{
    for (size_t capacity = 2; capacity <= 64; capacity *= 2) {
        weir_ring *ring = new_ring(capacity);
        size_t in = 0;
        while (in < capacity)
            push(ring, in++);
        for (size_t out = 0; out < 5 * capacity; out++) {
            assert_full(ring);
            pop(ring, out);
            push(ring, in++);
        }
        assert_full(ring);
        weir_ring_free(ring);
    }
}
END_TEST

START_TEST(a_ring_stays_exact_after_many_passages)
{
    weir_ring *ring = new_ring(2);
    for (size_t i = 0; i < 100000; i++) {
        push(ring, i);
        pop(ring, i);
    }
    assert_empty(ring);
    push(ring, 1);
    push(ring, 2);
    assert_full(ring);
    weir_ring_free(ring);
}
END_TEST

START_TEST(any_pointer_value_is_an_element)
{
    static const uintptr_t values[] = {
        0,
        1,
        2,
        UINTPTR_MAX,
        UINTPTR_MAX - 1,
        UINTPTR_MAX >> 1,
        (UINTPTR_MAX >> 1) + 1,
        UINTPTR_MAX / 3,
        UINTPTR_MAX / 3 * 2,
        UINTPTR_MAX >> 16,
        ~(UINTPTR_MAX >> 16),
    };
    enum { VALUES = sizeof values / sizeof values[0] };

    weir_ring *ring = new_ring(16);
    for (size_t lap = 0; lap < 20; lap++) {
        for (size_t i = 0; i < VALUES; i++)
            push(ring, values[i]);
        ck_assert_uint_eq(weir_ring_count(ring), VALUES);
        for (size_t i = 0; i < VALUES; i++)
            pop(ring, values[i]);
        assert_empty(ring);
    }
    weir_ring_free(ring);
}
END_TEST

START_TEST(a_ring_full_of_null_is_full_and_one_full_of_ones_too)
{
    static const uintptr_t values[] = {0, UINTPTR_MAX};
    for (size_t v = 0; v < 2; v++) {
        weir_ring *ring = new_ring(4);
        for (size_t lap = 0; lap < 10; lap++) {
            for (size_t i = 0; i < 4; i++)
                push(ring, values[v]);
            assert_full(ring);
            for (size_t i = 0; i < 4; i++)
                pop(ring, values[v]);
            assert_empty(ring);
        }
        weir_ring_free(ring);
    }
}
END_TEST

START_TEST(a_burst_pushes_as_many_as_fit)
{
    weir_ring *ring = new_ring(8);
    void *items[20];
    for (size_t i = 0; i < 20; i++)
        items[i] = item(i);

    ck_assert_uint_eq(weir_ring_push_burst(ring, items, 0), 0);
    ck_assert_uint_eq(weir_ring_push_burst(ring, items, 5), 5);
    ck_assert_uint_eq(weir_ring_count(ring), 5);
    ck_assert_uint_eq(weir_ring_push_burst(ring, items + 5, 15), 3);
    assert_full(ring);
    ck_assert_uint_eq(weir_ring_push_burst(ring, items, 1), 0);
    for (size_t i = 0; i < 8; i++)
        pop(ring, i);
    assert_empty(ring);
    weir_ring_free(ring);
}
END_TEST

START_TEST(a_burst_pops_as_many_as_there_are)
{
    weir_ring *ring = new_ring(8);
    void *got[20];
    for (size_t i = 0; i < 20; i++)
        got[i] = item(77);
    ck_assert_uint_eq(weir_ring_pop_burst(ring, got, 20), 0);
    for (size_t i = 0; i < 7; i++)
        push(ring, i);
    ck_assert_uint_eq(weir_ring_pop_burst(ring, got, 0), 0);
    ck_assert_uint_eq(weir_ring_pop_burst(ring, got, 3), 3);
    ck_assert_uint_eq(weir_ring_count(ring), 4);
    ck_assert_uint_eq(weir_ring_pop_burst(ring, got + 3, 17), 4);
    assert_empty(ring);
    for (size_t i = 0; i < 7; i++)
        ck_assert_ptr_eq(got[i], item(i));
    for (size_t i = 7; i < 20; i++)
        ck_assert_ptr_eq(got[i], item(77));
    weir_ring_free(ring);
}
END_TEST

START_TEST(bursts_and_single_calls_mix_across_the_end_of_the_ring)
{
    weir_ring *ring = new_ring(8);
    size_t in = 0, out = 0;
    for (size_t step = 0; step < 300; step++) {
        void *items[8], *got[8];
        size_t n = step % 8;
        for (size_t i = 0; i < 8; i++)
            items[i] = item(in + i);
        size_t room = 8 - (in - out);
        size_t pushed = weir_ring_push_burst(ring, items, n);
        ck_assert_uint_eq(pushed, n < room ? n : room);
        in += pushed;
        if (in - out < 8)
            push(ring, in++);
        size_t m = (step * 3 + 1) % 8;
        size_t popped = weir_ring_pop_burst(ring, got, m);
        ck_assert_uint_eq(popped, m < in - out ? m : in - out);
        for (size_t i = 0; i < popped; i++)
            ck_assert_ptr_eq(got[i], item(out++));
        if (out < in)
            pop(ring, out++);
        ck_assert_uint_eq(weir_ring_count(ring), in - out);
    }
    weir_ring_free(ring);
}
END_TEST

/* The stress body: producers push records of their own in order, consumers check what they get. */

enum { THREADS_MAX = 8, BURST_MAX = 5 };

struct record {
    struct record *self;
    unsigned producer;
    unsigned number; /* 1, 2, ... of its producer */
    unsigned taken;  /* plain on purpose: taken twice at once is a data race */
};

struct stress {
    weir_ring *ring;
    unsigned producers, consumers, each;
    bool bursts;
    struct record *records; /* `each` for each producer */
    meeting start;
    atomic_uint left; /* records not yet taken */
};

struct consumer {
    struct stress *stress;
    unsigned foreign, doubled, disordered; /* what must not be */
    unsigned last[THREADS_MAX];            /* the last number seen of each producer */
    uint64_t sum;
};

struct producer {
    struct stress *stress;
    unsigned index;
};

static void *produce(void *arg)
{
    const struct producer *self = arg;
    struct stress *stress = self->stress;
    struct record *own = stress->records + (size_t)self->index * stress->each;
    meeting_wait(&stress->start);
    for (unsigned done = 0; done < stress->each;) {
        void *items[BURST_MAX];
        unsigned n = stress->bursts ? 1 + done % BURST_MAX : 1;
        if (n > stress->each - done)
            n = stress->each - done;
        for (unsigned i = 0; i < n; i++) {
            struct record *record = own + done + i;
            record->self = record;
            record->producer = self->index;
            record->number = done + i + 1;
            items[i] = record;
        }
        unsigned pushed = stress->bursts ? (unsigned)weir_ring_push_burst(stress->ring, items, n)
                                         : weir_ring_push(stress->ring, items[0]) == 0;
        done += pushed;
        if (pushed == 0)
            (void)sched_yield();
    }
    return NULL;
}

static void check_record(struct consumer *self, void *got)
{
    const struct stress *stress = self->stress;
    uintptr_t offset = (uintptr_t)got - (uintptr_t)stress->records;
    size_t total = (size_t)stress->producers * stress->each;
    if (offset >= total * sizeof(struct record) || offset % sizeof(struct record) != 0) {
        self->foreign++;
        return;
    }
    struct record *record = got;
    if (record->self != record || record->producer >= stress->producers) {
        self->foreign++;
        return;
    }
    if (record->taken++ != 0)
        self->doubled++;
    if (record->number <= self->last[record->producer])
        self->disordered++;
    self->last[record->producer] = record->number;
    self->sum += record->number;
}

static void *consume(void *arg)
{
    struct consumer *self = arg;
    struct stress *stress = self->stress;
    meeting_wait(&stress->start);
    for (unsigned turn = 0; atomic_load(&stress->left) != 0; turn++) {
        void *got[BURST_MAX];
        size_t n = stress->bursts ? weir_ring_pop_burst(stress->ring, got, 1 + turn % BURST_MAX)
                                  : weir_ring_pop(stress->ring, &got[0]) == 0;
        for (size_t i = 0; i < n; i++)
            check_record(self, got[i]);
        (void)atomic_fetch_sub(&stress->left, (unsigned)n);
        if (n == 0)
            (void)sched_yield();
    }
    return NULL;
}

static void run_stress(unsigned producers, unsigned consumers, size_t capacity, bool bursts)
{
    enum { RECORDS = 4096 };
    unsigned each = RECORDS / producers;
    struct stress stress = {
        .ring = new_ring(capacity),
        .producers = producers,
        .consumers = consumers,
        .each = each,
        .bursts = bursts,
        .records = calloc(RECORDS, sizeof(struct record)),
        .start = MEETING_INIT(producers + consumers),
        .left = each * producers,
    };
    ck_assert_ptr_nonnull(stress.records);
    struct producer producer[THREADS_MAX];
    struct consumer consumer[THREADS_MAX];
    pthread_t threads[2 * THREADS_MAX];
    for (unsigned i = 0; i < producers; i++) {
        producer[i] = (struct producer){&stress, i};
        ck_assert_int_eq(pthread_create(&threads[i], NULL, produce, &producer[i]), 0);
    }
    for (unsigned i = 0; i < consumers; i++) {
        consumer[i] = (struct consumer){.stress = &stress};
        ck_assert_int_eq(pthread_create(&threads[producers + i], NULL, consume, &consumer[i]), 0);
    }
    for (unsigned i = 0; i < producers + consumers; i++)
        ck_assert_int_eq(pthread_join(threads[i], NULL), 0);

    uint64_t sum = 0;
    for (unsigned i = 0; i < consumers; i++) {
        ck_assert_uint_eq(consumer[i].foreign, 0);
        ck_assert_uint_eq(consumer[i].doubled, 0);
        ck_assert_uint_eq(consumer[i].disordered, 0);
        sum += consumer[i].sum;
    }
    ck_assert_uint_eq(sum, (uint64_t)producers * each * (each + 1) / 2);
    size_t once = 0;
    for (size_t i = 0; i < (size_t)each * producers; i++)
        once += stress.records[i].taken == 1 ? 1 : 0;
    ck_assert_uint_eq(once, (size_t)each * producers);
    assert_empty(stress.ring);
    weir_ring_free(stress.ring);
    free(stress.records);
}

static const struct pattern {
    unsigned producers, consumers;
    size_t capacity;
} patterns[] = {
    {1, 1, 2}, {1, 1, 64}, {1, 3, 2}, {3, 1, 2}, {1, 3, 16}, {3, 1, 16}, {2, 2, 2}, {4, 4, 8},
};

enum { PATTERNS = sizeof patterns / sizeof patterns[0] };

START_TEST(nothing_is_lost_doubled_torn_or_overtaken)
{
    run_stress(patterns[_i].producers, patterns[_i].consumers, patterns[_i].capacity, false);
}
END_TEST

START_TEST(nothing_is_lost_doubled_torn_or_overtaken_in_bursts)
{
    run_stress(patterns[_i].producers, patterns[_i].consumers, patterns[_i].capacity, true);
}
END_TEST

/* Threads that push one and then pop one: there are never more elements than threads, and one for
 * each thread that is about to pop, so that with room for all neither call may ever fail. */

enum { ALTERNATIONS = 2000 };

struct alternation {
    weir_ring *ring;
    meeting start;
    size_t burst;
    atomic_uint false_full, false_empty;
};

static void *alternate(void *arg)
{
    struct alternation *all = arg;
    void *items[4] = {arg, arg, arg, arg};
    meeting_wait(&all->start);
    for (unsigned i = 0; i < ALTERNATIONS; i++) {
        if (all->burst == 1) {
            if (weir_ring_push(all->ring, arg) != 0)
                (void)atomic_fetch_add(&all->false_full, 1);
            if (weir_ring_pop(all->ring, &items[0]) != 0)
                (void)atomic_fetch_add(&all->false_empty, 1);
        } else {
            if (weir_ring_push_burst(all->ring, items, all->burst) != all->burst)
                (void)atomic_fetch_add(&all->false_full, 1);
            if (weir_ring_pop_burst(all->ring, items, all->burst) != all->burst)
                (void)atomic_fetch_add(&all->false_empty, 1);
        }
    }
    return NULL;
}

static void run_alternation(unsigned threads, size_t burst)
{
    struct alternation all = {
        .ring = new_ring(threads * burst),
        .start = MEETING_INIT(threads),
        .burst = burst,
    };
    pthread_t thread[THREADS_MAX];
    for (unsigned i = 0; i < threads; i++)
        ck_assert_int_eq(pthread_create(&thread[i], NULL, alternate, &all), 0);
    for (unsigned i = 0; i < threads; i++)
        ck_assert_int_eq(pthread_join(thread[i], NULL), 0);
    ck_assert_uint_eq(atomic_load(&all.false_full), 0);
    ck_assert_uint_eq(atomic_load(&all.false_empty), 0);
    assert_empty(all.ring);
    weir_ring_free(all.ring);
}

START_TEST(nobody_sees_a_full_ring_that_has_room_or_an_empty_one_that_has_elements)
{
    run_alternation(2, 1);
    run_alternation(4, 1);
    run_alternation(8, 1);
}
END_TEST

START_TEST(bursts_see_all_the_room_and_all_the_elements_that_are_theirs)
{
    run_alternation(2, 2);
    run_alternation(4, 4);
}
END_TEST

struct watch {
    weir_ring *ring;
    atomic_bool stop;
    size_t beyond; /* observations above the capacity */
};

static void *watch_count(void *arg)
{
    struct watch *watch = arg;
    while (!atomic_load(&watch->stop)) {
        if (weir_ring_count(watch->ring) > weir_ring_capacity(watch->ring))
            watch->beyond++;
        (void)sched_yield();
    }
    return NULL;
}

START_TEST(count_is_never_above_the_capacity)
{
    struct watch watch = {.ring = new_ring(4)};
    pthread_t thread;
    ck_assert_int_eq(pthread_create(&thread, NULL, watch_count, &watch), 0);
    for (size_t i = 0; i < 5000; i++) {
        push(watch.ring, i);
        push(watch.ring, i);
        push(watch.ring, i);
        pop(watch.ring, i);
        pop(watch.ring, i);
        pop(watch.ring, i);
    }
    atomic_store(&watch.stop, true);
    ck_assert_int_eq(pthread_join(thread, NULL), 0);
    ck_assert_uint_eq(watch.beyond, 0);
    weir_ring_free(watch.ring);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("ring");

    TCase *lifecycle = add_group(suite, "lifecycle");
    tcase_add_test(lifecycle, a_ring_is_made_for_every_power_of_two);
    tcase_add_test(lifecycle, the_largest_ring_works);
    tcase_add_test(lifecycle, other_capacities_are_refused);
    tcase_add_test(lifecycle, a_ring_with_elements_can_be_freed);

    TCase *contract = add_group(suite, "contract");
    tcase_add_test(contract, elements_come_out_in_the_order_of_their_pushes);
    tcase_add_test(contract, full_and_empty_are_exact_in_every_lap);
    tcase_add_test(contract, a_full_ring_takes_one_for_each_that_leaves);
    tcase_add_test(contract, a_ring_stays_exact_after_many_passages);
    tcase_add_test(contract, any_pointer_value_is_an_element);
    tcase_add_test(contract, a_ring_full_of_null_is_full_and_one_full_of_ones_too);
    tcase_add_test(contract, a_burst_pushes_as_many_as_fit);
    tcase_add_test(contract, a_burst_pops_as_many_as_there_are);
    tcase_add_test(contract, bursts_and_single_calls_mix_across_the_end_of_the_ring);

    TCase *misuse = add_group(suite, "misuse");
    tcase_add_test(misuse, null_is_refused_by_every_call);

    TCase *stress = add_group(suite, "stress");
    tcase_add_loop_test(stress, nothing_is_lost_doubled_torn_or_overtaken, 0, PATTERNS);
    tcase_add_loop_test(stress, nothing_is_lost_doubled_torn_or_overtaken_in_bursts, 0, PATTERNS);
    tcase_add_test(stress, nobody_sees_a_full_ring_that_has_room_or_an_empty_one_that_has_elements);
    tcase_add_test(stress, bursts_see_all_the_room_and_all_the_elements_that_are_theirs);
    tcase_add_test(stress, count_is_never_above_the_capacity);
    return suite;
}
