/* SPDX-License-Identifier: MIT */
/* stack.c - little stack: the least that a thread can have, and runs within each other as deep as
 * weir lets them go. What a sanitizer adds to each frame is not weir's: it gets more room.
 */
#include "support/suite.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/covered.h"
#include "support/gate.h"
#include "support/pools.h"
#include "weir.h"

enum { KIB = 1024, DEEPEST = 64 };

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifdef SANITIZED
enum { SMALL_STACK = 1024 * KIB, LEAST_STACK = 256 * KIB };
#else
enum { SMALL_STACK = 80 * KIB, LEAST_STACK = 0 };
#endif

static size_t least_stack(void)
{
    long minimum = sysconf(_SC_THREAD_STACK_MIN);
    size_t least = minimum > 0 ? (size_t)minimum : (size_t)PTHREAD_STACK_MIN;
    return least > LEAST_STACK ? least : LEAST_STACK;
}

static weir_pool *new_small_pool(size_t stack_size)
{
    weir_pool *pool = NULL;
    ck_assert_int_eq(weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1,
                                                            .stack_size = stack_size)),
                     0);
    return pool;
}

static int end_thread(weir_context *ctx, void *arg)
{
    (void)ctx;
    counter_add(arg, 1);
    pthread_exit(NULL);
}

START_TEST(the_least_stack_is_enough_for_weir_itself)
{
    counter ran = COUNTER_INIT;
    weir_pool *pool = new_small_pool(least_stack());
    for (size_t i = 1; i <= 5; i++) {
        weir_task task = WEIR_TASK_INIT;
        ck_assert_int_eq(weir_pool_submit(pool, counter_task, &ran), 0);
        ck_assert_int_eq(weir_pool_submit_task(pool, &task, counter_task, &ran,
                                               WEIR_TASK_OPTIONS(.timeout = WEIR_S(3600))),
                         0);
        ck_assert_int_eq(weir_task_wait_until(&task, NULL, patience()), 0);
    }
    ck_assert_uint_eq(counter_get(&ran), 10);
    finish_pool(pool);
    covered("KiB in the least stack", least_stack() / KIB);
}
END_TEST

START_TEST(a_stack_below_the_least_is_refused)
{
    weir_pool *pool = NULL;
    size_t least = (size_t)sysconf(_SC_THREAD_STACK_MIN);
    const size_t sizes[] = {1, least / 2, least - 1};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        int err = weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1, .stack_size = sizes[i]));
        ck_assert_int_eq(err, -EINVAL);
        ck_assert_ptr_null(pool);
    }
}
END_TEST

/* Tasks that run within each other, by submits to a full pool or by waits for each other. */
struct nest {
    weir_pool *pool;
    bool die; /* the innermost one ends the thread, and so all of them */
    int depth, deepest, refusal;
    uintptr_t outermost, innermost; /* addresses on the stack */
    counter died;
};

static void go_down(struct nest *self)
{
    char here;
    self->depth++;
    self->deepest = self->depth > self->deepest ? self->depth : self->deepest;
    self->innermost = (uintptr_t)&here;
    if (self->depth == 1)
        self->outermost = (uintptr_t)&here;
}

static int nest_in_place(weir_context *ctx, void *arg)
{
    struct nest *self = arg;
    go_down(self);
    if (self->depth == DEEPEST && self->die)
        return end_thread(ctx, &self->died);
    int err = weir_pool_submit(self->pool, nest_in_place, self);
    if (err != 0 && self->refusal == 0)
        self->refusal = err;
    self->depth--;
    return 0;
}

static int nest_in_waits(weir_context *ctx, void *arg)
{
    struct nest *self = arg;
    weir_task task = WEIR_TASK_INIT;
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    go_down(self);
    int err = 0, waited = 0;
    if (self->depth < DEEPEST && self->depth % 2 == 0) {
        err = weir_pool_submit_task(self->pool, &task, nest_in_waits, self, NULL);
        waited = weir_task_wait(&task);
    } else if (self->depth < DEEPEST) {
        err = weir_waitgroup_go(&wg, self->pool, nest_in_waits, self);
        waited = weir_waitgroup_wait(&wg);
    } else if (self->die) {
        return end_thread(ctx, &self->died);
    }
    if (err != 0 || waited != 0)
        self->refusal = err != 0 ? err : waited;
    self->depth--;
    return 0;
}

/* Two: one that takes the only place, the other runs inline. */
static int fill_and_nest(weir_context *ctx, void *arg)
{
    struct nest *self = arg;
    int err = weir_pool_submit(self->pool, counter_task, &self->died);
    return err != 0 ? err : nest_in_place(ctx, self);
}

static weir_task_fn *const nests[] = {fill_and_nest, nest_in_waits};

/* Returns how much stack each level took. */
static unsigned long assert_nest_fits(weir_pool *pool, bool in_place, bool die)
{
    struct nest self = {.pool = pool, .die = die, .died = COUNTER_INIT};
    weir_task task = WEIR_TASK_INIT;
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, nests[in_place ? 0 : 1], &self, NULL), 0);
    ck_assert_int_eq(weir_task_wait_until(&task, NULL, patience()), 0);
    ck_assert_int_eq(weir_task_status(&task), die ? -ECANCELED : 0);
    ck_assert_int_eq(weir_pool_drain_until(pool, NULL, patience()), 0);
    ck_assert_int_eq(self.deepest, in_place && !die ? DEEPEST + 1 : DEEPEST);
    ck_assert_int_eq(self.refusal, in_place && !die ? -EDEADLK : 0);
    weir_pool_counts counts;
    weir_pool_read_counts(pool, &counts);
    ck_assert_uint_eq(counts.submitted, counts.done + counts.failed);
    uintptr_t high = self.outermost, low = self.innermost;
    return (high > low ? high - low : low - high) / DEEPEST;
}

START_TEST(sixty_four_runs_within_each_other_fit_a_small_stack)
{
    weir_pool *pool = new_small_pool(SMALL_STACK);
    unsigned long each = assert_nest_fits(pool, _i == 0, false);
    covered(_i == 0 ? "bytes a run in place" : "bytes a helping wait", each);
    finish_pool(pool);
}
END_TEST

START_TEST(sixty_four_runs_unwind_when_the_innermost_ends_its_thread_on_a_small_stack)
{
    weir_pool *pool = new_small_pool(SMALL_STACK);
    for (int i = 0; i < 3; i++)
        (void)assert_nest_fits(pool, _i == 0, true);
    finish_pool(pool);
}
END_TEST

/* The limit on the stack decides, when a program starts, what stack its threads have by default. So
 * this program is started once more, under the limit, to run the group "by-default". */

static _Noreturn void run_under_limit(rlim_t limit)
{
    char myself[PATH_MAX];
    ssize_t length = readlink("/proc/self/exe", myself, sizeof myself - 1);
    struct rlimit stack;
    if (length <= 0 || getrlimit(RLIMIT_STACK, &stack) != 0)
        _exit(1);
    myself[length] = '\0';
    stack.rlim_cur = limit;
    if (setrlimit(RLIMIT_STACK, &stack) != 0 || setenv("CK_RUN_CASE", "by-default", 1) != 0 ||
        setenv("CK_FORK", "no", 1) != 0)
        _exit(1);
    (void)execl(myself, myself, (char *)NULL);
    _exit(1);
}

START_TEST(a_limit_on_the_stack_of_threads_is_obeyed)
{
    static const rlim_t limits[] = {1024 * KIB, 16 * 1024 * KIB, RLIM_INFINITY};
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        struct rlimit now;
        ck_assert_int_eq(getrlimit(RLIMIT_STACK, &now), 0);
        if (now.rlim_max != RLIM_INFINITY && limits[i] > now.rlim_max)
            continue;
        (void)fflush(NULL);
        pid_t child = fork();
        ck_assert_int_ge(child, 0);
        if (child == 0)
            run_under_limit(limits[i]);
        int status = 0;
        ck_assert_int_eq(waitpid(child, &status, 0), child);
        ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "under limit %zu", i);
        covered("limits on the stack (RLIMIT_STACK)", 1);
    }
}
END_TEST

START_TEST(a_pool_without_a_wish_has_the_stack_of_the_system)
{
    weir_pool *pool = new_small_pool(0);
    (void)assert_nest_fits(pool, true, false);
    (void)assert_nest_fits(pool, false, true);
    finish_pool(pool);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("faults_stack");
    TCase *least = add_group(suite, "least");
    tcase_add_test(least, the_least_stack_is_enough_for_weir_itself);
    tcase_add_test(least, a_stack_below_the_least_is_refused);
    TCase *deep = add_group(suite, "deep");
    tcase_add_loop_test(deep, sixty_four_runs_within_each_other_fit_a_small_stack, 0, 2);
    tcase_add_loop_test(
        deep, sixty_four_runs_unwind_when_the_innermost_ends_its_thread_on_a_small_stack, 0, 2);
    TCase *limit = add_group(suite, "limit");
    tcase_add_test(limit, a_limit_on_the_stack_of_threads_is_obeyed);
    TCase *by_default = add_group(suite, "by-default");
    tcase_add_test(by_default, a_pool_without_a_wish_has_the_stack_of_the_system);
    return suite;
}
