/* SPDX-License-Identifier: MIT */
/* lanes.c - histories of real threads on a pool with several lanes: both bounds of weir/lane.h hold
 * in every one.
 *
 * Each task notes when its submit was called and had returned, and which worker started it when;
 * its pop lies between the end of the worker's task before it and its own start. A bound counts as
 * broken only if it is, wherever in its interval each pop was: so nothing here depends on times.
 *
 * WEIR_STRESS_SECONDS  how long (1); at least 20,000 tasks are checked
 * WEIR_STRESS_SEED     repeats the choices of a run, though not what the scheduler made of them
 */
#include "dice.h"
#include "watchdog.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "weir.h"

enum { MOST_WORKERS = 8, MOST_LANES = 3, PRODUCERS = 2, EACH = 60, TASKS = PRODUCERS * EACH };
enum { AT_LEAST = 20000 };

static atomic_ullong clock_hand = 1;

static uint64_t now(void)
{
    return atomic_fetch_add(&clock_hand, 1);
}

struct task {
    unsigned lane, worker, length;
    uint64_t called, returned; /* its submit */
    uint64_t over, started;    /* it was popped in between */
};

struct history {
    unsigned workers, lanes, burst;
    unsigned count;
    struct task tasks[TASKS]; /* those of each worker in the order in which it started them */
};

/* The judge. */

/* How many starts a worker counts by itself: weir/lane.h. */
static unsigned share_of(const struct history *h)
{
    unsigned share = h->workers == 1 ? h->burst : h->burst / h->workers / 8;
    return share > 1 ? share : 1;
}

/* Is there a task in the lane all the time? Each is queued for certain from the return of its
 * submit until its worker was free. */
static bool never_empty(const struct history *h, unsigned lane, uint64_t from, uint64_t to)
{
    while (from < to) {
        uint64_t until = from;
        for (unsigned i = 0; i < h->count; i++) {
            const struct task *task = &h->tasks[i];
            if (task->lane == lane && task->returned <= from && task->over > until)
                until = task->over;
        }
        if (until == from)
            return false;
        from = until;
    }
    return true;
}

/* Starts from lanes more urgent than this one, of which each was at some time in between. */
static unsigned urgent_in(const struct history *h, unsigned lane, uint64_t from, uint64_t to)
{
    unsigned n = 0;
    for (unsigned i = 0; i < h->count; i++)
        n += h->tasks[i].lane < lane && h->tasks[i].started > from && h->tasks[i].over < to;
    return n;
}

/* From `from` on to the next start of the lane, too many of more urgent ones surely start. */
static bool starves_from(const struct history *h, unsigned lane, uint64_t from)
{
    unsigned urgent = 0, most = h->burst > h->workers ? h->burst : h->workers;
    uint64_t to = UINT64_MAX; /* the next start is surely not before */
    for (unsigned i = 0; i < h->count; i++) {
        const struct task *task = &h->tasks[i];
        if (task->lane == lane && task->started > from && task->over < to)
            to = task->over;
    }
    for (unsigned i = 0; i < h->count; i++) {
        const struct task *task = &h->tasks[i];
        urgent += task->lane < lane && task->over >= from && task->started <= to;
    }
    return to != UINT64_MAX && urgent > most && never_empty(h, lane, from, to);
}

/* A span begins with a start of the lane, or when it surely has a task again. */
static bool starves(const struct history *h, unsigned lane)
{
    for (unsigned i = 0; i < h->count; i++)
        if (h->tasks[i].lane == lane && (starves_from(h, lane, h->tasks[i].started) ||
                                         starves_from(h, lane, h->tasks[i].returned)))
            return true;
    return false;
}

/* Was it submitted after the task, and surely taken before? */
static bool overtakes(const struct task *other, const struct task *task)
{
    return other->lane > task->lane && other->called > task->returned &&
           other->started < task->over;
}

/* How many of those the worker took, but for those that may have been owed. */
static unsigned overtaken_by(const struct history *h, const struct task *task, unsigned worker)
{
    unsigned passed[MOST_LANES] = {0}, n = 0;
    for (unsigned i = 0; i < h->count; i++) {
        const struct task *other = &h->tasks[i];
        if (other->worker != worker)
            continue;
        bool owed = passed[other->lane] >= share_of(h); /* or less, if the lane was found empty */
        n += !owed && overtakes(other, task);
        passed[other->lane] = 0;
        for (unsigned k = other->lane + 1; k < h->lanes; k++)
            passed[k]++;
    }
    return n;
}

/* More of those are of this lane than weir/lane.h says, with what is owed. */
static bool overtaken_too_often(const struct history *h, const struct task *task, unsigned lane)
{
    unsigned n = 0, share = share_of(h), in_hands = share * h->workers;
    unsigned kept = h->burst > in_hands ? (h->burst - in_hands) / share * share : 0;
    unsigned urgent = urgent_in(h, lane, task->returned, task->over);
    for (unsigned i = 0; i < h->count; i++)
        n += h->tasks[i].lane == lane && overtakes(&h->tasks[i], task);
    if (kept == 0)
        return n > 2 * h->workers + urgent / share;
    return n > h->workers * (2 + (urgent + in_hands) / kept);
}

static const char *wrong(const struct history *h)
{
    for (unsigned lane = 1; lane < h->lanes; lane++)
        if (starves(h, lane))
            return "a lane starves";
    for (unsigned i = 0; i < h->count; i++) {
        const struct task *task = &h->tasks[i];
        for (unsigned w = 0; w < h->workers; w++)
            if (overtaken_by(h, task, w) > 1)
                return "a worker let later tasks overtake";
        for (unsigned lane = task->lane + 1; lane < h->lanes; lane++)
            if (overtaken_too_often(h, task, lane))
                return "a lane was given more than it is owed";
    }
    return NULL;
}

/* The judge is judged first. */
static bool judge_is_sound(void)
{
    static const struct {
        const char *name;
        bool good;
        struct history h;
    } known[] = {
        {"a turn after each burst",
         true,
         {1,
          2,
          2,
          4,
          {{0, 0, 0, 1, 2, 9, 10},
           {0, 0, 0, 1, 2, 11, 12},
           {1, 0, 0, 1, 2, 13, 14},
           {0, 0, 0, 1, 2, 15, 16}}}},
        {"one too many before its turn",
         false,
         {1,
          2,
          2,
          4,
          {{0, 0, 0, 1, 2, 9, 10},
           {0, 0, 0, 1, 2, 11, 12},
           {0, 0, 0, 1, 2, 13, 14},
           {1, 0, 0, 1, 2, 15, 16}}}},
        {"the lane was empty until then",
         true,
         {1,
          2,
          2,
          4,
          {{0, 0, 0, 1, 2, 9, 10},
           {0, 0, 0, 1, 2, 11, 12},
           {0, 0, 0, 1, 2, 13, 14},
           {1, 0, 0, 7, 12, 15, 16}}}},
        {"two workers, each with its share",
         true,
         {2,
          2,
          2,
          4,
          {{1, 0, 0, 1, 2, 3, 4},
           {0, 0, 0, 1, 2, 5, 6},
           {0, 1, 0, 1, 2, 5, 7},
           {1, 0, 0, 1, 2, 8, 9}}}},
        {"two workers that start three",
         false,
         {2,
          2,
          2,
          5,
          {{1, 0, 0, 1, 2, 3, 4},
           {0, 0, 0, 1, 2, 5, 6},
           {0, 1, 0, 1, 2, 5, 7},
           {0, 1, 0, 1, 2, 8, 9},
           {1, 0, 0, 1, 2, 10, 11}}}},
        {"overtaken once by a worker",
         true,
         {1, 2, 9, 2, {{1, 0, 0, 5, 6, 7, 8}, {0, 0, 0, 1, 2, 9, 10}}}},
        {"overtaken twice by a worker",
         false,
         {1, 2, 9, 3, {{1, 0, 0, 5, 6, 7, 8}, {1, 0, 0, 5, 6, 9, 10}, {0, 0, 0, 1, 2, 11, 12}}}},
        {"a lane that was empty until then, and starves",
         false,
         {1,
          2,
          2,
          5,
          {{0, 0, 0, 1, 2, 9, 10},
           {0, 0, 0, 1, 2, 11, 12},
           {0, 0, 0, 1, 2, 13, 14},
           {0, 0, 0, 1, 2, 15, 16},
           {1, 0, 0, 3, 10, 17, 18}}}},
        {"two workers that owe each other nothing",
         false,
         {2,
          2,
          16,
          11,
          {{0, 0, 0, 1, 2, 5, 6},
           {1, 0, 0, 3, 4, 7, 8},
           {0, 0, 0, 1, 2, 9, 10},
           {1, 0, 0, 3, 4, 11, 12},
           {0, 0, 0, 1, 2, 13, 14},
           {1, 0, 0, 3, 4, 15, 16},
           {0, 1, 0, 1, 2, 5, 6},
           {1, 1, 0, 3, 4, 7, 8},
           {0, 1, 0, 1, 2, 9, 10},
           {1, 1, 0, 3, 4, 11, 12},
           {0, 1, 0, 1, 2, 17, 18}}}},
        {"the same with a burst of two",
         true,
         {2,
          2,
          2,
          11,
          {{0, 0, 0, 1, 2, 5, 6},
           {1, 0, 0, 3, 4, 7, 8},
           {0, 0, 0, 1, 2, 9, 10},
           {1, 0, 0, 3, 4, 11, 12},
           {0, 0, 0, 1, 2, 13, 14},
           {1, 0, 0, 3, 4, 15, 16},
           {0, 1, 0, 1, 2, 5, 6},
           {1, 1, 0, 3, 4, 7, 8},
           {0, 1, 0, 1, 2, 9, 10},
           {1, 1, 0, 3, 4, 11, 12},
           {0, 1, 0, 1, 2, 17, 18}}}},
        {"overtaken by what came before it",
         true,
         {1, 2, 9, 3, {{1, 0, 0, 1, 2, 7, 8}, {1, 0, 0, 1, 2, 9, 10}, {0, 0, 0, 3, 4, 11, 12}}}},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if ((wrong(&known[i].h) == NULL) != known[i].good) {
            fprintf(stderr, "misjudged: %s\n", known[i].name);
            return false;
        }
    return true;
}

/* Play. */

static struct {
    weir_pool *pool;
    unsigned lanes;
    struct task tasks[TASKS];
    struct {
        uint64_t over;
        unsigned count;
        struct task *tasks[TASKS];
    } workers[MOST_WORKERS];
} the;

static int start(weir_context *ctx, void *arg)
{
    struct task *task = arg;
    unsigned worker = (unsigned)weir_pool_worker_index();
    (void)ctx;
    task->started = now();
    task->worker = worker;
    task->over = the.workers[worker].over;
    the.workers[worker].tasks[the.workers[worker].count++] = task;
    for (volatile unsigned n = task->length; n > 0; n--)
        continue;
    the.workers[worker].over = now();
    return 0;
}

static void *produce(void *arg)
{
    struct task *tasks = arg;
    for (unsigned i = 0; i < EACH; i++) {
        tasks[i].called = now();
        if (weir_pool_submit_lane(the.pool, tasks[i].lane, start, &tasks[i]) != 0)
            abort();
        tasks[i].returned = now();
    }
    return NULL;
}

static void play(dice *d, struct history *h)
{
    h->workers = 1 + dice_below(d, dice_once_in(d, 2) ? 3 : MOST_WORKERS);
    h->lanes = 2 + dice_below(d, MOST_LANES - 1);
    h->burst = 1 + dice_below(d, dice_once_in(d, 2) ? 6 : 40);
    unsigned capacity = dice_once_in(d, 2) ? 8 : TASKS, length = dice_below(d, 400);
    for (unsigned i = 0; i < TASKS; i++)
        the.tasks[i] =
            (struct task){.lane = dice_below(d, h->lanes), .length = dice_below(d, length + 1)};
    for (unsigned w = 0; w < MOST_WORKERS; w++) {
        the.workers[w].over = now();
        the.workers[w].count = 0;
    }
    if (weir_pool_new(&the.pool, WEIR_POOL_OPTIONS(.workers = h->workers, .capacity = capacity,
                                                   .lanes = h->lanes, .lane_burst = h->burst)) != 0)
        abort();
    pthread_t producer;
    if (pthread_create(&producer, NULL, produce, the.tasks + EACH) != 0)
        abort();
    (void)produce(the.tasks);
    (void)pthread_join(producer, NULL);
    if (weir_pool_drain(the.pool) != 0)
        abort();
    weir_pool_free(the.pool);
    h->count = 0;
    for (unsigned w = 0; w < h->workers; w++)
        for (unsigned i = 0; i < the.workers[w].count; i++)
            h->tasks[h->count++] = *the.workers[w].tasks[i];
}

static void print(const struct history *h)
{
    fprintf(stderr, "%u workers, %u lanes, a burst of %u\n", h->workers, h->lanes, h->burst);
    for (unsigned i = 0; i < h->count; i++) {
        const struct task *task = &h->tasks[i];
        fprintf(stderr,
                "worker %u, lane %u: submitted in %" PRIu64 "..%" PRIu64 ", taken in %" PRIu64
                "..%" PRIu64 "\n",
                task->worker, task->lane, task->called, task->returned, task->over, task->started);
    }
}

static uint64_t seed;

static void diagnose(void)
{
    fprintf(stderr, "seed %" PRIu64 "\n", seed);
}

static uint64_t number_from(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL && *text != '\0' ? strtoull(text, NULL, 10) : otherwise;
}

int main(void)
{
    static struct history h;
    uint64_t checked = 0, histories = 0;
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (!judge_is_sound())
        return 1;
    seed = number_from("WEIR_STRESS_SEED", (uint64_t)weir_now() ^ (uint64_t)time(NULL) << 32);
    int64_t end = weir_after(WEIR_S((int64_t)number_from("WEIR_STRESS_SECONDS", 1)));
    printf("WEIR_STRESS_SEED=%" PRIu64 "\n", seed);
    watchdog_start(diagnose);
    dice d = dice_make(seed, 0);
    while (checked < AT_LEAST || weir_now() < end) {
        play(&d, &h);
        progress();
        const char *why = wrong(&h);
        if (why != NULL || h.count != TASKS) {
            fprintf(stderr, "%s: seed %" PRIu64 "\n", why != NULL ? why : "a task is missing",
                    seed);
            print(&h);
            return 1;
        }
        checked += h.count;
        histories++;
    }
    watchdog_stop();
    printf("%" PRIu64 " tasks in %" PRIu64 " histories: urgent ones first, and none starves\n",
           checked, histories);
    return 0;
}
