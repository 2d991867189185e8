/* SPDX-License-Identifier: MIT */
/* linearizability.c - what threads saw of a queue can be explained by a queue.
 *
 * Windows of a few operations a thread are recorded and checked exactly: of weir_ring, and of a
 * pool with one worker, whose pops are seen through the tasks that it starts; of a pool with lanes,
 * each lane by itself; and of the deque of a pool of local order, whose owner is the first thread.
 * Each window begins and ends with an empty queue, but the queue stays, lap after lap.
 *
 * WEIR_STRESS_SECONDS  how long (1); at least 110,000 operations are checked
 * WEIR_STRESS_SEED     repeats the choices of a run, though not what the scheduler made of them
 */
#include "dice.h"
#include "history.h"
#include "watchdog.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "pool/deque.h"
#include "weir.h"

enum {
    MOST_THREADS = 4,
    MOST_LANES = 3,
    EACH = 7,  /* operations of a thread in a window */
    LAP = 300, /* windows with the same queue */
    AT_LEAST = 110000,
    MOST_CAPACITY = 8,
};

static uint64_t seed;
static uint64_t checked, histories, overlapping;

/* Instants: a number each, larger the later. */
static atomic_ullong clock_hand = 1;

static uint64_t now(void)
{
    return atomic_fetch_add(&clock_hand, 1);
}

/* Threads that start each window together. Spinning, because a window is shorter than a wake-up:
 * threads that sleep before it would run one after the other. */
struct meeting {
    atomic_uint present, round;
    unsigned size;
};

static void meet(struct meeting *m)
{
    unsigned round = atomic_load(&m->round);
    if (atomic_fetch_add(&m->present, 1) + 1 == m->size) {
        atomic_store(&m->present, 0);
        atomic_store(&m->round, round + 1);
        return;
    }
    for (unsigned spins = 0; atomic_load(&m->round) == round; spins++)
        if (spins > 200)
            (void)sched_yield();
}

/* One thread's part of a window. */
struct part {
    dice d;
    size_t count;
    operation operations[EACH];
    uint8_t lanes[EACH]; /* of each */
    uint8_t next_value;  /* what is queued is unique in a window: each thread has EACH of its own */
};

static struct {
    unsigned threads;
    size_t capacity; /* of each lane */
    unsigned lanes;
    uint8_t lane_of[1 + EACH * MOST_THREADS]; /* by value */
    weir_ring *ring;
    weir_pool *pool;
    bool deque;
    struct deque own;
    atomic(uint32_t) words[MOST_CAPACITY];
    struct meeting start, end;
    bool stop;
    struct part parts[MOST_THREADS];
    history pops; /* of the pool's worker */
    uint64_t last_task_over;
    unsigned task_length;
} the;

static void record(struct part *p, bool is_push, uint8_t value, bool succeeded, uint64_t called,
                   uint64_t returned, bool in_burst)
{
    int after = in_burst ? (int)p->count - 1 : -1;
    p->operations[p->count++] =
        (operation){called, returned, value, is_push, succeeded, after, false};
}

/* A burst is that many single operations, one after the other, and one that failed if it is short.
 * All that is known of each is that it happened during the call, in this order. */
static void burst(struct part *p, bool push, size_t n)
{
    void *items[EACH];
    uint8_t first = p->next_value;
    for (size_t i = 0; i < n; i++)
        items[i] = (void *)(uintptr_t)(first + i);
    uint64_t called = now();
    size_t done =
        push ? weir_ring_push_burst(the.ring, items, n) : weir_ring_pop_burst(the.ring, items, n);
    uint64_t returned = now();
    for (size_t i = 0; i < n && i <= done; i++) {
        uint8_t value = push || i < done ? (uint8_t)(uintptr_t)items[i] : 0;
        record(p, push, value, i<done, called, returned, i> 0);
    }
    if (push)
        p->next_value = (uint8_t)(first + done);
}

static void use_ring(struct part *p)
{
    while (p->count < EACH) {
        bool push = dice_once_in(&p->d, 2);
        size_t room = EACH - p->count;
        if (dice_once_in(&p->d, 3)) {
            burst(p, push, 1 + dice_below(&p->d, room < 3 ? (unsigned)room : 3));
            continue;
        }
        void *item = NULL;
        uint64_t called = now();
        int err = push ? weir_ring_push(the.ring, (void *)(uintptr_t)p->next_value)
                       : weir_ring_pop(the.ring, &item);
        uint64_t returned = now();
        record(p, push, push ? p->next_value : (uint8_t)(uintptr_t)item, err == 0, called, returned,
               false);
        if (push && err == 0)
            p->next_value++;
    }
}

/* The one worker popped it after its last task had ended and before this one started. */
static int start(weir_context *ctx, void *arg)
{
    (void)ctx;
    uint64_t started = now();
    the.pops.operations[the.pops.count++] =
        (operation){the.last_task_over, started, (uint8_t)(uintptr_t)arg, false, true, -1, false};
    for (volatile unsigned n = the.task_length; n > 0; n--)
        continue;
    the.last_task_over = now();
    return 0;
}

static void use_pool(struct part *p)
{
    weir_task tasks[EACH] = {WEIR_TASK_INIT};
    while (p->count < EACH) {
        void *arg = (void *)(uintptr_t)p->next_value;
        unsigned how = dice_below(&p->d, 4), lane = dice_below(&p->d, the.lanes);
        p->lanes[p->count] = the.lane_of[p->next_value] = (uint8_t)lane;
        weir_task_options options = {.size = sizeof options, .lane = WEIR_LANE(lane)};
        uint64_t called = now();
        int err;
        if (how == 0)
            err = weir_pool_submit_lane(the.pool, lane, start, arg);
        else if (how == 1)
            err = weir_pool_try_submit_task(the.pool, &tasks[p->count], start, arg, &options);
        else
            err = weir_pool_try_submit_lane(the.pool, lane, start, arg);
        uint64_t returned = now();
        record(p, true, p->next_value, err == 0, called, returned, false);
        if (err == 0)
            p->next_value++;
    }
    for (size_t i = 0; i < EACH; i++)
        if (weir_task_state(&tasks[i]) != WEIR_TASK_IDLE && weir_task_wait(&tasks[i]) != 0)
            abort();
}

/* A steal that loses to another thread is tried again, as a worker does. */
static bool steal(uint32_t *ret_item)
{
    uint64_t position;
    while (deque_oldest(&the.own, &position, ret_item))
        if (deque_take_oldest(&the.own, position))
            return true;
    return false;
}

static void use_deque(struct part *p)
{
    bool owner = p == &the.parts[0];
    while (p->count < EACH) {
        unsigned how = owner ? dice_below(&p->d, 5) : 0;
        uint32_t item = p->next_value;
        bool push = how > 2, newest = how == 1 || how == 2, succeeded;
        uint64_t called = now();
        if (push) {
            succeeded = !deque_full(&the.own);
            if (succeeded)
                (void)deque_push(&the.own, item);
        } else {
            item = 0;
            succeeded = newest ? deque_take(&the.own, &item) : steal(&item);
        }
        uint64_t returned = now();
        record(p, push, (uint8_t)item, succeeded, called, returned, false);
        p->operations[p->count - 1].newest = newest;
        if (push && succeeded)
            p->next_value++;
    }
}

static void *take_part(void *arg)
{
    struct part *p = arg;
    for (;;) {
        meet(&the.start);
        if (the.stop)
            return NULL;
        if (the.deque)
            use_deque(p);
        else if (the.ring != NULL)
            use_ring(p);
        else
            use_pool(p);
        meet(&the.end);
    }
}

static void add(history *h, const operation *operations, size_t count)
{
    int base = (int)h->count;
    for (size_t i = 0; i < count; i++) {
        h->operations[h->count] = operations[i];
        if (operations[i].after >= 0)
            h->operations[h->count].after += base;
        h->count++;
    }
}

static bool pop_one(void **ret_item)
{
    if (!the.deque)
        return weir_ring_pop(the.ring, ret_item) == 0;
    uint32_t item = 0;
    bool more = steal(&item);
    *ret_item = (void *)(uintptr_t)item;
    return more;
}

/* Takes out what the window left in the ring or the deque; the last pop finds it empty. */
static void empty_it(history *h)
{
    bool more = true;
    while (more) {
        void *item = NULL;
        uint64_t called = now();
        more = pop_one(&item);
        uint64_t returned = now();
        if (h->count == HISTORY_ROOM)
            abort(); /* more came out than can have been put in */
        h->operations[h->count++] =
            (operation){called, returned, (uint8_t)(uintptr_t)item, false, more, -1, false};
    }
}

static bool any_overlap(const history *h)
{
    for (size_t i = 0; i < h->count; i++)
        for (size_t j = 0; j < i; j++)
            if (h->operations[i].called < h->operations[j].returned &&
                h->operations[j].called < h->operations[i].returned)
                return true;
    return false;
}

/* Of the pool, in one lane. */
static void add_lane(history *h, unsigned lane)
{
    for (unsigned i = 0; i < the.threads; i++)
        for (size_t k = 0; k < the.parts[i].count; k++)
            if (the.parts[i].lanes[k] == lane)
                h->operations[h->count++] = the.parts[i].operations[k];
    for (size_t i = 0; i < the.pops.count; i++)
        if (the.lane_of[the.pops.operations[i].value] == lane)
            h->operations[h->count++] = the.pops.operations[i];
}

static const char *what(void)
{
    return the.deque ? "deque" : (the.ring != NULL ? "ring" : "pool");
}

static bool judge(const history *h)
{
    histories++;
    checked += h->count;
    overlapping += any_overlap(h);
    if (history_is_linearizable(h))
        return true;
    fprintf(stderr, "not linearizable: seed %" PRIu64 ", a %s\n", seed, what());
    history_print(h);
    return false;
}

static bool one_window(void)
{
    for (unsigned i = 0; i < the.threads; i++) {
        the.parts[i].count = 0;
        the.parts[i].next_value = (uint8_t)(1 + EACH * i);
    }
    the.pops.count = 0;
    the.last_task_over = now();
    meet(&the.start);
    meet(&the.end);
    if (the.pool != NULL && weir_pool_drain(the.pool) != 0)
        abort();
    progress();
    bool good = true;
    for (unsigned lane = 0; lane < the.lanes && good; lane++) {
        history h = {.capacity = the.capacity};
        if (the.pool != NULL) {
            add_lane(&h, lane);
        } else {
            for (unsigned i = 0; i < the.threads; i++)
                add(&h, the.parts[i].operations, the.parts[i].count);
            empty_it(&h);
        }
        good = judge(&h);
    }
    return good;
}

enum kind { A_RING, A_POOL, A_DEQUE, KINDS };

static int make(enum kind kind, unsigned capacity)
{
    the.deque = kind == A_DEQUE;
    if (kind == A_DEQUE)
        deque_init(&the.own, the.words, capacity);
    if (kind == A_RING)
        return weir_ring_new(&the.ring, capacity);
    return kind == A_POOL
               ? weir_pool_new(&the.pool, WEIR_POOL_OPTIONS(.workers = 1, .capacity = capacity,
                                                            .lanes = the.lanes,
                                                            .lane_burst = the.lanes > 1 ? 2 : 0))
               : 0;
}

static bool play(enum kind kind, size_t capacity, unsigned threads, dice *d)
{
    the.threads = threads;
    the.capacity = capacity;
    the.lanes = kind == A_POOL ? 1 + dice_below(d, MOST_LANES) : 1;
    the.ring = NULL;
    the.pool = NULL;
    the.stop = false;
    the.start.size = the.end.size = threads + 1;
    if (make(kind, (unsigned)capacity) != 0)
        abort();
    pthread_t callers[MOST_THREADS];
    for (unsigned i = 0; i < threads; i++) {
        the.parts[i].d = dice_make(dice_roll(d), i);
        if (pthread_create(&callers[i], NULL, take_part, &the.parts[i]) != 0)
            abort();
    }
    bool good = true;
    for (unsigned i = 0; i < LAP && good; i++) {
        the.task_length = dice_below(d, 300);
        good = one_window();
    }
    the.stop = true;
    meet(&the.start);
    for (unsigned i = 0; i < threads; i++)
        (void)pthread_join(callers[i], NULL);
    weir_pool_free(the.pool);
    weir_ring_free(the.ring);
    return good;
}

/* The judge is judged first: histories that are known to be right, and wrong ones of each kind. */
static bool judge_is_sound(void)
{
    enum { PUSH = true, POP = false };
    static const struct {
        const char *name;
        bool good;
        history h;
    } known[] = {
        {"one after the other",
         true,
         {2,
          4,
          {{1, 2, 7, PUSH, true, -1, false},
           {3, 4, 8, PUSH, true, -1, false},
           {5, 6, 7, POP, true, -1, false},
           {7, 8, 8, POP, true, -1, false}}}},
        {"pushes that overlap may come out either way",
         true,
         {2,
          4,
          {{1, 4, 7, PUSH, true, -1, false},
           {2, 3, 8, PUSH, true, -1, false},
           {5, 6, 8, POP, true, -1, false},
           {7, 8, 7, POP, true, -1, false}}}},
        {"full while a pop is under way",
         true,
         {1,
          3,
          {{1, 2, 7, PUSH, true, -1, false},
           {3, 6, 7, POP, true, -1, false},
           {4, 5, 8, PUSH, false, -1, false}}}},
        {"a burst in its order",
         true,
         {2,
          4,
          {{1, 2, 7, PUSH, true, -1, false},
           {1, 2, 8, PUSH, true, 0, false},
           {3, 4, 7, POP, true, -1, false},
           {5, 6, 8, POP, true, -1, false}}}},
        {"wrong order",
         false,
         {2,
          4,
          {{1, 2, 7, PUSH, true, -1, false},
           {3, 4, 8, PUSH, true, -1, false},
           {5, 6, 8, POP, true, -1, false},
           {7, 8, 7, POP, true, -1, false}}}},
        {"a burst out of order",
         false,
         {2,
          4,
          {{1, 2, 7, PUSH, true, -1, false},
           {1, 2, 8, PUSH, true, 0, false},
           {3, 4, 8, POP, true, -1, false},
           {5, 6, 7, POP, true, -1, false}}}},
        {"false full",
         false,
         {2, 2, {{1, 2, 7, PUSH, true, -1, false}, {3, 4, 8, PUSH, false, -1, false}}}},
        {"false full beside a push",
         false,
         {3,
          3,
          {{1, 2, 7, PUSH, true, -1, false},
           {3, 6, 8, PUSH, true, -1, false},
           {4, 5, 9, PUSH, false, -1, false}}}},
        {"false empty",
         false,
         {2, 2, {{1, 2, 7, PUSH, true, -1, false}, {3, 4, 0, POP, false, -1, false}}}},
        {"false empty beside a push",
         false,
         {2,
          3,
          {{1, 2, 7, PUSH, true, -1, false},
           {3, 6, 8, PUSH, true, -1, false},
           {4, 5, 0, POP, false, -1, false}}}},
        {"more than the capacity",
         false,
         {1, 2, {{1, 2, 7, PUSH, true, -1, false}, {3, 4, 8, PUSH, true, -1, false}}}},
        {"out twice",
         false,
         {2,
          3,
          {{1, 2, 7, PUSH, true, -1, false},
           {3, 4, 7, POP, true, -1, false},
           {5, 6, 7, POP, true, -1, false}}}},
        {"a deque, from both ends",
         true,
         {3,
          6,
          {{1, 2, 7, PUSH, true, -1, false},
           {3, 4, 8, PUSH, true, -1, false},
           {5, 6, 9, PUSH, true, -1, false},
           {7, 8, 9, POP, true, -1, true},
           {9, 10, 7, POP, true, -1, false},
           {11, 12, 8, POP, true, -1, true}}}},
        {"a deque, the wrong end",
         false,
         {2,
          3,
          {{1, 2, 7, PUSH, true, -1, false},
           {3, 4, 8, PUSH, true, -1, false},
           {5, 6, 7, POP, true, -1, true}}}},
        {"a deque, the last one taken twice",
         false,
         {2,
          3,
          {{1, 2, 7, PUSH, true, -1, false},
           {3, 6, 7, POP, true, -1, true},
           {4, 5, 7, POP, true, -1, false}}}},
        {"out before it was in",
         false,
         {2, 2, {{1, 2, 7, POP, true, -1, false}, {3, 4, 7, PUSH, true, -1, false}}}},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (history_is_linearizable(&known[i].h) != known[i].good) {
            fprintf(stderr, "misjudged: %s\n", known[i].name);
            return false;
        }
    }
    return true;
}

static void diagnose(void)
{
    fprintf(stderr, "seed %" PRIu64 ", a %s of capacity %zu, %u threads\n", seed, what(),
            the.capacity, the.threads);
}

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL && *text != '\0' ? strtoull(text, NULL, 10) : otherwise;
}

int main(void)
{
    static const size_t ring_capacities[] = {2, 4, 8};
    static const size_t pool_capacities[] = {1, 2, 3, 4, 7, 8}; /* of deques too */
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (!judge_is_sound())
        return 1;
    seed = number_from("WEIR_STRESS_SEED", (uint64_t)weir_now() ^ (uint64_t)time(NULL) << 32);
    int64_t end = weir_after(WEIR_S((int64_t)number_from("WEIR_STRESS_SECONDS", 1)));
    printf("WEIR_STRESS_SEED=%" PRIu64 "\n", seed);
    watchdog_start(diagnose);
    dice d = dice_make(seed, 0);
    uint64_t of[KINDS] = {0};
    for (unsigned lap = 0; checked < AT_LEAST || weir_now() < end; lap++) {
        unsigned threads = 2 + lap % (MOST_THREADS - 1);
        for (enum kind kind = A_RING; kind < KINDS; kind++) {
            uint64_t before = checked;
            size_t capacity = kind == A_RING ? ring_capacities[dice_below(&d, 3)]
                                             : pool_capacities[dice_below(&d, 6)];
            if (!play(kind, capacity, threads, &d))
                return 1;
            of[kind] += checked - before;
        }
    }
    watchdog_stop();
    printf("%" PRIu64 " operations on rings, %" PRIu64 " on pools and %" PRIu64
           " on deques are linearizable; %" PRIu64 " histories, in %" PRIu64
           " of them operations overlapped\n",
           of[A_RING], of[A_POOL], of[A_DEQUE], histories, overlapping);
    return 0;
}
