/* SPDX-License-Identifier: MIT */
/* usage.c - what the process has used so far. */
#include <sys/resource.h>
#include <time.h>

#include "common.h"
#include "wakes.h"

static int64_t read_clock(clockid_t clock)
{
    struct timespec t;
    (void)clock_gettime(clock, &t); /* cannot fail for the clocks below */
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

struct bench_usage bench_read_usage(void)
{
    /* What the caller does between the looks at itself and at the whole is the same each time, so
     * it drops out of the difference of two calls. */
    struct rusage self, all;
    int64_t own = read_clock(CLOCK_THREAD_CPUTIME_ID);
    int64_t whole = read_clock(CLOCK_PROCESS_CPUTIME_ID);
    bench_require(getrusage(RUSAGE_THREAD, &self) == 0 && getrusage(RUSAGE_SELF, &all) == 0,
                  "getrusage failed");
    return (struct bench_usage){
        .wakes = wakes_so_far(),
        .switches = (uint64_t)all.ru_nvcsw,
        .others_switches = (uint64_t)(all.ru_nvcsw - self.ru_nvcsw),
        .cpu = whole,
        .others_cpu = whole - own,
    };
}
