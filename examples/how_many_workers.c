/* SPDX-License-Identifier: MIT */
/* how_many_workers.c - tasks that wait 50 ms each: on two workers, on one worker for each task, and
 * on two workers again, but as delayed tasks, which hold no worker while they wait.
 *
 * Usage: how_many_workers [TASKS]      200 by default, at most 1000 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <weir.h>

enum { MOST = 1000 };

static const int64_t wait_ns = WEIR_MS(50);
static weir_task tasks[MOST];

/* Stands for a request to another machine: the thread sleeps until the answer is there. */
static int ask_and_wait(weir_context *ctx, void *arg)
{
    (void)arg;
    return weir_sleep_until(ctx, weir_after(wait_ns));
}

/* What is to be done once the answer is there. */
static int use_answer(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return 0;
}

static int wait_in_workers(weir_pool *pool, unsigned n)
{
    int err = 0;
    for (unsigned i = 0; i < n && err == 0; i++)
        err = weir_pool_submit_task(pool, &tasks[i], ask_and_wait, NULL, NULL);
    return err;
}

static int wait_as_delayed(weir_pool *pool, unsigned n)
{
    int64_t due = weir_after(wait_ns);
    int err = 0;
    for (unsigned i = 0; i < n && err == 0; i++)
        err = weir_pool_submit_task_at(pool, &tasks[i], use_answer, NULL, NULL, due);
    return err;
}

/* Returns 0 or an error; the tasks cannot end sooner than `at_least`. */
static int measure(const char *how, unsigned workers, unsigned n, int64_t at_least,
                   int (*submit)(weir_pool *pool, unsigned n))
{
    weir_pool *pool;
    int err = weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = workers, .capacity = MOST));
    if (err != 0)
        return err;
    int64_t start = weir_now();
    err = submit(pool, n);
    for (unsigned i = 0; i < n && err == 0; i++)
        err = weir_task_wait(&tasks[i]);
    int64_t took = weir_now() - start;
    weir_pool_free(pool);
    if (err == 0 && took < at_least)
        err = -ERANGE;
    if (err == 0)
        printf("%4u workers, %-15s %5d ms\n", workers, how, (int)(took / WEIR_MS(1)));
    return err;
}

int main(int argc, char **argv)
{
    long given = argc > 1 ? strtol(argv[1], NULL, 10) : 200;
    if (given < 1 || given > MOST) {
        fprintf(stderr, "usage: how_many_workers [TASKS], at most %d\n", MOST);
        return 2;
    }
    unsigned n = (unsigned)given;
    printf("%u tasks that wait %d ms\n", n, (int)(wait_ns / WEIR_MS(1)));
    int err = measure("waiting tasks:", 2, n, wait_ns * ((n + 1) / 2), wait_in_workers);
    if (err == 0)
        err = measure("waiting tasks:", n, n, wait_ns, wait_in_workers);
    if (err == 0)
        err = measure("delayed tasks:", 2, n, wait_ns, wait_as_delayed);
    if (err != 0)
        fprintf(stderr, "how_many_workers: %s\n", weir_strerror(err));
    return err != 0;
}
