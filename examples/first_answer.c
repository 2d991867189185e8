/* SPDX-License-Identifier: MIT */
/* first_answer.c - the same question to three replicas. The first answer is used, the others are
 * told to stop. */
#include <errno.h>
#include <stdio.h>

#include <weir.h>

enum { REPLICAS = 3 };

struct replica {
    const char *name;
    int64_t takes; /* ns until it answers */
    int answer;
};

static int ask(weir_context *ctx, void *arg)
{
    struct replica *replica = arg;
    int err = weir_sleep_until(ctx, weir_after(replica->takes)); /* over the network */
    if (err == 0)
        replica->answer = 42;
    return err;
}

/* Returns the index of a replica that has answered, or an error. */
static int ask_all(weir_pool *pool, struct replica replicas[REPLICAS], weir_task tasks[REPLICAS])
{
    weir_task *all[REPLICAS] = {NULL, NULL, NULL};
    int err = 0, first = -EINVAL;
    for (int i = 0; i < REPLICAS && err == 0; i++) {
        err = weir_pool_submit_task(pool, &tasks[i], ask, &replicas[i], NULL);
        if (err == 0)
            all[i] = &tasks[i];
    }
    if (err == 0)
        first = weir_task_wait_any_until(all, REPLICAS, NULL, weir_after(WEIR_S(60)));
    for (int i = 0; i < REPLICAS; i++) /* they are on the caller's stack: none may be left */
        if (all[i] != NULL && weir_task_cancel(all[i]) != 0 && weir_task_wait(all[i]) != 0)
            return -EINVAL;
    return err != 0 ? err : first;
}

int main(void)
{
    struct replica replicas[REPLICAS] = {
        {"far away", WEIR_S(600), 0}, {"near", WEIR_MS(1), 0}, {"busy", WEIR_S(600), 0}};
    weir_task tasks[REPLICAS] = {WEIR_TASK_INIT, WEIR_TASK_INIT, WEIR_TASK_INIT};
    weir_pool *pool;
    int err = weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = REPLICAS));
    if (err != 0)
        return 1;
    int first = ask_all(pool, replicas, tasks);
    if (first >= 0) {
        printf("%s answers %d\n", replicas[first].name, replicas[first].answer);
        for (int i = 0; i < REPLICAS; i++)
            if (i != first)
                printf("%s: %s\n", replicas[i].name, weir_strerror(weir_task_status(&tasks[i])));
    }
    weir_pool_free(pool);
    return first < 0;
}
