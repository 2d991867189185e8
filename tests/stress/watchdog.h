/* SPDX-License-Identifier: MIT */
/* watchdog.h - ends a test in which nothing happens any more, and says what each thread was doing.
 *
 * Each thread that works says what it is about to do; that counts as progress. A test whose threads
 * all wait for something that does not come is told, and aborted so that a core is left.
 */
#ifndef WEIR_TESTS_STRESS_WATCHDOG_H
#define WEIR_TESTS_STRESS_WATCHDOG_H

/* Starts the thread that watches. `diagnose` is called before the abort, on that thread; the test
 * is stuck then, so it must not wait for anything. Without progress for WEIR_STRESS_PATIENCE
 * seconds (an environment variable, 20 if it is not set) the test is taken for stuck. */
void watchdog_start(void (*diagnose)(void));
void watchdog_stop(void);

/* What the calling thread does now: a literal. A thread is known from its first call on. */
void doing(const char *what);

/* Progress by a thread that is not among those that say what they do. */
void progress(void);

#endif
