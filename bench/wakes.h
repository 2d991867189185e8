/* SPDX-License-Identifier: MIT */
/* wakes.h - counts the calls that wake a sleeping thread.
 *
 * The linker puts counting functions before syscall(), pthread_cond_signal(),
 * pthread_cond_broadcast() and pthread_mutex_unlock() (its option --wrap). Counted are
 *   - the futex operations that wake, which the library makes through syscall();
 *   - the calls on condition variables, which its other back end and the mutex pool make only when
 *     somebody may be asleep;
 *   - the releases of a mutex that somebody sleeps on, as the C library sees it (glibc).
 * Not counted is the mutex that a wait on a condition releases within.
 */
#ifndef BENCH_WAKES_H
#define BENCH_WAKES_H

#include <stdint.h>

/* How many such calls the process has made. */
uint64_t wakes_so_far(void);

#endif
