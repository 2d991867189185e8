/* SPDX-License-Identifier: MIT */
/* child_ends.c - a task starts when a process ends: no thread waits for it, and no SIGCHLD is used.
 *
 * On Linux a process has a descriptor that is ready once the process is over.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include "weir.h"

enum { CHILDREN = 3 };

struct child {
    weir_task task;
    pid_t pid;
    int fd;
    int status;
};

static int reap(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct child *child = arg;
    (void)waitpid(child->pid, &child->status, 0); /* it is over: this does not block */
    (void)close(child->fd);
    return 0;
}

int main(void)
{
    struct child children[CHILDREN] = {0};
    for (int i = 0; i < CHILDREN; i++) {
        children[i].pid = fork();
        if (children[i].pid == 0)
            _exit(i);
        children[i].fd = (int)syscall(SYS_pidfd_open, children[i].pid, 0);
        if (children[i].fd < 0)
            return 77; /* the system has none */
    }
    weir_pool *pool;
    if (weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .descriptors = CHILDREN)) != 0)
        return 1;
    for (int i = 0; i < CHILDREN; i++)
        if (weir_pool_submit_when(pool, &children[i].task, children[i].fd, WEIR_READABLE, reap,
                                  &children[i], NULL) != 0)
            return 1;
    for (int i = 0; i < CHILDREN; i++)
        if (weir_task_wait(&children[i].task) == 0)
            printf("child %d has ended with status %d\n", i, WEXITSTATUS(children[i].status));
    weir_pool_free(pool);
    return 0;
}
