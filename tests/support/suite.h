/* SPDX-License-Identifier: MIT */
/* suite.h - what every test binary is made of: one Check suite and a main() around it.
 *
 *     START_TEST(cancel_wakes_every_waiter)
 *     {
 *         ...
 *         ck_assert_int_eq(weir_pool_drain(pool), 0);
 *     }
 *     END_TEST
 *
 *     Suite *weir_suite(void)
 *     {
 *         Suite *suite = suite_create("pool");
 *         TCase *cancel = add_group(suite, "cancel");
 *         tcase_add_test(cancel, cancel_wakes_every_waiter);
 *         return suite;
 *     }
 *
 * The suite file defines weir_suite(); main.c runs it. Check's own variables work as usual:
 * CK_FORK=no runs all tests in one process (for a debugger or valgrind), CK_RUN_CASE picks a group,
 * CK_VERBOSITY tells more, CK_TIMEOUT_MULTIPLIER stretches all time-outs.
 *
 * The rules that keep the tests deterministic: nothing asserts from a thread that the test started,
 * it records, and the test's own thread asserts; no test sleeps to let something happen, it makes
 * the state it wants certain (gate.h, threads.h, pools.h) and then asserts. Time-outs are there to
 * end a test that hangs, never to decide one.
 */
#ifndef WEIR_TESTS_SUPPORT_SUITE_H
#define WEIR_TESTS_SUPPORT_SUITE_H

#include <check.h>
#include <stdint.h>

/* Defined by each suite file. */
Suite *weir_suite(void);

/* Adds a group of tests with the time-out that all groups have. */
TCase *add_group(Suite *suite, const char *name);

/* For waits that must end in a correct library: a deadline so far away that only a hang reaches it,
 * yet nearer than the group's time-out, so that the test reports the failure. */
int64_t patience(void);

/* Prints one sentence and aborts: how support code fails in whatever thread it runs. */
_Noreturn void give_up(const char *what);

#endif
