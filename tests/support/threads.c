/* SPDX-License-Identifier: MIT */
/* threads.c - threads that make one call for a test. */
#include "support/threads.h"

#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "support/suite.h"

/* A thread that only crosses a lock is seen asleep once or twice, one that blocks every time. */
enum { SIGHTINGS = 8 };

static void *run(void *arg)
{
    caller *thread = arg;
    thread->tid = thread_id();
    counter_add(&thread->started, 1);
    thread->result = thread->fn(thread->arg);
    counter_add(&thread->over, 1);
    return NULL;
}

void caller_start(caller *thread, int (*fn)(void *arg), void *arg)
{
    *thread = (caller){.fn = fn, .arg = arg, .started = COUNTER_INIT, .over = COUNTER_INIT};
    if (pthread_create(&thread->thread, NULL, run, thread) != 0)
        give_up("a thread did not start");
    counter_await(&thread->started, 1);
}

/* The letter by which the kernel tells a thread's state, or 0 when there is no such thread. */
static char state_of(pid_t tid)
{
    char path[64], text[256];
    (void)snprintf(path, sizeof path, "/proc/self/task/%d/stat", (int)tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof text - 1);
    (void)close(fd);
    if (n <= 0)
        return 0;
    text[n] = 0;
    /* The name before the state is in parentheses and may itself contain some. */
    const char *end = strrchr(text, ')');
    return end != NULL && end[1] == ' ' ? end[2] : 0;
}

/* True: seen asleep. False: `over` was counted up. `over` may be NULL. */
static bool await_asleep(pid_t tid, counter *over)
{
    int64_t deadline = patience();
    for (int sightings = 0; sightings < SIGHTINGS;) {
        if (over != NULL && counter_get(over) != 0)
            return false;
        sightings = state_of(tid) == 'S' ? sightings + 1 : 0;
        if (weir_now() > deadline)
            give_up("a thread did not fall asleep");
        (void)sched_yield();
    }
    return true;
}

bool caller_await_asleep(caller *thread)
{
    return await_asleep(thread->tid, &thread->over);
}

bool caller_is_over(caller *thread)
{
    return counter_get(&thread->over) != 0;
}

int caller_join(caller *thread)
{
    counter_await(&thread->over, 1);
    (void)pthread_join(thread->thread, NULL);
    return thread->result;
}

pid_t thread_id(void)
{
    return (pid_t)syscall(SYS_gettid);
}

void thread_await_asleep(pid_t tid)
{
    (void)await_asleep(tid, NULL);
}

/* Not by opendir, whose memory a test of faults would count. */
void threads_await_asleep(void)
{
    _Alignas(struct dirent64) char entries[4096];
    int fd = open("/proc/self/task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    long n = fd < 0 ? -1 : syscall(SYS_getdents64, fd, entries, sizeof entries);
    if (n <= 0)
        give_up("the threads cannot be seen");
    for (long at = 0; at < n;) {
        const struct dirent64 *one = (const void *)(entries + at);
        pid_t tid = (pid_t)strtol(one->d_name, NULL, 10);
        if (tid > 0 && tid != thread_id())
            thread_await_asleep(tid);
        at += one->d_reclen;
    }
    (void)close(fd);
}
