/* SPDX-License-Identifier: MIT */
/* hockey_stick.c - how long tasks wait, as the load rises.
 *
 * Usage: bench_hockey_stick [TASKS]     at each load; 1500 by default
 *
 * Tasks come at random, by themselves and not when others end: an open system. Each takes 10 ms, in
 * which it sleeps, so that other programs on the machine matter little; they make a sleep somewhat
 * longer, and with it the load. Prints a line for each load: what it was to be and what it was, as
 * parts of the workers' time; then the mean, the median, the 99th percentile and the maximum of the
 * wait in ms, as the pool's own histogram tells them. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "weir.h"

enum { WORKERS = 4, SERVICE_MS = 10, ROOM = 1 << 20 };

static const int loads[] = {10, 20, 30, 40, 50, 60, 70, 75, 80, 85, 90, 95};

static int serve(weir_context *ctx, void *arg)
{
    (void)arg;
    return weir_sleep_until(ctx, weir_after(WEIR_MS(SERVICE_MS)));
}

/* In 0..1, both left out. */
static double random_part(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return ((double)(*state >> 11) + 0.5) / 9007199254740992.0;
}

static int submit_at_random(weir_pool *pool, int tasks, double mean_gap)
{
    int err = 0;
    uint64_t random = 88172645463325252u; /* the same pattern at each load, only slower or faster */
    double at = (double)weir_now();
    for (int i = 0; i < tasks && err == 0; i++) {
        at -= mean_gap * log(random_part(&random));
        err = weir_sleep_until(NULL, (int64_t)at);
        if (err == 0)
            err = weir_pool_submit(pool, serve, NULL);
    }
    return err != 0 ? err : weir_pool_drain(pool);
}

static double ms(int64_t ns)
{
    return (double)ns / 1e6;
}

static int measure(int load, int tasks)
{
    weir_pool *pool;
    weir_pool_stats stats = {.size = sizeof stats};
    int err = weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = WORKERS, .capacity = ROOM,
                                                     .measure = WEIR_MEASURE_ALL));
    if (err != 0)
        return err;
    double gap = (double)WEIR_MS(SERVICE_MS) / WORKERS * 100 / load;
    err = submit_at_random(pool, tasks, gap);
    if (err == 0)
        err = weir_pool_read_stats(pool, &stats);
    weir_pool_free(pool);
    if (err == 0 && stats.wait.count != (uint64_t)tasks)
        fprintf(stderr, "%" PRIu64 " waits of %d tasks\n", stats.wait.count, tasks);
    if (err == 0)
        printf("%d %.1f %.3f %.3f %.3f %.3f\n", load,
               (double)stats.run.sum / tasks / WORKERS / gap * 100,
               (double)stats.wait.sum / tasks / 1e6, ms(weir_histogram_quantile(&stats.wait, 0.5)),
               ms(weir_histogram_quantile(&stats.wait, 0.99)),
               ms(weir_histogram_quantile(&stats.wait, 1)));
    fflush(stdout);
    return err != 0 || stats.wait.count != (uint64_t)tasks ? -1 : 0;
}

int main(int argc, char **argv)
{
    int tasks = argc > 1 ? atoi(argv[1]) : 1500, err = tasks > 0 ? 0 : -1;
    for (size_t i = 0; i < sizeof loads / sizeof loads[0] && err == 0; i++)
        err = measure(loads[i], tasks);
    return err != 0;
}
