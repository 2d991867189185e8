/* SPDX-License-Identifier: MIT */
/* covered.h - what a test binary covered, printed in its last line.
 *
 *     covered("allocations that failed", n);
 *
 * Notes of the same text are added up, over all tests of the binary, though Check runs each in a
 * process of its own; main() prints the sums. To be called from the test's own thread.
 */
#ifndef WEIR_TESTS_SUPPORT_COVERED_H
#define WEIR_TESTS_SUPPORT_COVERED_H

/* `what`: a literal of at most 59 bytes. */
void covered(const char *what, unsigned long n);

/* For main(): before the tests are run, and after. */
void covered_begin(void);
void covered_print(void);

#endif
