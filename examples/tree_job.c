/* SPDX-License-Identifier: MIT */
/* tree_job.c - jobs that split themselves: a merge sort whose halves are tasks, and a search in
 * which each position is a task that submits those that follow.
 *
 * Both make many small tasks from inside tasks. With WEIR_ORDER_LOCAL these stay with the worker
 * that made them, which runs the newest first, while its memory is still in the cache; a worker
 * with nothing to do takes the oldest, which is the largest piece of work. */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <weir.h>

enum { COUNT = 200000, SMALL = 2000, QUEENS = 8 };

static weir_pool *pool;

/* A sort: one half is a task, the other one is done here. */

struct part {
    int *numbers, *spare;
    size_t n;
};

static int compare(const void *a, const void *b)
{
    int left = *(const int *)a, right = *(const int *)b;
    return (left > right) - (left < right);
}

static void merge(const struct part *part, size_t middle)
{
    size_t left = 0, right = middle;
    for (size_t i = 0; i < part->n; i++)
        part->spare[i] =
            left < middle && (right == part->n || part->numbers[left] <= part->numbers[right])
                ? part->numbers[left++]
                : part->numbers[right++];
    memcpy(part->numbers, part->spare, part->n * sizeof part->numbers[0]);
}

static int sort(weir_context *ctx, void *arg)
{
    struct part *part = arg;
    if (part->n <= SMALL) {
        qsort(part->numbers, part->n, sizeof part->numbers[0], compare);
        return weir_context_err(ctx);
    }
    size_t middle = part->n / 2;
    struct part left = {part->numbers, part->spare, middle};
    struct part right = {part->numbers + middle, part->spare + middle, part->n - middle};
    weir_task task = WEIR_TASK_INIT;
    int err = weir_pool_submit_task(pool, &task, sort, &left, NULL);
    if (err != 0)
        return err;
    err = sort(ctx, &right);
    int waited = weir_task_wait(&task); /* runs it here, if nobody else has begun */
    if (err == 0)
        err = waited != 0 ? waited : weir_task_status(&task);
    if (err == 0)
        merge(part, middle);
    return err;
}

/* A tree without waits: in how many ways eight queens stand on a board. The position is the task's
 * argument itself: the columns of the queens so far, an octal digit each, after a leading 1. */

static atomic_uint solutions, positions;

static int may_stand(uintptr_t board, int row, int column)
{
    for (int back = 1; back <= row; back++, board >>= 3) {
        int other = (int)(board & 7), distance = abs(other - column);
        if (distance == 0 || distance == back)
            return 0;
    }
    return 1;
}

static int place_queen(weir_context *ctx, void *arg)
{
    uintptr_t board = (uintptr_t)arg;
    int row = 0, err = weir_context_err(ctx);
    for (uintptr_t b = board; b > 1; b >>= 3)
        row++;
    atomic_fetch_add(&positions, 1);
    if (row == QUEENS)
        atomic_fetch_add(&solutions, 1);
    for (int column = 0; row < QUEENS && column < QUEENS && err == 0; column++)
        if (may_stand(board, row, column))
            err = weir_pool_submit(pool, place_queen, (void *)(board << 3 | (uintptr_t)column));
    return err;
}

static int run(int *numbers, int *spare)
{
    struct part all = {numbers, spare, COUNT};
    weir_task task = WEIR_TASK_INIT;
    int err = weir_pool_submit_task(pool, &task, sort, &all, NULL);
    if (err == 0)
        err = weir_task_wait(&task);
    if (err != 0 || (err = weir_task_status(&task)) != 0)
        return err;
    size_t in_order = 1;
    while (in_order < COUNT && numbers[in_order - 1] <= numbers[in_order])
        in_order++;
    printf("sorted: %zu of %d numbers\n", in_order, COUNT);

    err = weir_pool_submit(pool, place_queen, (void *)1);
    if (err == 0)
        err = weir_pool_drain(pool);
    printf("queens: %u solutions in %u positions\n", atomic_load(&solutions),
           atomic_load(&positions));
    return err;
}

int main(void)
{
    int *numbers = malloc(COUNT * sizeof *numbers), *spare = malloc(COUNT * sizeof *spare);
    int err = numbers != NULL && spare != NULL ? 0 : -ENOMEM;
    for (unsigned i = 0, random = 1; i < COUNT && err == 0;
         i++, random = random * 1103515245 + 12345)
        numbers[i] = (int)(random >> 8);
    if (err == 0)
        err = weir_pool_new(&pool, WEIR_POOL_OPTIONS(.order = WEIR_ORDER_LOCAL));
    if (err == 0) {
        err = run(numbers, spare);
        weir_pool_free(pool);
    }
    free(numbers);
    free(spare);
    if (err != 0)
        fprintf(stderr, "tree_job: %s\n", weir_strerror(err));
    return err != 0;
}
