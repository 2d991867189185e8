/* SPDX-License-Identifier: MIT */
/* channel.c - numbers through a channel, from as many threads as there are to take them, against a
 * mutex with two condition variables and, where there is a Go compiler, Go's channels. Go's run is
 * a process of its own, which measures itself; so all take turns. */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <weir.h>

#include "baseline/mutex_queue.h"
#include "common.h"

enum { NUMBERS = 200000, RENDEZVOUS_NUMBERS = 20000, ROUNDS = 9, MAX_PAIRS = 4 };

struct run {
    size_t capacity;
    unsigned pairs;
    size_t numbers; /* each sends so many */
    weir_channel *channel;
    struct mutex_queue *queue;
    pthread_barrier_t begin;
};

/* One thread. */
struct end {
    struct run *run;
    uint64_t sum;
    bool failed;
};

static void *send_weir(void *arg)
{
    struct end *end = arg;
    (void)pthread_barrier_wait(&end->run->begin);
    for (uint64_t i = 1; i <= end->run->numbers; i++)
        if (weir_channel_send(end->run->channel, &i) != 0)
            end->failed = true;
    return NULL;
}

static void *receive_weir(void *arg)
{
    struct end *end = arg;
    uint64_t sum = 0;
    (void)pthread_barrier_wait(&end->run->begin);
    for (size_t i = 0; i < end->run->numbers; i++) {
        uint64_t number = 0;
        if (weir_channel_recv(end->run->channel, &number) != 0)
            end->failed = true;
        sum += number;
    }
    end->sum = sum;
    return NULL;
}

static void *send_mutex(void *arg)
{
    struct end *end = arg;
    (void)pthread_barrier_wait(&end->run->begin);
    for (uint64_t i = 1; i <= end->run->numbers; i++)
        mutex_queue_put(end->run->queue, i);
    return NULL;
}

static void *receive_mutex(void *arg)
{
    struct end *end = arg;
    uint64_t sum = 0;
    (void)pthread_barrier_wait(&end->run->begin);
    for (size_t i = 0; i < end->run->numbers; i++)
        sum += mutex_queue_take(end->run->queue);
    end->sum = sum;
    return NULL;
}

/* ns a number. */
static double run_threads(struct run *run, void *(*send)(void *), void *(*receive)(void *))
{
    pthread_t threads[2 * MAX_PAIRS];
    struct end ends[2 * MAX_PAIRS];
    bench_require(pthread_barrier_init(&run->begin, NULL, 2 * run->pairs + 1) == 0,
                  "a barrier could not be made");
    for (unsigned i = 0; i < 2 * run->pairs; i++) {
        ends[i] = (struct end){.run = run};
        int err = pthread_create(&threads[i], NULL, i % 2 == 0 ? send : receive, &ends[i]);
        bench_require(err == 0, "a thread could not be started");
    }
    uint64_t sum = 0;
    (void)pthread_barrier_wait(&run->begin);
    int64_t start = bench_now();
    for (unsigned i = 0; i < 2 * run->pairs; i++) {
        (void)pthread_join(threads[i], NULL);
        bench_check(!ends[i].failed, "a send or a recv failed");
        sum += ends[i].sum;
    }
    int64_t elapsed = bench_now() - start;
    (void)pthread_barrier_destroy(&run->begin);
    bench_check(sum == (uint64_t)run->pairs * run->numbers * (run->numbers + 1) / 2,
                "the sum of what was received is wrong");
    return (double)elapsed / ((double)run->pairs * (double)run->numbers);
}

static void weir_round(void *arg, double ret_values[])
{
    struct run *run = arg;
    bench_require(weir_channel_new(&run->channel, sizeof(uint64_t), run->capacity) == 0,
                  "a channel could not be made");
    ret_values[0] = run_threads(run, send_weir, receive_weir);
    weir_channel_free(run->channel);
}

static void mutex_round(void *arg, double ret_values[])
{
    struct run *run = arg;
    run->queue = mutex_queue_new(run->capacity);
    bench_require(run->queue != NULL, "a queue could not be made");
    ret_values[0] = run_threads(run, send_mutex, receive_mutex);
    mutex_queue_free(run->queue);
}

#ifdef BENCH_GO_CHANNEL
static void go_round(void *arg, double ret_values[])
{
    const struct run *run = arg;
    char command[4096];
    (void)snprintf(command, sizeof command, "'%s' %zu %u %zu", BENCH_GO_CHANNEL, run->capacity,
                   run->pairs, run->numbers);
    FILE *pipe = popen(command, "r");
    bench_require(pipe != NULL, "the program in Go could not be started");
    double elapsed = 0;
    int got = fscanf(pipe, "%lf", &elapsed);
    bench_require(pclose(pipe) == 0 && got == 1, "the program in Go failed");
    ret_values[0] = elapsed / ((double)run->pairs * (double)run->numbers);
}
#endif

static void compare(const char *title, size_t capacity, unsigned pairs, size_t numbers)
{
    struct run run = {.capacity = capacity, .pairs = pairs, .numbers = bench_scaled(numbers)};
    const struct contender contenders[] = {
        {.name = "weir_channel",
         .round = weir_round,
         .arg = &run,
         .goals = {{RATIO_AT_MOST, 1.0}},
         .limits = {{RATIO_AT_MOST, 1.0}}},
        {.name = "mutex + condvars", .round = mutex_round, .arg = &run},
#ifdef BENCH_GO_CHANNEL
        {.name = "Go", .round = go_round, .arg = &run},
#endif
    };
    enum { CONTENDERS = sizeof contenders / sizeof contenders[0] };
    bench_compare(&(struct comparison){
        .title = title,
        .metrics = {"ns/element"},
        .contenders = contenders,
        .n = CONTENDERS,
        .against = &contenders[CONTENDERS - 1],
        .limit_against = &contenders[1], /* Go may not be there */
        .rounds = ROUNDS,
    });
}

int main(int argc, char **argv)
{
    bench_begin(argc, argv);
    compare("A channel of 1000, one thread sends, one receives", 1000, 1, NUMBERS);
    compare("A channel of 1000, four threads send, four receive", 1000, 4, NUMBERS / 4);
    compare("A rendezvous, one thread sends, one receives", 0, 1, RENDEZVOUS_NUMBERS);
    return bench_end();
}
