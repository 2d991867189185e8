/* SPDX-License-Identifier: MIT */
/* measure.c - tallies, memory, calibrated work and output of the programs of the comparison. */
#include "measure.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../common.h"

enum { TALLIES = 512, LOOK_NS = 1000000, CANNOT = 3 };

_Thread_local struct tally *own_tally;

static struct tally tallies[TALLIES];
static unsigned taken;

struct tally *tally_take(void)
{
    unsigned i = __atomic_fetch_add(&taken, 1, __ATOMIC_RELAXED); /* any order of threads will do */
    if (i >= TALLIES)
        abort();
    own_tally = &tallies[i];
    return own_tally;
}

struct tally tally_read(void)
{
    struct tally all = {0};
    for (size_t i = 0; i < TALLIES; i++) {
        all.count += __atomic_load_n(&tallies[i].count, __ATOMIC_ACQUIRE);
        all.sum += __atomic_load_n(&tallies[i].sum, __ATOMIC_RELAXED);
    }
    return all;
}

void tally_reset(void)
{
    memset(tallies, 0, sizeof tallies);
}

void tally_await(uint64_t count)
{
    while (tally_read().count < count)
        bench_sleep_until(bench_now() + LOOK_NS);
}

void tally_check(uint64_t count, uint64_t sum)
{
    struct tally all = tally_read();
    bench_check(all.count == count, "not every task ran once");
    bench_check(all.sum == sum, "the tasks got other arguments");
}

/* The number after `key` in a file of lines "Key:   number kB". */
static uint64_t read_status(const char *key)
{
    FILE *file = fopen("/proc/self/status", "r");
    bench_require(file != NULL, "/proc/self/status cannot be read");
    char line[256];
    unsigned long long kilobytes = 0;
    while (fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, key, strlen(key)) == 0)
            kilobytes = strtoull(line + strlen(key), NULL, 10);
    (void)fclose(file);
    return kilobytes * 1024;
}

uint64_t memory_resident(void)
{
    return read_status("VmRSS:");
}

uint64_t memory_peak(void)
{
    return read_status("VmHWM:");
}

void memory_reset_peak(void)
{
    int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    bench_require(fd >= 0 && write(fd, "5", 1) == 1, "the peak of memory cannot be reset");
    (void)close(fd);
}

uint64_t __attribute__((noinline)) work(uint64_t seed, uint64_t steps)
{
    uint64_t x = seed;
    for (uint64_t i = 0; i < steps; i++)
        x = x * 6364136223846793005U + 1442695040888963407U;
    return x;
}

uint64_t work_steps(double ns)
{
    enum { TRIES = 200, STEPS = 20000 };
    int64_t best = INT64_MAX;
    uint64_t x = 1;
    for (int i = 0; i < TRIES; i++) {
        int64_t start = bench_now();
        x = work(x, STEPS);
        int64_t elapsed = bench_now() - start;
        if (elapsed < best)
            best = elapsed;
    }
    bench_require(x != 0 && best > 0, "the work could not be timed");
    return (uint64_t)(ns * STEPS / (double)best);
}

uint64_t fib_value(unsigned n)
{
    uint64_t a = 0, b = 1;
    for (unsigned i = 0; i < n; i++) {
        uint64_t next = a + b;
        a = b;
        b = next;
    }
    return a;
}

uint64_t fib_calls(unsigned n)
{
    return 2 * fib_value(n + 1) - 1;
}

void print_metric(const char *name, double value)
{
    printf("%s %.6g\n", name, value);
}

void print_delays(double delays[], size_t n)
{
    print_metric("p50_us", bench_percentile(delays, n, 0.5) / 1000);
    print_metric("p99_us", bench_percentile(delays, n, 0.99) / 1000);
    print_metric("p999_us", bench_percentile(delays, n, 0.999) / 1000);
}

void cannot(const char *why)
{
    printf("cannot %s\n", why);
    exit(CANNOT);
}

void end_after(unsigned seconds)
{
    (void)alarm(seconds);
}
