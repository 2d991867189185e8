/* SPDX-License-Identifier: MIT */
/* hooks.c - functions that are called when a context is over. */
#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/gate.h"
#include "support/pools.h"
#include "support/suite.h"
#include "support/threads.h"
#include "weir.h"

/* What a hook's function found. */
struct call {
    counter calls;
    pid_t tid;
    int err, cause;
    weir_context *ctx; /* asked, or NULL */
};

#define CALL_INIT(context)                                                                         \
    {                                                                                              \
        .calls = COUNTER_INIT, .ctx = (context)                                                    \
    }

static void note(void *arg)
{
    struct call *call = arg;
    call->tid = thread_id();
    call->err = weir_context_err(call->ctx);
    call->cause = weir_context_cause(call->ctx);
    counter_add(&call->calls, 1);
}

static weir_context *new_context(weir_context *parent, int64_t deadline)
{
    weir_context *ctx = NULL;
    ck_assert_int_eq(weir_context_new(&ctx, parent, deadline), 0);
    return ctx;
}

START_TEST(a_cancel_calls_it_once_on_the_thread_that_cancels)
{
    weir_context *ctx = new_context(NULL, WEIR_FOREVER);
    struct call call = CALL_INIT(ctx);
    weir_context_hook hook = WEIR_CONTEXT_HOOK_INIT;
    ck_assert_int_eq(weir_context_on_done(ctx, &hook, note, &call), 0);
    ck_assert_uint_eq(counter_get(&call.calls), 0);
    weir_context_cancel(ctx, -EIO);
    ck_assert_uint_eq(counter_get(&call.calls), 1);
    ck_assert_int_eq(call.tid, thread_id());
    ck_assert_int_eq(call.err, -ECANCELED);
    ck_assert_int_eq(call.cause, -EIO);
    weir_context_cancel(ctx, 0);
    ck_assert_uint_eq(counter_get(&call.calls), 1);
    ck_assert_int_eq(weir_context_hook_stop(&hook), -EALREADY);
    ck_assert_int_eq(weir_context_hook_stop(&hook), -EALREADY);
    weir_context_unref(ctx);
}
END_TEST

START_TEST(a_cancel_of_an_ancestor_calls_those_below_it_and_no_others)
{
    weir_context *root = new_context(NULL, WEIR_FOREVER), *other = new_context(root, WEIR_FOREVER),
                 *parent = new_context(root, WEIR_FOREVER),
                 *child = new_context(parent, WEIR_FOREVER);
    weir_context *contexts[] = {root, other, parent, child};
    weir_context_hook hooks[4];
    struct call calls[4];
    memset(hooks, 0, sizeof hooks);
    for (int i = 0; i < 4; i++) {
        calls[i] = (struct call)CALL_INIT(contexts[i]);
        ck_assert_int_eq(weir_context_on_done(contexts[i], &hooks[i], note, &calls[i]), 0);
    }
    weir_context_cancel(parent, 0);
    for (int i = 0; i < 4; i++)
        ck_assert_uint_eq(counter_get(&calls[i].calls), i >= 2);
    weir_context_cancel(root, 0);
    for (int i = 0; i < 4; i++) {
        ck_assert_uint_eq(counter_get(&calls[i].calls), 1);
        weir_context_unref(contexts[i]);
    }
}
END_TEST

/* A hook that is set too late is called by the thread that sets it: so the tests with a deadline
 * try again with more time, until another thread has called it. */

START_TEST(a_deadline_calls_it_though_nobody_waits)
{
    struct call call;
    int64_t time = WEIR_MS(5);
    do {
        weir_context *parent = new_context(NULL, weir_after(time *= 2));
        weir_context *ctx = new_context(parent, WEIR_FOREVER);
        weir_context_hook hook = WEIR_CONTEXT_HOOK_INIT;
        call = (struct call)CALL_INIT(ctx);
        ck_assert_int_eq(weir_context_on_done(ctx, &hook, note, &call), 0);
        counter_await(&call.calls, 1);
        ck_assert_int_eq(weir_context_hook_stop(&hook), -EALREADY);
        ck_assert_int_eq(call.err, -ETIMEDOUT);
        weir_context_cancel(ctx, 0);
        ck_assert_uint_eq(counter_get(&call.calls), 1);
        weir_context_unref(parent);
        weir_context_unref(ctx);
    } while (call.tid == thread_id());
}
END_TEST

START_TEST(a_context_that_is_over_calls_it_at_once_on_the_caller)
{
    weir_context *contexts[] = {new_context(NULL, WEIR_FOREVER), new_context(NULL, 0)};
    weir_context_cancel(contexts[0], 0);
    for (int i = 0; i < 2; i++) {
        struct call call = CALL_INIT(contexts[i]);
        weir_context_hook hook = WEIR_CONTEXT_HOOK_INIT;
        ck_assert_int_eq(weir_context_on_done(contexts[i], &hook, note, &call), 0);
        ck_assert_uint_eq(counter_get(&call.calls), 1);
        ck_assert_int_eq(call.tid, thread_id());
        ck_assert_int_eq(weir_context_hook_stop(&hook), -EALREADY);
        weir_context_unref(contexts[i]);
    }
}
END_TEST

START_TEST(a_stopped_hook_is_not_called_and_can_be_set_again)
{
    weir_context *plain = new_context(NULL, WEIR_FOREVER),
                 *timed = new_context(NULL, weir_after(WEIR_S(1000)));
    struct call call = CALL_INIT(plain);
    weir_context_hook hook = WEIR_CONTEXT_HOOK_INIT;
    ck_assert_int_eq(weir_context_hook_stop(&hook), 0); /* never set */
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(weir_context_on_done(i == 1 ? timed : plain, &hook, note, &call), 0);
        ck_assert_int_eq(weir_context_on_done(plain, &hook, note, &call), -EBUSY);
        ck_assert_int_eq(weir_context_hook_stop(&hook), 0);
        ck_assert_int_eq(weir_context_hook_stop(&hook), 0);
    }
    weir_context_cancel(timed, 0);
    ck_assert_uint_eq(counter_get(&call.calls), 0);
    ck_assert_int_eq(weir_context_on_done(plain, &hook, note, &call), 0);
    weir_context_cancel(plain, 0);
    ck_assert_uint_eq(counter_get(&call.calls), 1);
    ck_assert_int_eq(weir_context_on_done(timed, &hook, note, &call), 0); /* over: at once */
    ck_assert_uint_eq(counter_get(&call.calls), 2);
    weir_context_unref(plain);
    weir_context_unref(timed);
}
END_TEST

START_TEST(bad_arguments_and_the_context_that_is_never_over)
{
    struct call call = CALL_INIT(NULL);
    weir_context_hook hook = WEIR_CONTEXT_HOOK_INIT;
    ck_assert_int_eq(weir_context_on_done(NULL, NULL, note, &call), -EINVAL);
    ck_assert_int_eq(weir_context_on_done(NULL, &hook, NULL, &call), -EINVAL);
    ck_assert_int_eq(weir_context_hook_stop(NULL), -EINVAL);
    ck_assert_int_eq(weir_context_on_done(NULL, &hook, note, &call), 0);
    ck_assert_int_eq(weir_context_on_done(NULL, &hook, note, &call), -EBUSY);
    ck_assert_int_eq(weir_context_hook_stop(&hook), 0);
    ck_assert_uint_eq(counter_get(&call.calls), 0);
}
END_TEST

START_TEST(a_hook_holds_its_context)
{
    weir_context *parent = new_context(NULL, WEIR_FOREVER),
                 *ctx = new_context(parent, WEIR_FOREVER),
                 *timed = new_context(NULL, weir_after(WEIR_MS(20)));
    struct call calls[2] = {CALL_INIT(ctx), CALL_INIT(timed)};
    weir_context_hook hooks[2];
    memset(hooks, 0, sizeof hooks);
    ck_assert_int_eq(weir_context_on_done(ctx, &hooks[0], note, &calls[0]), 0);
    ck_assert_int_eq(weir_context_on_done(timed, &hooks[1], note, &calls[1]), 0);
    weir_context_unref(ctx);
    weir_context_unref(timed);
    weir_context_cancel(parent, 0);
    weir_context_unref(parent);
    ck_assert_uint_eq(counter_get(&calls[0].calls), 1);
    counter_await(&calls[1].calls, 1);
    ck_assert_int_eq(weir_context_hook_stop(&hooks[1]), -EALREADY);
}
END_TEST

/* While it is called. */

struct slow {
    weir_context_hook hook;
    weir_context *ctx;
    gate door;
    pid_t setter;
    atomic_bool too_late;
    int stopped;
};

static void wait_at_the_gate(void *arg)
{
    struct slow *slow = arg;
    if (thread_id() == slow->setter)
        atomic_store(&slow->too_late, true);
    else
        gate_wait(&slow->door);
}

static int cancel_it(void *arg)
{
    weir_context_cancel(((struct slow *)arg)->ctx, 0);
    return 0;
}

static int stop_it(void *arg)
{
    return weir_context_hook_stop(&((struct slow *)arg)->hook);
}

/* The hook is being called by another thread. */
static void assert_stop_waits(struct slow *slow)
{
    caller stopper;
    gate_await(&slow->door, 1);
    caller_start(&stopper, stop_it, slow);
    ck_assert(caller_await_asleep(&stopper));
    gate_open(&slow->door);
    ck_assert_int_eq(caller_join(&stopper), -EALREADY);
}

START_TEST(a_stop_waits_until_the_function_has_returned)
{
    struct slow slow = {.door = GATE_INIT, .setter = thread_id()};
    slow.ctx = new_context(NULL, WEIR_FOREVER);
    ck_assert_int_eq(weir_context_on_done(slow.ctx, &slow.hook, wait_at_the_gate, &slow), 0);
    caller canceller;
    caller_start(&canceller, cancel_it, &slow);
    assert_stop_waits(&slow);
    ck_assert_int_eq(caller_join(&canceller), 0);
    weir_context_unref(slow.ctx);
}
END_TEST

START_TEST(a_stop_waits_while_the_deadlines_thread_is_at_it)
{
    struct slow slow = {.door = GATE_INIT, .setter = thread_id()};
    int64_t time = WEIR_MS(5);
    do {
        weir_context_unref(slow.ctx);
        atomic_store(&slow.too_late, false);
        slow.ctx = new_context(NULL, weir_after(time *= 2));
        ck_assert_int_eq(weir_context_on_done(slow.ctx, &slow.hook, wait_at_the_gate, &slow), 0);
    } while (atomic_load(&slow.too_late));
    assert_stop_waits(&slow);
    weir_context_unref(slow.ctx);
}
END_TEST

static void stop_itself(void *arg)
{
    struct slow *slow = arg;
    slow->stopped = weir_context_hook_stop(&slow->hook);
}

START_TEST(a_stop_from_within_itself_is_a_deadlock)
{
    struct slow slow = {.stopped = 1};
    slow.ctx = new_context(NULL, WEIR_FOREVER);
    ck_assert_int_eq(weir_context_on_done(slow.ctx, &slow.hook, stop_itself, &slow), 0);
    weir_context_cancel(slow.ctx, 0);
    ck_assert_int_eq(slow.stopped, -EDEADLK);
    ck_assert_int_eq(weir_context_hook_stop(&slow.hook), -EALREADY);
    weir_context_unref(slow.ctx);
}
END_TEST

struct chain {
    weir_context_hook hook, *other;
    int stopped, calls;
};

static void stop_the_other(void *arg)
{
    struct chain *chain = arg;
    chain->calls++;
    chain->stopped = weir_context_hook_stop(chain->other);
}

START_TEST(a_hook_can_stop_one_that_the_same_cancel_has_not_come_to_yet)
{
    weir_context *ctx = new_context(NULL, WEIR_FOREVER);
    struct chain first = {.stopped = 1}, second = {.stopped = 1};
    first.other = &second.hook;
    second.other = &first.hook;
    ck_assert_int_eq(weir_context_on_done(ctx, &first.hook, stop_the_other, &first), 0);
    ck_assert_int_eq(weir_context_on_done(ctx, &second.hook, stop_the_other, &second), 0);
    weir_context_cancel(ctx, 0);
    ck_assert_int_eq(first.calls, 1);
    ck_assert_int_eq(first.stopped, 0);
    ck_assert_int_eq(second.calls, 0);
    weir_context_unref(ctx);
}
END_TEST

struct owned {
    weir_context_hook hook;
    counter *freed;
};

static void free_owner(void *arg)
{
    counter *freed = ((struct owned *)arg)->freed;
    free(arg);
    counter_add(freed, 1);
}

START_TEST(the_function_may_free_the_hook)
{
    counter freed = COUNTER_INIT;
    weir_context *ctx = new_context(NULL, WEIR_FOREVER),
                 *timed = new_context(NULL, weir_after(WEIR_MS(10)));
    for (int i = 0; i < 4; i++) {
        struct owned *owned = calloc(1, sizeof *owned);
        ck_assert_ptr_nonnull(owned);
        owned->freed = &freed;
        ck_assert_int_eq(weir_context_on_done(i % 2 ? timed : ctx, &owned->hook, free_owner, owned),
                         0);
    }
    weir_context_cancel(ctx, 0);
    counter_await(&freed, 4);
    weir_context_unref(ctx);
    weir_context_unref(timed);
}
END_TEST

struct again {
    weir_context_hook hook;
    weir_context *contexts[3];
    int next;
    counter calls;
};

static void set_again(void *arg)
{
    struct again *again = arg;
    counter_add(&again->calls, 1);
    if (++again->next < 3)
        (void)!weir_context_on_done(again->contexts[again->next], &again->hook, set_again, again);
}

START_TEST(the_function_may_set_the_hook_again)
{
    struct again again = {.calls = COUNTER_INIT};
    for (int i = 0; i < 3; i++)
        again.contexts[i] = new_context(NULL, i == 1 ? weir_after(WEIR_MS(10)) : WEIR_FOREVER);
    ck_assert_int_eq(weir_context_on_done(again.contexts[0], &again.hook, set_again, &again), 0);
    weir_context_cancel(again.contexts[0], 0);
    counter_await(&again.calls, 2);
    weir_context_cancel(again.contexts[2], 0);
    counter_await(&again.calls, 3);
    (void)weir_context_hook_stop(&again.hook);
    for (int i = 0; i < 3; i++)
        weir_context_unref(again.contexts[i]);
}
END_TEST

/* Tasks. */

struct hooked {
    weir_context_hook hook;
    struct call call;
    gate inside;
    int err;
};

static int hook_own_context(weir_context *ctx, void *arg)
{
    struct hooked *hooked = arg;
    hooked->err = weir_context_on_done(ctx, &hooked->hook, note, &hooked->call);
    gate_wait(&hooked->inside);
    return weir_sleep_until(ctx, WEIR_FOREVER);
}

START_TEST(a_hook_on_a_tasks_own_context_is_called_when_the_task_is_cancelled)
{
    struct hooked hooked = {.call = CALL_INIT(NULL), .inside = GATE_INIT};
    weir_task task = WEIR_TASK_INIT;
    weir_pool *pool = new_pool(1, 1);
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, hook_own_context, &hooked, NULL), 0);
    gate_await(&hooked.inside, 1);
    ck_assert_int_eq(weir_task_cancel(&task), -EINPROGRESS);
    ck_assert_uint_eq(counter_get(&hooked.call.calls), 1);
    ck_assert_int_eq(hooked.call.tid, thread_id());
    gate_open(&hooked.inside);
    ck_assert_int_eq(weir_task_wait(&task), 0);
    ck_assert_int_eq(hooked.err, 0);
    ck_assert_int_eq(weir_context_hook_stop(&hooked.hook), -EALREADY);
    finish_pool(pool);
}
END_TEST

START_TEST(a_running_time_that_has_passed_calls_it)
{
    struct hooked hooked = {.call = CALL_INIT(NULL), .inside = GATE_INIT};
    weir_task task = WEIR_TASK_INIT;
    weir_pool *pool = new_pool(1, 1);
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, hook_own_context, &hooked,
                                           WEIR_TASK_OPTIONS(.timeout = WEIR_MS(10))),
                     0);
    counter_await(&hooked.call.calls, 1); /* while the task does not look */
    gate_open(&hooked.inside);
    ck_assert_int_eq(weir_task_wait(&task), 0);
    ck_assert_int_eq(weir_task_status(&task), -ETIMEDOUT);
    ck_assert_int_eq(weir_context_hook_stop(&hooked.hook), -EALREADY);
    finish_pool(pool);
}
END_TEST

static void cancel_the_task(void *arg)
{
    (void)weir_task_cancel(arg);
}

START_TEST(a_shutdown_calls_it_and_it_may_call_into_a_pool)
{
    struct hooked hooked = {.call = CALL_INIT(NULL), .inside = GATE_INIT};
    weir_pool *pool = new_pool(1, 1);
    ck_assert_int_eq(weir_pool_submit(pool, hook_own_context, &hooked), 0);
    gate_await(&hooked.inside, 1);
    ck_assert_int_eq(weir_pool_shutdown(pool, 0, 0, NULL), -ETIMEDOUT);
    ck_assert_uint_eq(counter_get(&hooked.call.calls), 1);
    gate_open(&hooked.inside);
    weir_pool_free(pool);

    gate busy = GATE_INIT; /* a hook may call into the pool */
    weir_task task = WEIR_TASK_INIT;
    weir_context_hook hook = WEIR_CONTEXT_HOOK_INIT;
    weir_context *ctx = new_context(NULL, WEIR_FOREVER);
    pool = new_pool(1, 1);
    saturate(pool, &busy, 1);
    ck_assert_int_eq(weir_pool_submit_task(pool, &task, gate_task, &busy, NULL), 0);
    ck_assert_int_eq(weir_context_on_done(ctx, &hook, cancel_the_task, &task), 0);
    weir_context_cancel(ctx, 0);
    ck_assert_int_eq(weir_task_state(&task), WEIR_TASK_CANCELLED);
    gate_open(&busy);
    finish_pool(pool);
    weir_context_unref(ctx);
}
END_TEST

/* Many. */

enum { HOOKS = 64, LAPS = 60 };

struct race {
    weir_context *contexts[HOOKS];
    weir_context_hook hooks[HOOKS];
    atomic_int calls[HOOKS];
    meeting place;
};

static void count_call(void *arg)
{
    atomic_fetch_add((atomic_int *)arg, 1);
}

static int cancel_all(void *arg)
{
    struct race *race = arg;
    for (int lap = 0; lap < LAPS; lap++) {
        meeting_wait(&race->place);
        for (int i = 0; i < HOOKS; i++)
            weir_context_cancel(race->contexts[i], 0);
        meeting_wait(&race->place);
    }
    return 0;
}

/* Cancel, deadline and stop at the same time: each hook is called, or stopped, once. */
START_TEST(cancel_against_deadline_against_stop)
{
    static struct race race = {.place = MEETING_INIT(3)};
    caller cancellers[2];
    for (int i = 0; i < 2; i++)
        caller_start(&cancellers[i], cancel_all, &race);
    for (int lap = 0; lap < LAPS; lap++) {
        int64_t deadline = weir_after(WEIR_US(300));
        for (int i = 0; i < HOOKS; i++) {
            atomic_store(&race.calls[i], 0);
            race.contexts[i] = new_context(NULL, deadline + i % 8 * WEIR_US(20));
            ck_assert_int_eq(
                weir_context_on_done(race.contexts[i], &race.hooks[i], count_call, &race.calls[i]),
                0);
        }
        meeting_wait(&race.place);
        for (int i = HOOKS - 1; i >= 0; i--) {
            int err = weir_context_hook_stop(&race.hooks[i]);
            ck_assert(err == 0 || err == -EALREADY);
            ck_assert_int_eq(atomic_load(&race.calls[i]), err == 0 ? 0 : 1);
        }
        meeting_wait(&race.place);
        for (int i = 0; i < HOOKS; i++) {
            ck_assert_int_le(atomic_load(&race.calls[i]), 1);
            weir_context_unref(race.contexts[i]);
        }
    }
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(caller_join(&cancellers[i]), 0);
}
END_TEST

/* How many threads of this process have the name of the clock's. */
static size_t count_clocks(void)
{
    size_t clocks = 0;
    DIR *tasks = opendir("/proc/self/task");
    ck_assert_ptr_nonnull(tasks);
    for (const struct dirent *entry; (entry = readdir(tasks)) != NULL;) {
        char path[sizeof entry->d_name + 32], name[16] = "";
        (void)snprintf(path, sizeof path, "/proc/self/task/%s/comm", entry->d_name);
        FILE *file = fopen(path, "re");
        if (file == NULL)
            continue;
        if (fgets(name, sizeof name, file) != NULL && strcmp(name, "weir/timer\n") == 0)
            clocks++;
        (void)fclose(file);
    }
    (void)closedir(tasks);
    return clocks;
}

static void await_clocks(size_t n)
{
    int64_t end = patience();
    while (count_clocks() != n && weir_now() < end)
        (void)sched_yield();
    ck_assert_uint_eq(count_clocks(), n);
}

START_TEST(there_is_a_thread_only_while_a_deadline_is_awaited)
{
    weir_context *never = new_context(NULL, WEIR_FOREVER),
                 *later = new_context(NULL, weir_after(WEIR_S(1000)));
    weir_context_hook hooks[2];
    struct call call = CALL_INIT(NULL);
    memset(hooks, 0, sizeof hooks);
    ck_assert_int_eq(weir_context_on_done(never, &hooks[0], note, &call), 0);
    ck_assert_uint_eq(count_clocks(), 0);
    ck_assert_int_eq(weir_context_on_done(later, &hooks[1], note, &call), 0);
    await_clocks(1);
    ck_assert_int_eq(weir_context_hook_stop(&hooks[1]), 0);
    await_clocks(0);
    ck_assert_int_eq(weir_context_hook_stop(&hooks[0]), 0);
    weir_context_unref(never);
    weir_context_unref(later);
}
END_TEST

static int check_in_child(weir_context *ctx, weir_context *timed, weir_context_hook *inherited)
{
    weir_context_hook hook = WEIR_CONTEXT_HOOK_INIT;
    atomic_int calls = 0;
    if (weir_context_on_done(ctx, &hook, count_call, &calls) != 0)
        return 1;
    if (weir_context_hook_stop(&inherited[1]) != -ESTALE)
        return 2;
    weir_context_cancel(ctx, 0);
    if (calls != 1 || weir_context_hook_stop(&hook) != -EALREADY)
        return 3;
    if (weir_context_hook_stop(&inherited[0]) != -ESTALE)
        return 4;
    if (weir_context_on_done(ctx, &inherited[0], count_call, &calls) != 0 || calls != 2)
        return 5;
    weir_context_unref(ctx);
    weir_context_unref(timed);
    return 0;
}

static void end_the_child(void *unused)
{
    (void)unused;
    _exit(99);
}

START_TEST(a_child_process_runs_its_own_hooks_and_none_of_its_parent)
{
    weir_context *ctx = new_context(NULL, WEIR_FOREVER),
                 *timed = new_context(NULL, weir_after(WEIR_S(1000)));
    weir_context_hook hooks[2];
    memset(hooks, 0, sizeof hooks);
    ck_assert_int_eq(weir_context_on_done(ctx, &hooks[0], end_the_child, NULL), 0);
    ck_assert_int_eq(weir_context_on_done(timed, &hooks[1], end_the_child, NULL), 0);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0)
        _exit(check_in_child(ctx, timed, hooks));
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    ck_assert_int_eq(weir_context_hook_stop(&hooks[0]), 0);
    ck_assert_int_eq(weir_context_hook_stop(&hooks[1]), 0);
    weir_context_unref(ctx);
    weir_context_unref(timed);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("hooks");
    TCase *contract = add_group(suite, "contract");
    tcase_add_test(contract, a_cancel_calls_it_once_on_the_thread_that_cancels);
    tcase_add_test(contract, a_cancel_of_an_ancestor_calls_those_below_it_and_no_others);
    tcase_add_test(contract, a_deadline_calls_it_though_nobody_waits);
    tcase_add_test(contract, a_context_that_is_over_calls_it_at_once_on_the_caller);
    tcase_add_test(contract, a_stopped_hook_is_not_called_and_can_be_set_again);
    tcase_add_test(contract, bad_arguments_and_the_context_that_is_never_over);
    tcase_add_test(contract, a_hook_holds_its_context);
    TCase *calls = add_group(suite, "calls");
    tcase_add_test(calls, a_stop_waits_until_the_function_has_returned);
    tcase_add_test(calls, a_stop_waits_while_the_deadlines_thread_is_at_it);
    tcase_add_test(calls, a_stop_from_within_itself_is_a_deadlock);
    tcase_add_test(calls, a_hook_can_stop_one_that_the_same_cancel_has_not_come_to_yet);
    tcase_add_test(calls, the_function_may_free_the_hook);
    tcase_add_test(calls, the_function_may_set_the_hook_again);
    TCase *tasks = add_group(suite, "tasks");
    tcase_add_test(tasks, a_hook_on_a_tasks_own_context_is_called_when_the_task_is_cancelled);
    tcase_add_test(tasks, a_running_time_that_has_passed_calls_it);
    tcase_add_test(tasks, a_shutdown_calls_it_and_it_may_call_into_a_pool);
    TCase *many = add_group(suite, "many");
    tcase_add_test(many, cancel_against_deadline_against_stop);
    tcase_add_test(many, there_is_a_thread_only_while_a_deadline_is_awaited);
    TCase *forked = add_group(suite, "fork");
    tcase_add_test(forked, a_child_process_runs_its_own_hooks_and_none_of_its_parent);
    return suite;
}
