/* SPDX-License-Identifier: MIT */
/* steps.c - what the way of a task is made of: a locked instruction, a cache line that comes from
 * another core, the pool's ring by itself, and both halves of a hand-off one after the other. First
 * all submits, while the only worker is held up, then all runs: on one core, so that no line moves,
 * and on two. At last both at once. docs/performance.md adds them up. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <weir.h>

#include "common.h"

enum {
    ROUNDS = 9,
    OPERATIONS = 1000000,
    TURNS = 100000,
    LINE = 64,
    LINES = 8192,
    QUEUED = 4000,
    CAPACITY = 4096,
    REPEATS = 20,
    FLOOD = 200000,
    MAX_PRODUCERS = 8,
};

static void move_to(unsigned cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    (void)pthread_setaffinity_np(pthread_self(), sizeof set, &set); /* else it is slower, or not */
}

static sem_t begun, go_on;

static void wait_for(sem_t *sem)
{
    while (sem_wait(sem) != 0 && errno == EINTR)
        ;
}

/* Instructions and lines. */

static _Alignas(LINE) atomic_uint_fast64_t word;

static void locked_round(void *arg, double ret_values[])
{
    (void)arg;
    size_t n = bench_scaled(OPERATIONS);
    int64_t start = bench_now();
    for (size_t i = 0; i < n; i++)
        (void)atomic_fetch_add_explicit(&word, 1, memory_order_relaxed);
    ret_values[0] = (double)(bench_now() - start) / (double)n;
}

static atomic_uint_fast64_t turn;

static void *answer(void *arg)
{
    size_t n = *(size_t *)arg;
    move_to(1);
    (void)sem_post(&begun);
    for (uint64_t i = 0; i < n; i++) {
        while (atomic_load_explicit(&turn, memory_order_acquire) != 2 * i + 1)
            ;
        atomic_store_explicit(&turn, 2 * i + 2, memory_order_release);
    }
    return NULL;
}

/* Half of the way there and back of a line. */
static void transfer_round(void *arg, double ret_values[])
{
    (void)arg;
    size_t n = bench_scaled(TURNS);
    pthread_t other;
    atomic_store(&turn, 0);
    bench_require(pthread_create(&other, NULL, answer, &n) == 0, "a thread could not be started");
    wait_for(&begun);
    int64_t start = bench_now();
    for (uint64_t i = 0; i < n; i++) {
        atomic_store_explicit(&turn, 2 * i + 1, memory_order_release);
        while (atomic_load_explicit(&turn, memory_order_acquire) != 2 * i + 2)
            ;
    }
    ret_values[0] = (double)(bench_now() - start) / (double)n / 2;
    (void)pthread_join(other, NULL);
}

static struct {
    _Alignas(LINE) atomic_uint_fast64_t value;
} lines[LINES];

/* The i-th in an order that no prefetcher foresees. */
static atomic_uint_fast64_t *line(size_t i)
{
    return &lines[i * 5167 % LINES].value;
}

static void *write_lines(void *arg)
{
    (void)arg;
    move_to(1);
    for (size_t i = 0; i < LINES; i++)
        atomic_store_explicit(line(i), i, memory_order_relaxed);
    return NULL;
}

static void let_another_core_write(void)
{
    pthread_t other;
    bench_require(pthread_create(&other, NULL, write_lines, NULL) == 0 &&
                      pthread_join(other, NULL) == 0,
                  "a thread could not be started");
}

static void read_round(void *arg, double ret_values[])
{
    (void)arg;
    uint64_t sum = 0;
    let_another_core_write();
    int64_t start = bench_now();
    for (size_t i = 0; i < LINES; i++)
        sum += atomic_load_explicit(line(i), memory_order_relaxed);
    ret_values[0] = (double)(bench_now() - start) / LINES;
    bench_check(sum == (uint64_t)LINES * (LINES - 1) / 2, "the sum of the lines is wrong");
}

static void locked_line_round(void *arg, double ret_values[])
{
    (void)arg;
    let_another_core_write();
    int64_t start = bench_now();
    for (size_t i = 0; i < LINES; i++)
        (void)atomic_fetch_add_explicit(line(i), 1, memory_order_relaxed);
    ret_values[0] = (double)(bench_now() - start) / LINES;
}

/* Halves. */

struct tally {
    _Alignas(LINE) uint64_t count;
};

static struct tally tallies[MAX_PRODUCERS];
static _Thread_local struct tally *own;
static weir_pool *pool;
static int64_t first_start, last_start;
static unsigned first_cpu;

static int pin_worker(unsigned index, void *user)
{
    (void)user;
    own = &tallies[index];
    move_to((first_cpu + index) % 2);
    return 0;
}

static int hold_task(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    (void)sem_post(&begun);
    wait_for(&go_on);
    first_start = bench_now();
    return 0;
}

static int count_task(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    own->count++;
    return 0;
}

static int last_task(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    last_start = bench_now();
    return 0;
}

static void open_pool(unsigned workers, unsigned capacity, unsigned cpu)
{
    first_cpu = cpu;
    memset(tallies, 0, sizeof tallies);
    int error = weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = workers, .capacity = capacity,
                                                       .on_worker_start = pin_worker));
    bench_require(error == 0, "a pool could not be made");
}

static uint64_t counted(void)
{
    uint64_t count = 0;
    for (size_t i = 0; i < MAX_PRODUCERS; i++)
        count += tallies[i].count;
    return count;
}

struct halves {
    unsigned worker_cpu;
};

/* ns a submit, ns a run. */
static void halves_round(void *arg, double ret_values[])
{
    const struct halves *halves = arg;
    size_t repeats = bench_scaled(REPEATS) + 1; /* the first one does not count */
    int errors = 0;
    double submits = 0, runs = 0;
    open_pool(1, CAPACITY, halves->worker_cpu);
    for (size_t r = 0; r < repeats; r++) {
        errors += weir_pool_submit(pool, hold_task, NULL) != 0;
        wait_for(&begun);
        int64_t start = bench_now();
        for (unsigned i = 0; i < QUEUED; i++)
            errors += weir_pool_submit(pool, count_task, NULL) != 0;
        int64_t end = bench_now();
        errors += weir_pool_submit(pool, last_task, NULL) != 0;
        (void)sem_post(&go_on);
        errors += weir_pool_drain(pool) != 0;
        if (r == 0)
            continue;
        submits += (double)(end - start);
        runs += (double)(last_start - first_start);
    }
    bench_check(errors == 0, "a submit or a drain failed");
    bench_check(counted() == repeats * QUEUED, "not every task ran once");
    weir_pool_free(pool);
    ret_values[0] = submits / (double)((repeats - 1) * QUEUED);
    ret_values[1] = runs / (double)((repeats - 1) * QUEUED);
}

/* Both at once. */

struct flood {
    unsigned producers, workers, capacity;
};

struct producer {
    size_t tasks, errors;
    unsigned cpu;
};

static void *produce(void *arg)
{
    struct producer *producer = arg;
    move_to(producer->cpu % 2);
    for (size_t i = 0; i < producer->tasks; i++)
        producer->errors += weir_pool_submit(pool, count_task, NULL) != 0;
    return NULL;
}

static void flood_round(void *arg, double ret_values[])
{
    const struct flood *flood = arg;
    pthread_t threads[MAX_PRODUCERS];
    struct producer producers[MAX_PRODUCERS];
    size_t each = bench_scaled(FLOOD), errors = 0;
    open_pool(flood->workers, flood->capacity, 1);
    int64_t start = bench_now();
    for (unsigned i = 0; i < flood->producers; i++) {
        producers[i] = (struct producer){.tasks = each, .cpu = i};
        bench_require(pthread_create(&threads[i], NULL, produce, &producers[i]) == 0,
                      "a thread could not be started");
    }
    for (unsigned i = 0; i < flood->producers; i++) {
        (void)pthread_join(threads[i], NULL);
        errors += producers[i].errors;
    }
    errors += weir_pool_drain(pool) != 0;
    ret_values[0] = (double)(bench_now() - start) / (double)(each * flood->producers);
    bench_check(errors == 0, "a submit or a drain failed");
    bench_check(counted() == each * flood->producers, "not every task ran once");
    weir_pool_free(pool);
}

int main(int argc, char **argv)
{
    bench_begin(argc, argv);
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0 || !CPU_ISSET(0, &set) || !CPU_ISSET(1, &set)) {
        printf("Needs the processors 0 and 1.\n");
        return bench_end();
    }
    bench_require(sem_init(&begun, 0, 0) == 0 && sem_init(&go_on, 0, 0) == 0,
                  "a semaphore could not be made");
    move_to(0);
    const struct contender basics[] = {
        {.name = "locked add, own line", .round = locked_round},
        {.name = "a line to another core", .round = transfer_round},
        {.name = "many lines, read", .round = read_round},
        {.name = "many lines, locked add", .round = locked_line_round},
    };
    bench_compare(&(struct comparison){
        .title = "Instructions and lines",
        .metrics = {"ns"},
        .contenders = basics,
        .n = sizeof basics / sizeof basics[0],
        .rounds = ROUNDS,
    });
    struct halves same = {0}, other = {1};
    const struct contender halves[] = {
        {.name = "worker on the same core", .round = halves_round, .arg = &same},
        {.name = "worker on another core", .round = halves_round, .arg = &other},
    };
    bench_compare(&(struct comparison){
        .title = "4000 submits while the worker is held up, then 4000 runs",
        .metrics = {"ns/submit", "ns/run"},
        .contenders = halves,
        .n = 2,
        .rounds = ROUNDS,
    });
    struct flood floods[] = {{1, 1, 1024}, {1, 1, 64},   {1, 1, 65536}, {2, 1, 1024},
                             {1, 4, 1024}, {2, 4, 1024}, {4, 2, 1024}};
    enum { FLOODS = sizeof floods / sizeof floods[0] };
    static const char *const names[FLOODS] = {"1 producer, 1 worker",  "... capacity 64",
                                              "... capacity 65536",    "2 producers, 1 worker",
                                              "1 producer, 4 workers", "2 producers, 4 workers",
                                              "4 producers, 2 workers"};
    struct contender contenders[FLOODS] = {{0}};
    for (size_t i = 0; i < FLOODS; i++) {
        contenders[i].name = names[i];
        contenders[i].round = flood_round;
        contenders[i].arg = &floods[i];
    }
    bench_compare(&(struct comparison){
        .title = "Both at once, threads in turns on two cores, capacity 1024",
        .metrics = {"ns/task"},
        .contenders = contenders,
        .n = FLOODS,
        .rounds = ROUNDS,
    });
    (void)sem_destroy(&begun);
    (void)sem_destroy(&go_on);
    return bench_end();
}
