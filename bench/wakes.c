/* SPDX-License-Identifier: MIT */
/* wakes.c - the counting functions that the linker puts before those that wake a thread. */
#include "wakes.h"

#include <linux/futex.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/syscall.h>

long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
int __real_pthread_cond_signal(pthread_cond_t *cond);
int __wrap_pthread_cond_signal(pthread_cond_t *cond);
int __real_pthread_cond_broadcast(pthread_cond_t *cond);
int __wrap_pthread_cond_broadcast(pthread_cond_t *cond);
int __real_pthread_mutex_unlock(pthread_mutex_t *mutex);
int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex);

static _Atomic uint64_t wakes;

uint64_t wakes_so_far(void)
{
    return atomic_load_explicit(&wakes, memory_order_relaxed);
}

static void count_wake(void)
{
    (void)atomic_fetch_add_explicit(&wakes, 1, memory_order_relaxed);
}

static bool is_wake(long operation)
{
    switch (operation & FUTEX_CMD_MASK) {
    case FUTEX_WAKE:
    case FUTEX_WAKE_BITSET:
    case FUTEX_WAKE_OP:
    case FUTEX_REQUEUE:
    case FUTEX_CMP_REQUEUE:
        return true;
    default:
        return false;
    }
}

long __wrap_syscall(long number, ...)
{
    /* Six arguments are passed on whatever the number given, as syscall() itself does; the kernel
     * looks at those, and at the part of them, that the call has. */
    long args[6];
    va_list list;
    va_start(list, number);
    for (int i = 0; i < 6; i++)
        args[i] = va_arg(list, long);
    va_end(list);
    if (number == SYS_futex && is_wake(args[1]))
        count_wake();
    return __real_syscall(number, args[0], args[1], args[2], args[3], args[4], args[5]);
}

int __wrap_pthread_cond_signal(pthread_cond_t *cond)
{
    count_wake();
    return __real_pthread_cond_signal(cond);
}

int __wrap_pthread_cond_broadcast(pthread_cond_t *cond)
{
    count_wake();
    return __real_pthread_cond_broadcast(cond);
}

int __wrap_pthread_mutex_unlock(pthread_mutex_t *mutex)
{
#ifdef __GLIBC__
    /* 2: taken, and waited for; then the release wakes. A waiter may still come between this look
     * and the release, which is rare enough not to matter. */
    if (__atomic_load_n(&mutex->__data.__lock, __ATOMIC_RELAXED) == 2)
        count_wake();
#endif
    return __real_pthread_mutex_unlock(mutex);
}
