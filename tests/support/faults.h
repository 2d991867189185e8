/* SPDX-License-Identifier: MIT */
/* faults.h - allocations and thread starts that are counted, and that fail on demand.
 *
 *     faults_begin(FAULT_ALLOC, 3);             the third allocation from now on fails
 *     err = weir_pool_new(&pool, NULL);
 *     struct faults seen = faults_end();        how many there were, and how many still live
 *
 * For binaries linked with --wrap for the calls of faults.c. What the C library allocates for
 * itself (the stacks of threads, say) is not seen; what Check allocates is, so assert afterwards.
 * One stretch at a time; all threads count together.
 */
#ifndef WEIR_TESTS_SUPPORT_FAULTS_H
#define WEIR_TESTS_SUPPORT_FAULTS_H

enum fault { FAULT_ALLOC, FAULT_THREAD };

struct faults {
    unsigned allocs, threads; /* calls made, those that failed among them */
    unsigned joins;           /* threads that were joined */
    int live;                 /* allocated and not freed; negative: freed what was there before */
};

/* Counts from now on. The `nth` call of that kind fails, with ENOMEM or EAGAIN; 0: none does. A
 * thread that is not made leaves garbage for its id, as POSIX allows. */
void faults_begin(enum fault kind, unsigned nth);
/* The same, and so do the `more` calls after it. */
void faults_begin_many(enum fault kind, unsigned nth, unsigned more);
struct faults faults_end(void);

#endif
