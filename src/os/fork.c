/* SPDX-License-Identifier: MIT */
#include "os/fork.h"

#include <pthread.h>

atomic(uint32_t) weir__fork_count = 1;

int weir__at_fork_child(void (*handler)(void))
{
    return -pthread_atfork(NULL, NULL, handler);
}

static void count_fork(void)
{
    add_rlx(&weir__fork_count, 1); /* the child has one thread */
}

__attribute__((constructor)) static void watch_forks(void)
{
    (void)weir__at_fork_child(count_fork); /* fails only if memory ends while the program loads */
}
