/* SPDX-License-Identifier: MIT */
/* abort.h - misuse that aborts.
 *
 *     static void count_below_zero(void *arg) { weir_waitgroup_done(arg); }
 *
 *     weir_waitgroup wg = WEIR_WAITGROUP_INIT;
 *     assert_aborts(count_below_zero, &wg, "weir_waitgroup_done");
 *
 * The function runs in a forked child. Start threads (make a pool) in it, not before: a child of a
 * process with threads is alone with whatever locks they held.
 */
#ifndef WEIR_TESTS_SUPPORT_ABORT_H
#define WEIR_TESTS_SUPPORT_ABORT_H

/* Asserts that fn(arg) ends its process by SIGABRT after it wrote `text` to standard error. */
void assert_aborts(void (*fn)(void *arg), void *arg, const char *text);

#endif
