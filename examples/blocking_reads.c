/* SPDX-License-Identifier: MIT */
/* blocking_reads.c - tasks that block in a read that weir knows nothing of, as in a driver for a
 * database: on two workers, and on a pool that makes more while tasks say that they block.
 *
 * Usage: blocking_reads [TASKS]      100 of them, unless told otherwise */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <weir.h>

enum { WORKERS = 2, MOST = 32 };

static atomic_uint answers;

/* Stands for a driver: a read that blocks until the answer is there, after 50 ms. */
static int ask(void)
{
    static const struct itimerspec in_50_ms = {.it_value.tv_nsec = 50000000};
    uint64_t answer;
    int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    if (fd < 0)
        return -errno;
    int err = timerfd_settime(fd, 0, &in_50_ms, NULL) == 0 &&
                      read(fd, &answer, sizeof answer) == (ssize_t)sizeof answer
                  ? 0
                  : -errno;
    (void)close(fd);
    return err;
}

static int fetch(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    weir_blocking_begin();
    int err = ask();
    weir_blocking_end();
    if (err == 0)
        atomic_fetch_add(&answers, 1); /* here as many tasks are at once as there are turns */
    return err;
}

/* How long `n` tasks take, in ns; negative: it failed. */
static int64_t fetch_all(const weir_pool_options *options, unsigned n)
{
    weir_pool *pool = NULL;
    weir_pool_stats stats = {.size = sizeof stats};
    int err = weir_pool_new(&pool, options);
    int64_t began = weir_now();
    for (unsigned i = 0; i < n && err == 0; i++)
        err = weir_pool_submit(pool, fetch, NULL);
    if (err == 0)
        err = weir_pool_drain(pool);
    int64_t took = weir_now() - began;
    if (err == 0)
        err = weir_pool_read_stats(pool, &stats);
    weir_pool_free(pool);
    if (err != 0)
        return err;
    printf("%5.0f ms; %u workers at the end, %llu were added\n", (double)took / 1e6, stats.workers,
           (unsigned long long)stats.grown);
    return took;
}

int main(int argc, char **argv)
{
    unsigned n = argc > 1 ? (unsigned)atoi(argv[1]) : 100;
    printf("%u tasks that each block for 50 ms\n", n);
    int64_t fixed = fetch_all(WEIR_POOL_OPTIONS(.workers = WORKERS), n);
    int64_t elastic = fetch_all(WEIR_POOL_OPTIONS(.workers = WORKERS, .workers_max = MOST), n);
    if (fixed < 0 || elastic < 0) {
        fprintf(stderr, "blocking_reads: %s\n", weir_strerror((int)(fixed < 0 ? fixed : elastic)));
        return 1;
    }
    printf("%.1f times as fast\n", (double)fixed / (double)elastic);
    return atomic_load(&answers) == 2 * n ? 0 : 1;
}
