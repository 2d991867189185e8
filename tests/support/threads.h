/* SPDX-License-Identifier: MIT */
/* threads.h - threads that make one call for a test, and the wait until such a call blocks.
 *
 *     static int wait_for_it(void *arg) { return weir_task_wait(arg); }
 *
 *     caller waiter;
 *     caller_start(&waiter, wait_for_it, &task);
 *     ck_assert(caller_await_asleep(&waiter));     it blocks, and has not returned
 *     ...
 *     ck_assert_int_eq(caller_join(&waiter), 0);
 *
 * "Asleep" is what the operating system says of the thread. A test may use it to reach the state
 * that it is about more surely, or to assert that a call has not returned; it must be right as well
 * if the thread was only about to fall asleep.
 */
#ifndef WEIR_TESTS_SUPPORT_THREADS_H
#define WEIR_TESTS_SUPPORT_THREADS_H

#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>

#include "support/gate.h"

/* ThreadSanitizer lets no child of a process with threads start threads of its own. */
#if defined(__SANITIZE_THREAD__)
#define CHILDREN_HAVE_THREADS 0
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define CHILDREN_HAVE_THREADS 0
#endif
#endif
#ifndef CHILDREN_HAVE_THREADS
#define CHILDREN_HAVE_THREADS 1
#endif

typedef struct caller {
    pthread_t thread;
    int (*fn)(void *arg);
    void *arg;
    counter started, over;
    pid_t tid;
    int result;
} caller;

/* Starts a thread that calls fn(arg) and keeps what it returns. */
void caller_start(caller *thread, int (*fn)(void *arg), void *arg);
/* True: the thread sleeps inside fn. False: fn has returned. */
bool caller_await_asleep(caller *thread);
/* Whether fn has returned. */
bool caller_is_over(caller *thread);
/* Joins the thread; what fn returned. Gives up if it does not return. */
int caller_join(caller *thread);

/* The calling thread's number, for thread_await_asleep. */
pid_t thread_id(void);
/* Waits until that thread of this process sleeps, whatever it sleeps on. */
void thread_await_asleep(pid_t tid);
/* The same of all other threads of the process. */
void threads_await_asleep(void);

#endif
