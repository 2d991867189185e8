/* SPDX-License-Identifier: MIT */
#include "os/thread.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

_Thread_local struct self weir__this_thread = {.park = PARK_INIT};

static const int synchronous[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};

bool weir__signal_is_synchronous(int number)
{
    for (size_t i = 0; i < sizeof synchronous / sizeof synchronous[0]; i++)
        if (synchronous[i] == number)
            return true;
    return false;
}

int weir__thread_start(pthread_t *ret_thread, void *(*run)(void *), void *arg, size_t stack_size)
{
    pthread_attr_t attributes;
    int err = pthread_attr_init(&attributes);
    if (err != 0)
        return -err;
    if (stack_size != 0)
        err = pthread_attr_setstacksize(&attributes, stack_size);
    if (err == 0) {
        /* The new thread inherits the mask, so that no signal can slip in before it is set. */
        sigset_t blocked, before;
        (void)sigfillset(&blocked);
        for (size_t i = 0; i < sizeof synchronous / sizeof synchronous[0]; i++)
            (void)sigdelset(&blocked, synchronous[i]);
        (void)pthread_sigmask(SIG_SETMASK, &blocked, &before);
        err = pthread_create(ret_thread, &attributes, run, arg);
        (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    (void)pthread_attr_destroy(&attributes);
    return -err;
}

void weir__thread_ignore_cancel(void)
{
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, NULL); /* cannot fail */
}

enum { NAME_LIMIT = 16 }; /* Linux: 15 bytes and the NUL */

/* `suffix` is shorter than the limit. */
static void name_thread(const char *name, const char *suffix)
{
    char text[NAME_LIMIT];
    size_t room = NAME_LIMIT - 1 - strlen(suffix), length = strnlen(name, room);
    memcpy(text, name, length);
    memcpy(text + length, suffix, strlen(suffix) + 1);
    (void)pthread_setname_np(pthread_self(), text);
}

void weir__thread_name(const char *name, unsigned index)
{
    char suffix[NAME_LIMIT];
    (void)snprintf(suffix, sizeof suffix, "/%u", index);
    name_thread(name, suffix);
}

void weir__thread_name_timer(const char *name)
{
    name_thread(name, "/timer");
}

void weir__thread_name_manager(const char *name)
{
    name_thread(name, "/manager");
}

void weir__thread_name_signals(void)
{
    name_thread("weir", "/signals");
}

void weir__thread_name_ready(void)
{
    name_thread("weir", "/ready");
}

int weir__thread_id(void)
{
    struct self *self = this_thread();
    if (self->id == 0)
        self->id = gettid();
    return self->id;
}

int64_t weir__thread_cpu_time(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* cannot fail, as in clock.c */
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int weir__process_id(void)
{
    return getpid();
}

void weir__thread_read_name(char *ret, size_t size)
{
    if (pthread_getname_np(pthread_self(), ret, size) != 0)
        ret[0] = '\0'; /* longer than the buffer */
}

size_t weir__stack_minimum(void)
{
    long minimum = sysconf(_SC_THREAD_STACK_MIN);
    return minimum > 0 ? (size_t)minimum : 16384;
}

void weir__thread_yield(void)
{
    (void)sched_yield();
}
