/* SPDX-License-Identifier: MIT */
/* signal_context.c - contexts that a signal cancels. Each test begins with signals that do
 * what they usually do. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/gate.h"
#include "support/pools.h"
#include "support/suite.h"
#include "support/threads.h"
#include "weir.h"

static weir_context *open_context(weir_context *parent)
{
    weir_context *ctx = NULL;
    ck_assert_int_eq(weir_context_from_signals(&ctx, parent, NULL, 0), 0);
    ck_assert_ptr_nonnull(ctx);
    return ctx;
}

static void send(int number)
{
    ck_assert_int_eq(kill(getpid(), number), 0);
}

/* Tells a signal that is taken over from one that is not. */
static bool has_handler(int number, void (*handler)(int))
{
    struct sigaction action;
    return sigaction(number, NULL, &action) == 0 && action.sa_handler == handler;
}

static void await_over(weir_context *ctx)
{
    ck_assert_int_eq(weir_context_wait_until(ctx, patience()), 0);
}

/* The thread that a signal has woken gives the signals back after it has cancelled. */
static void await_free(void)
{
    weir_context *ctx = NULL;
    int64_t until = patience();
    int err;
    while ((err = weir_context_from_signals(&ctx, NULL, NULL, 0)) == -EBUSY && weir_now() < until)
        ck_assert_int_eq(weir_sleep_until(NULL, weir_after(WEIR_US(100))), 0);
    ck_assert_int_eq(err, 0);
    weir_context_cancel(ctx, 0);
    weir_context_unref(ctx);
}

static void set_handler(int number, void (*handler)(int))
{
    struct sigaction action = {.sa_handler = handler};
    ck_assert_int_eq(sigaction(number, &action, NULL), 0);
}

static atomic_int seen;

static void note(int number)
{
    atomic_store(&seen, number);
}

/* The thread that runs the handler need not be the one that has sent: one that is just letting the
 * signal in may take it. */
static void await_seen(int number)
{
    int64_t until = patience();
    while (atomic_load(&seen) != number && weir_now() < until)
        (void)sched_yield();
    ck_assert_int_eq(atomic_load(&seen), number);
}

/* Tests may run in one process, one after the other. */
static void start_afresh(void)
{
    static const int used[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2};
    sigset_t none;
    for (size_t i = 0; i < sizeof used / sizeof used[0]; i++)
        set_handler(used[i], SIG_DFL);
    (void)sigemptyset(&none);
    ck_assert_int_eq(pthread_sigmask(SIG_SETMASK, &none, NULL), 0);
    atomic_store(&seen, 0);
}

static TCase *add_fresh_group(Suite *suite, const char *name)
{
    TCase *group = add_group(suite, name);
    tcase_add_checked_fixture(group, start_afresh, await_free);
    return group;
}

START_TEST(a_signal_cancels_with_its_number_as_the_cause)
{
    static const int numbers[] = {SIGINT, SIGTERM};
    weir_context *ctx = open_context(NULL), *child = NULL;
    ck_assert_int_eq(weir_context_new(&child, ctx, WEIR_FOREVER), 0);
    ck_assert_int_eq(weir_context_err(ctx), 0);
    send(numbers[_i]);
    await_over(child);
    ck_assert_int_eq(weir_context_err(child), -ECANCELED);
    ck_assert_int_eq(weir_context_cause(child), numbers[_i]);
    ck_assert_int_eq(weir_context_cause(ctx), numbers[_i]);
    weir_context_unref(child);
    weir_context_unref(ctx);
}
END_TEST

struct submitter {
    weir_pool *pool;
    weir_context *ctx;
    counter ran;
};

static int submit_one(void *arg)
{
    struct submitter *self = arg;
    return weir_pool_submit_until(self->pool, counter_task, &self->ran, self->ctx, WEIR_FOREVER);
}

START_TEST(a_signal_wakes_a_blocked_submitter)
{
    gate hold = GATE_INIT;
    struct submitter self = {.ran = COUNTER_INIT};
    caller thread;
    self.pool = new_pool(1, 1);
    self.ctx = open_context(NULL);
    saturate(self.pool, &hold, 1);
    ck_assert_int_eq(weir_pool_submit(self.pool, counter_task, &self.ran), 0);
    caller_start(&thread, submit_one, &self);
    ck_assert(caller_await_asleep(&thread));
    send(SIGINT);
    ck_assert_int_eq(caller_join(&thread), -ECANCELED);
    gate_open(&hold);
    finish_pool(self.pool);
    weir_context_unref(self.ctx);
}
END_TEST

START_TEST(the_second_signal_does_what_it_did_before)
{
    set_handler(SIGTERM, note);
    weir_context *ctx = open_context(NULL);
    send(SIGTERM);
    await_over(ctx);
    ck_assert_int_eq(atomic_load(&seen), 0);
    ck_assert(has_handler(SIGTERM, note));
    ck_assert(has_handler(SIGINT, SIG_DFL)); /* also one that has not arrived */
    send(SIGTERM);
    await_seen(SIGTERM);
    weir_context_unref(ctx);
}
END_TEST

START_TEST(the_second_signal_ends_the_program)
{
    pid_t pid = fork();
    if (pid == 0) {
        weir_context *ctx;
        if (weir_context_from_signals(&ctx, NULL, NULL, 0) != 0)
            _exit(1);
        (void)kill(getpid(), SIGINT);
        if (weir_context_wait_until(ctx, patience()) != 0)
            _exit(2);
        (void)kill(getpid(), SIGINT);
        (void)pause();
        _exit(3);
    }
    int status;
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status));
    ck_assert_int_eq(WTERMSIG(status), SIGINT);
}
END_TEST

START_TEST(a_cancel_gives_the_signals_back)
{
    set_handler(SIGINT, note);
    for (int i = 0; i < 100; i++) {
        weir_context *ctx = open_context(NULL);
        ck_assert(!has_handler(SIGINT, note));
        weir_context_cancel(ctx, -EIO);
        ck_assert(has_handler(SIGINT, note));
        ck_assert_int_eq(weir_context_cause(ctx), -EIO);
        weir_context_unref(ctx);
    }
    send(SIGINT);
    await_seen(SIGINT);
}
END_TEST

START_TEST(the_end_of_the_parent_gives_the_signals_back)
{
    weir_context *parent = NULL;
    int64_t deadline = _i == 0 ? WEIR_FOREVER : weir_after(WEIR_MS(50));
    ck_assert_int_eq(weir_context_new(&parent, NULL, deadline), 0);
    weir_context *ctx = open_context(parent);
    if (_i == 0)
        weir_context_cancel(parent, 0);
    int64_t until = patience();
    while (!has_handler(SIGINT, SIG_DFL) && weir_now() < until)
        ck_assert_int_eq(weir_sleep_until(NULL, weir_after(WEIR_MS(1))), 0);
    ck_assert(has_handler(SIGINT, SIG_DFL));
    ck_assert_int_eq(weir_context_err(ctx), _i == 0 ? -ECANCELED : -ETIMEDOUT);
    weir_context_unref(ctx);
    /* Of a parent that is over already: at once. */
    ctx = open_context(parent);
    ck_assert(has_handler(SIGINT, SIG_DFL));
    weir_context_unref(ctx);
    weir_context_unref(parent);
}
END_TEST

START_TEST(there_is_one_at_a_time)
{
    static const int other[] = {SIGUSR1};
    weir_context *ctx = open_context(NULL), *second = NULL;
    ck_assert_int_eq(weir_context_from_signals(&second, NULL, NULL, 0), -EBUSY);
    ck_assert_int_eq(weir_context_from_signals(&second, NULL, other, 1), -EBUSY);
    ck_assert_ptr_null(second);
    ck_assert(has_handler(SIGUSR1, SIG_DFL));
    weir_context_cancel(ctx, 0);
    second = open_context(NULL);
    send(SIGINT);
    await_over(second);
    weir_context_unref(second);
    weir_context_unref(ctx);
}
END_TEST

START_TEST(an_ignored_signal_stays_ignored)
{
    static const int numbers[] = {SIGHUP, SIGUSR1};
    weir_context *ctx = NULL;
    set_handler(SIGHUP, SIG_IGN);
    ck_assert_int_eq(weir_context_from_signals(&ctx, NULL, numbers, 2), 0);
    send(SIGHUP);
    ck_assert_int_eq(weir_context_err(ctx), 0);
    send(SIGUSR1);
    await_over(ctx);
    ck_assert_int_eq(weir_context_cause(ctx), SIGUSR1);
    ck_assert(has_handler(SIGHUP, SIG_IGN));
    weir_context_unref(ctx);
}
END_TEST

START_TEST(a_handler_that_was_set_meanwhile_stays)
{
    weir_context *ctx = open_context(NULL);
    set_handler(SIGTERM, note);
    send(SIGINT);
    await_over(ctx);
    ck_assert(has_handler(SIGTERM, note));
    weir_context_unref(ctx);
}
END_TEST

/* A library that asks for a password, say, sets a handler of its own while the signals are taken
 * over, and later sets again what it found. */
START_TEST(a_handler_that_is_set_again_later_does_what_was_before)
{
    struct sigaction found, own = {.sa_handler = SIG_IGN};
    set_handler(SIGTERM, note);
    weir_context *ctx = open_context(NULL);
    ck_assert_int_eq(sigaction(SIGTERM, &own, &found), 0);
    weir_context_cancel(ctx, 0);
    ck_assert_int_eq(sigaction(SIGTERM, &found, NULL), 0);
    send(SIGTERM);
    await_seen(SIGTERM);
    weir_context_unref(ctx);
    /* And it can be taken over once more. */
    atomic_store(&seen, 0);
    ctx = open_context(NULL);
    send(SIGTERM);
    await_over(ctx);
    ck_assert_int_eq(atomic_load(&seen), 0);
    send(SIGTERM);
    await_seen(SIGTERM);
    weir_context_unref(ctx);
}
END_TEST

static struct sigaction chained;
static atomic_int calls;

static void call_the_one_before(int number, siginfo_t *info, void *context)
{
    atomic_fetch_add(&calls, 1);
    chained.sa_sigaction(number, info, context);
}

START_TEST(a_handler_that_calls_the_one_before_it_reaches_what_was_before)
{
    struct sigaction own = {.sa_sigaction = call_the_one_before, .sa_flags = SA_SIGINFO};
    set_handler(SIGTERM, note);
    weir_context *ctx = open_context(NULL);
    ck_assert_int_eq(sigaction(SIGTERM, &own, &chained), 0);
    ck_assert_int_ne(chained.sa_flags & SA_SIGINFO, 0);
    send(SIGTERM);
    await_over(ctx);
    ck_assert_int_eq(atomic_load(&calls), 1);
    ck_assert_int_eq(atomic_load(&seen), 0);
    send(SIGTERM);
    await_seen(SIGTERM);
    ck_assert_int_eq(atomic_load(&calls), 2);
    weir_context_unref(ctx);
}
END_TEST

START_TEST(a_thread_that_finds_it_over_by_a_signal_may_take_over_again)
{
    for (int i = 0; i < 100; i++) {
        weir_context *ctx = open_context(NULL);
        send(SIGINT);
        while (weir_context_err(ctx) == 0)
            (void)sched_yield();
        weir_context *next = open_context(ctx);
        weir_context_unref(next);
        weir_context_unref(ctx);
    }
}
END_TEST

START_TEST(weirs_thread_receives_what_all_others_block)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
    weir_context *ctx = open_context(NULL);
    send(SIGTERM);
    await_over(ctx);
    ck_assert_int_eq(weir_context_cause(ctx), SIGTERM);
    weir_context_unref(ctx);
}
END_TEST

START_TEST(wrong_arguments_change_nothing)
{
    int many[33];
    static const int wrong[] = {SIGKILL, SIGSTOP, SIGSEGV, SIGABRT, 0, -1, 4711};
    weir_context *ctx = NULL;
    for (size_t i = 0; i < sizeof many / sizeof many[0]; i++)
        many[i] = SIGUSR1;
    ck_assert_int_eq(weir_context_from_signals(NULL, NULL, NULL, 0), -EINVAL);
    ck_assert_int_eq(weir_context_from_signals(&ctx, NULL, NULL, 1), -EINVAL);
    ck_assert_int_eq(weir_context_from_signals(&ctx, NULL, many, 0), -EINVAL);
    ck_assert_int_eq(weir_context_from_signals(&ctx, NULL, many, 33), -EINVAL);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        int numbers[] = {SIGINT, wrong[i]};
        ck_assert_int_eq(weir_context_from_signals(&ctx, NULL, numbers, 2), -EINVAL);
        ck_assert(has_handler(SIGINT, SIG_DFL));
    }
    ck_assert_ptr_null(ctx);
    ck_assert_int_eq(weir_context_from_signals(&ctx, NULL, many, 32), 0);
    send(SIGUSR1);
    await_over(ctx);
    weir_context_unref(ctx);
}
END_TEST

/* What the child does, as its exit status. */
static int use_in_child(weir_context *inherited)
{
    weir_context *own = NULL;
    set_handler(SIGUSR2, note);
    if (weir_context_from_signals(&own, inherited, NULL, 0) != 0)
        return 1;
    (void)kill(getpid(), SIGTERM);
    if (weir_context_wait_until(own, patience()) != 0 || weir_context_cause(own) != SIGTERM)
        return 2;
    if (weir_context_err(inherited) != 0)
        return 3;
    weir_context_unref(own);
    return has_handler(SIGTERM, SIG_DFL) ? 0 : 4;
}

START_TEST(a_forked_child_has_the_signals_as_they_were)
{
    weir_context *ctx = open_context(NULL);
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        (void)kill(getpid(), SIGINT);
        (void)pause();
        _exit(3);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT);
    ck_assert_int_eq(weir_context_err(ctx), 0);
    weir_context_cancel(ctx, 0);
    weir_context_unref(ctx);
}
END_TEST

START_TEST(a_forked_child_can_have_a_context_of_its_own)
{
    weir_context *ctx = open_context(NULL);
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        /* An exit would make memcheck look for leaks: what only the parent's threads held. */
        int problem = use_in_child(ctx);
        if (problem == 0)
            (void)kill(getpid(), SIGKILL);
        _exit(problem);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "ended with status %#x",
                  (unsigned)status);
    ck_assert_int_eq(weir_context_err(ctx), 0);
    send(SIGINT);
    await_over(ctx);
    weir_context_unref(ctx);
}
END_TEST

static int send_many(void *arg)
{
    (void)arg;
    for (int i = 0; i < 200; i++)
        (void)kill(getpid(), i % 2 == 0 ? SIGUSR1 : SIGUSR2);
    return 0;
}

/* Each signal either cancels a context or reaches the handler that was there before. */
START_TEST(signals_in_a_storm_are_taken_over_and_given_back)
{
    static const int numbers[] = {SIGUSR1, SIGUSR2};
    set_handler(SIGUSR1, note);
    set_handler(SIGUSR2, note);
    caller threads[2];
    for (int i = 0; i < 2; i++)
        caller_start(&threads[i], send_many, NULL);
    for (int i = 0; i < 200; i++) {
        weir_context *ctx = NULL;
        int err;
        /* The context before may just be giving them back, on its own thread. */
        while ((err = weir_context_from_signals(&ctx, NULL, numbers, 2)) == -EBUSY)
            ck_assert_int_eq(weir_sleep_until(NULL, weir_after(WEIR_US(20))), 0);
        ck_assert_int_eq(err, 0);
        weir_context_cancel(ctx, 0);
        ck_assert_int_ne(weir_context_err(ctx), 0);
        weir_context_unref(ctx);
    }
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(caller_join(&threads[i]), 0);
    int64_t until = patience();
    while (!has_handler(SIGUSR1, note) && weir_now() < until)
        ck_assert_int_eq(weir_sleep_until(NULL, weir_after(WEIR_MS(1))), 0);
    ck_assert(has_handler(SIGUSR1, note));
    ck_assert(has_handler(SIGUSR2, note));
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("signal_context");

    TCase *contract = add_fresh_group(suite, "contract");
    tcase_add_loop_test(contract, a_signal_cancels_with_its_number_as_the_cause, 0, 2);
    tcase_add_test(contract, a_signal_wakes_a_blocked_submitter);
    tcase_add_test(contract, the_second_signal_does_what_it_did_before);
    tcase_add_test(contract, the_second_signal_ends_the_program);
    tcase_add_test(contract, an_ignored_signal_stays_ignored);
    tcase_add_test(contract, a_handler_that_was_set_meanwhile_stays);
    if (CHILDREN_HAVE_THREADS) /* it loses a signal that comes as the thread first waits */
        tcase_add_test(contract, weirs_thread_receives_what_all_others_block);
    tcase_add_test(contract, a_handler_that_is_set_again_later_does_what_was_before);
    tcase_add_test(contract, a_handler_that_calls_the_one_before_it_reaches_what_was_before);
    tcase_add_test(contract, a_thread_that_finds_it_over_by_a_signal_may_take_over_again);

    TCase *end = add_fresh_group(suite, "end");
    tcase_add_test(end, a_cancel_gives_the_signals_back);
    tcase_add_loop_test(end, the_end_of_the_parent_gives_the_signals_back, 0, 2);
    tcase_add_test(end, there_is_one_at_a_time);
    tcase_add_test(end, signals_in_a_storm_are_taken_over_and_given_back);

    TCase *misuse = add_fresh_group(suite, "misuse");
    tcase_add_test(misuse, wrong_arguments_change_nothing);

    TCase *after_fork = add_fresh_group(suite, "fork");
    tcase_add_test(after_fork, a_forked_child_has_the_signals_as_they_were);
    if (CHILDREN_HAVE_THREADS)
        tcase_add_test(after_fork, a_forked_child_can_have_a_context_of_its_own);
    return suite;
}
