/* SPDX-License-Identifier: MIT */
/* keyed.c - tasks by keys: order of each, how many keys are in use, and the end of all. */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/abort.h"
#include "support/gate.h"
#include "support/pools.h"
#include "support/suite.h"
#include "support/threads.h"
#include "weir.h"

static weir_keyed *new_keyed(weir_pool *pool, const weir_keyed_options *options)
{
    weir_keyed *keyed = NULL;
    ck_assert_int_eq(weir_keyed_new(&keyed, pool, options), 0);
    return keyed;
}

static void end_keyed(weir_keyed *keyed)
{
    ck_assert_int_eq(weir_keyed_drain_until(keyed, NULL, patience()), 0);
    weir_keyed_free(keyed);
}

/* Each of many keys keeps its order. */

enum { KEYS = 23, SUBMITTERS = 3, EACH = 300 };

struct account {
    int runs, last[SUBMITTERS]; /* plain: two at once are a race */
};

struct order {
    weir_task task;
    int key, submitter, number;
};

static struct account accounts[KEYS];
static struct order orders[SUBMITTERS][KEYS * EACH];
static atomic_int wrong;

static int book(weir_context *ctx, void *arg)
{
    const struct order *order = arg;
    struct account *account = &accounts[order->key];
    (void)ctx;
    account->runs++;
    if (order->number <= account->last[order->submitter])
        atomic_fetch_add(&wrong, 1);
    account->last[order->submitter] = order->number;
    return 0;
}

struct submitter {
    weir_keyed *keyed;
    int number;
};

static int submit_all(void *arg)
{
    const struct submitter *submitter = arg;
    int refused = 0;
    for (int i = 0; i < KEYS * EACH; i++) {
        struct order *order = &orders[submitter->number][i];
        *order =
            (struct order){.key = i % KEYS, .submitter = submitter->number, .number = i / KEYS + 1};
        refused += weir_keyed_submit(submitter->keyed, (uint64_t)order->key << 40, &order->task,
                                     book, order, NULL) != 0;
    }
    return refused;
}

START_TEST(each_key_keeps_its_order_though_there_are_more_keys_than_can_be_in_use)
{
    caller threads[SUBMITTERS];
    struct submitter submitters[SUBMITTERS];
    weir_pool *pool = new_pool(3, 16);
    weir_keyed *keyed = new_keyed(pool, WEIR_KEYED_OPTIONS(.keys = 4, .limit = 9, .batch = 2));
    for (int i = 0; i < SUBMITTERS; i++) {
        submitters[i] = (struct submitter){keyed, i};
        caller_start(&threads[i], submit_all, &submitters[i]);
    }
    for (int i = 0; i < SUBMITTERS; i++)
        ck_assert_int_eq(caller_join(&threads[i]), 0);
    ck_assert_int_eq(weir_keyed_drain_until(keyed, NULL, patience()), 0);
    ck_assert_int_eq(atomic_load(&wrong), 0);
    for (int i = 0; i < KEYS; i++)
        ck_assert_int_eq(accounts[i].runs, SUBMITTERS * EACH);
    weir_keyed_free(keyed);
    finish_pool(pool);
}
END_TEST

/* Keys in use. */

struct blocked {
    weir_keyed *keyed;
    uint64_t key;
    weir_task task;
    counter *runs;
    weir_context *ctx;
    int64_t deadline;
    gate *door;
};

static int submit_blocked(void *arg)
{
    struct blocked *blocked = arg;
    return weir_keyed_submit_until(blocked->keyed, blocked->key, &blocked->task, counter_task,
                                   blocked->runs, NULL, blocked->ctx, blocked->deadline);
}

START_TEST(so_many_keys_are_in_use_at_once_and_a_limit_holds_for_each)
{
    gate door = GATE_INIT;
    counter runs = COUNTER_INIT;
    weir_task held[2] = {WEIR_TASK_INIT, WEIR_TASK_INIT}, more = WEIR_TASK_INIT;
    weir_task queued[2] = {WEIR_TASK_INIT, WEIR_TASK_INIT};
    weir_pool *pool = new_pool(2, 4);
    weir_keyed *keyed = new_keyed(pool, WEIR_KEYED_OPTIONS(.keys = 2, .limit = 1));
    for (unsigned i = 0; i < 2; i++)
        ck_assert_int_eq(weir_keyed_submit(keyed, i, &held[i], gate_task, &door, NULL), 0);
    gate_await(&door, 2);
    ck_assert_uint_eq(weir_keyed_active(keyed), 2);
    ck_assert_int_eq(weir_keyed_try_submit(keyed, 2, &more, counter_task, &runs, NULL), -EAGAIN);
    for (unsigned i = 0; i < 2; i++)
        ck_assert_int_eq(weir_keyed_try_submit(keyed, i, &queued[i], counter_task, &runs, NULL), 0);
    ck_assert_int_eq(weir_keyed_try_submit(keyed, 1, &more, counter_task, &runs, NULL), -EAGAIN);
    ck_assert_uint_eq(weir_keyed_queued(keyed, 1), 1);
    ck_assert_uint_eq(weir_keyed_queued(keyed, 2), 0);
    ck_assert_int_eq(weir_task_state(&more), WEIR_TASK_IDLE);
    struct blocked blocked = {keyed, 7, WEIR_TASK_INIT, &runs, NULL, weir_after(WEIR_MS(1)), NULL};
    ck_assert_int_eq(submit_blocked(&blocked), -ETIMEDOUT);
    blocked.deadline = WEIR_FOREVER;
    caller thread;
    caller_start(&thread, submit_blocked, &blocked);
    ck_assert(caller_await_asleep(&thread));
    ck_assert_int_eq(weir_keyed_try_drain(keyed), -EAGAIN);
    gate_open(&door);
    ck_assert_int_eq(caller_join(&thread), 0);
    ck_assert_int_eq(weir_keyed_drain(keyed), 0);
    ck_assert_int_eq(weir_keyed_try_drain(keyed), 0);
    ck_assert_uint_eq(counter_get(&runs), 3);
    end_keyed(keyed);
    finish_pool(pool);
}
END_TEST

static int submit_gate(void *arg)
{
    struct blocked *blocked = arg;
    return weir_keyed_submit(blocked->keyed, blocked->key, &blocked->task, gate_task, blocked->door,
                             NULL);
}

/* The first of them keeps the key in use; the second needs no other. */
START_TEST(a_key_that_comes_in_use_wakes_all_that_wait_for_it)
{
    gate first = GATE_INIT, second = GATE_INIT;
    weir_task held = WEIR_TASK_INIT;
    caller threads[3];
    struct blocked blocked[3];
    weir_pool *pool = new_pool(1, 2);
    weir_keyed *keyed = new_keyed(pool, WEIR_KEYED_OPTIONS(.keys = 1));
    ck_assert_int_eq(weir_keyed_submit(keyed, 0, &held, gate_task, &first, NULL), 0);
    for (int i = 0; i < 3; i++) {
        blocked[i] = (struct blocked){.keyed = keyed, .key = i == 1 ? 8 : 7, .door = &second};
        caller_start(&threads[i], submit_gate, &blocked[i]);
        ck_assert(caller_await_asleep(&threads[i]));
    }
    gate_open(&first);
    ck_assert_int_eq(caller_join(&threads[0]), 0);
    ck_assert_int_eq(caller_join(&threads[2]), 0);
    ck_assert(!caller_is_over(&threads[1]));
    ck_assert_uint_eq(weir_keyed_active(keyed), 1);
    gate_open(&second);
    ck_assert_int_eq(caller_join(&threads[1]), 0);
    ck_assert_int_eq(weir_keyed_drain(keyed), 0);
    end_keyed(keyed);
    finish_pool(pool);
}
END_TEST

START_TEST(a_wait_for_a_key_ends_by_context_close_and_the_close_of_the_pool)
{
    for (int how = 0; how < 3; how++) {
        gate door = GATE_INIT;
        counter runs = COUNTER_INIT;
        weir_task held = WEIR_TASK_INIT;
        weir_context *ctx = NULL;
        caller thread;
        static const int results[] = {-ECANCELED, -EPIPE, -EPIPE};
        weir_pool *pool = new_pool(1, 2);
        weir_keyed *keyed = new_keyed(pool, WEIR_KEYED_OPTIONS(.keys = 1));
        ck_assert_int_eq(weir_context_new(&ctx, NULL, WEIR_FOREVER), 0);
        ck_assert_int_eq(weir_keyed_submit(keyed, 0, &held, gate_task, &door, NULL), 0);
        struct blocked blocked = {keyed, 7, WEIR_TASK_INIT, &runs, ctx, WEIR_FOREVER, NULL};
        caller_start(&thread, submit_blocked, &blocked);
        ck_assert(caller_await_asleep(&thread));
        if (how == 0)
            weir_context_cancel(ctx, 0);
        else if (how == 1)
            weir_keyed_close(keyed);
        else
            weir_pool_close(pool);
        ck_assert_int_eq(caller_join(&thread), results[how]);
        gate_open(&door);
        end_keyed(keyed);
        ck_assert_uint_eq(counter_get(&runs), 0);
        weir_context_unref(ctx);
        finish_pool(pool);
    }
}
END_TEST

struct insider {
    weir_keyed *keyed;
    weir_task own, other, more;
    counter runs;
    int same_key, other_key, drained;
};

static int submit_inside(weir_context *ctx, void *arg)
{
    struct insider *in = arg;
    (void)ctx;
    in->same_key = weir_keyed_submit(in->keyed, 1, &in->other, counter_task, &in->runs, NULL);
    in->other_key = weir_keyed_submit(in->keyed, 2, &in->more, counter_task, &in->runs, NULL);
    in->drained = weir_keyed_drain(in->keyed);
    return 0;
}

START_TEST(a_task_submits_to_its_own_key_and_waits_for_no_other)
{
    static struct insider in = {.runs = COUNTER_INIT};
    weir_pool *pool = new_pool(1, 2);
    in.keyed = new_keyed(pool, WEIR_KEYED_OPTIONS(.keys = 1));
    ck_assert_int_eq(weir_keyed_submit(in.keyed, 1, &in.own, submit_inside, &in, NULL), 0);
    ck_assert_int_eq(weir_keyed_drain(in.keyed), 0);
    ck_assert_int_eq(in.same_key, 0);
    ck_assert_int_eq(in.other_key, -EDEADLK);
    ck_assert_int_eq(in.drained, -EDEADLK);
    ck_assert_uint_eq(counter_get(&in.runs), 1);
    end_keyed(in.keyed);
    finish_pool(pool);
}
END_TEST

static int drain_keys(weir_context *ctx, void *keyed)
{
    (void)ctx;
    return weir_keyed_drain(keyed);
}

START_TEST(a_task_of_a_serial_runs_those_of_the_keys_that_it_drains)
{
    gate busy = GATE_INIT;
    counter runs = COUNTER_INIT;
    weir_task drains = WEIR_TASK_INIT, tasks[2] = {WEIR_TASK_INIT, WEIR_TASK_INIT};
    weir_serial serial;
    weir_pool *pool = new_pool(1, 4);
    weir_keyed *keyed = new_keyed(pool, WEIR_KEYED_OPTIONS(.keys = 2));
    ck_assert_int_eq(weir_serial_init(&serial, pool, NULL), 0);
    saturate(pool, &busy, 1);
    ck_assert_int_eq(weir_serial_submit(&serial, &drains, drain_keys, keyed, NULL), 0);
    for (unsigned i = 0; i < 2; i++)
        ck_assert_int_eq(weir_keyed_submit(keyed, i, &tasks[i], counter_task, &runs, NULL), 0);
    gate_open(&busy);
    ck_assert_int_eq(weir_task_wait(&drains), 0);
    ck_assert_int_eq(weir_task_status(&drains), 0);
    ck_assert_uint_eq(counter_get(&runs), 2);
    ck_assert_int_eq(weir_serial_drain(&serial), 0);
    weir_serial_destroy(&serial);
    end_keyed(keyed);
    finish_pool(pool);
}
END_TEST

START_TEST(a_key_whose_tasks_were_cancelled_is_free_again)
{
    gate busy = GATE_INIT;
    counter runs = COUNTER_INIT;
    weir_task first = WEIR_TASK_INIT, second = WEIR_TASK_INIT;
    weir_pool *pool = new_pool(1, 2);
    weir_keyed *keyed = new_keyed(pool, WEIR_KEYED_OPTIONS(.keys = 1));
    saturate(pool, &busy, 1);
    ck_assert_int_eq(weir_keyed_submit(keyed, 1, &first, counter_task, &runs, NULL), 0);
    ck_assert_int_eq(weir_keyed_try_submit(keyed, 2, &second, counter_task, &runs, NULL), -EAGAIN);
    ck_assert_int_eq(weir_task_cancel(&first), 0);
    ck_assert_uint_eq(weir_keyed_active(keyed), 0);
    ck_assert_int_eq(weir_keyed_try_submit(keyed, 2, &second, counter_task, &runs, NULL), 0);
    gate_open(&busy);
    ck_assert_int_eq(weir_task_wait(&second), 0);
    weir_keyed_free(keyed); /* at once */
    finish_pool(pool);
}
END_TEST

/* Bad input. */

START_TEST(bad_arguments_are_told)
{
    counter runs = COUNTER_INIT;
    weir_task task = WEIR_TASK_INIT;
    weir_keyed_options options;
    weir_keyed *keyed = NULL;
    weir_pool *pool = new_pool(1, 1);
    weir_keyed_options_init(NULL);
    weir_keyed_options_init(&options);
    ck_assert_int_eq(weir_keyed_new(NULL, pool, NULL), -EINVAL);
    ck_assert_int_eq(weir_keyed_new(&keyed, NULL, NULL), -EINVAL);
    ck_assert_ptr_null(weir_keyed_options_error(&options));
    options.keys = (1U << 24) + 1;
    ck_assert_int_eq(weir_keyed_new(&keyed, pool, &options), -EINVAL);
    ck_assert_str_eq(weir_keyed_options_error(&options), "keys: more than 2^24");
    options.size = 1;
    ck_assert_int_eq(weir_keyed_new(&keyed, pool, &options), -EINVAL);
    ck_assert_ptr_null(keyed);
    keyed = new_keyed(pool, NULL);
    ck_assert_int_eq(weir_keyed_submit(NULL, 0, &task, counter_task, &runs, NULL), -EINVAL);
    ck_assert_int_eq(weir_keyed_submit(keyed, 0, NULL, counter_task, &runs, NULL), -EINVAL);
    ck_assert_int_eq(weir_keyed_submit(keyed, 0, &task, NULL, &runs, NULL), -EINVAL);
    ck_assert_int_eq(
        weir_keyed_submit(keyed, 0, &task, counter_task, &runs, WEIR_TASK_OPTIONS(.timeout = -1)),
        -EINVAL);
    ck_assert_uint_eq(weir_keyed_active(keyed), 0);
    ck_assert_int_eq(weir_keyed_drain(NULL), -EINVAL);
    ck_assert_int_eq(weir_keyed_try_drain(NULL), -EINVAL);
    ck_assert_uint_eq(weir_keyed_queued(NULL, 0), 0);
    ck_assert_uint_eq(weir_keyed_active(NULL), 0);
    weir_keyed_close(NULL);
    weir_keyed_free(NULL);
    weir_keyed_close(keyed);
    ck_assert_int_eq(weir_keyed_submit(keyed, 0, &task, counter_task, &runs, NULL), -EPIPE);
    weir_keyed_free(keyed);
    finish_pool(pool);
}
END_TEST

static void free_with_a_task(void *unused)
{
    static gate busy = GATE_INIT;
    static weir_task task;
    (void)unused;
    weir_keyed *keyed = new_keyed(new_pool(1, 1), NULL);
    if (weir_keyed_submit(keyed, 1, &task, gate_task, &busy, NULL) == 0)
        weir_keyed_free(keyed);
}

static int free_own(weir_context *ctx, void *keyed)
{
    (void)ctx;
    weir_keyed_free(keyed);
    return 0;
}

static void free_from_its_task(void *unused)
{
    static weir_task task;
    (void)unused;
    weir_keyed *keyed = new_keyed(new_pool(1, 1), NULL);
    if (weir_keyed_submit(keyed, 1, &task, free_own, keyed, NULL) == 0)
        _exit(weir_task_wait(&task));
}

START_TEST(to_free_it_with_tasks_aborts)
{
    assert_aborts(free_with_a_task, NULL, "weir_keyed_free: a task has not ended");
    assert_aborts(free_from_its_task, NULL, "weir_keyed_free: a task cannot free");
}
END_TEST

START_TEST(a_child_process_gets_stale_and_can_free_it)
{
    gate door = GATE_INIT;
    weir_task held = WEIR_TASK_INIT, more = WEIR_TASK_INIT;
    weir_pool *pool = new_pool(1, 2);
    weir_keyed *keyed = new_keyed(pool, NULL);
    ck_assert_int_eq(weir_keyed_submit(keyed, 1, &held, gate_task, &door, NULL), 0);
    (void)fflush(NULL);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        weir_keyed *other = NULL;
        weir_keyed_close(keyed);
        bool well = weir_keyed_submit(keyed, 1, &more, gate_task, &door, NULL) == -ESTALE &&
                    weir_keyed_drain(keyed) == -ESTALE && weir_keyed_active(keyed) == 0 &&
                    weir_keyed_try_drain(keyed) == -ESTALE &&
                    weir_keyed_new(&other, pool, NULL) == -ESTALE;
        weir_keyed_free(keyed);
        weir_pool_free(pool);
        exit(well ? 0 : 1); /* with all that is done at exit */
    }
    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    gate_open(&door);
    end_keyed(keyed);
    finish_pool(pool);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("keyed");
    TCase *keys = add_group(suite, "keys");
    tcase_add_test(keys, each_key_keeps_its_order_though_there_are_more_keys_than_can_be_in_use);
    tcase_add_test(keys, so_many_keys_are_in_use_at_once_and_a_limit_holds_for_each);
    tcase_add_test(keys, a_key_that_comes_in_use_wakes_all_that_wait_for_it);
    tcase_add_test(keys, a_wait_for_a_key_ends_by_context_close_and_the_close_of_the_pool);
    tcase_add_test(keys, a_task_submits_to_its_own_key_and_waits_for_no_other);
    tcase_add_test(keys, a_task_of_a_serial_runs_those_of_the_keys_that_it_drains);
    tcase_add_test(keys, a_key_whose_tasks_were_cancelled_is_free_again);
    TCase *misuse = add_group(suite, "misuse");
    tcase_add_test(misuse, bad_arguments_are_told);
    tcase_add_test(misuse, to_free_it_with_tasks_aborts);
    tcase_add_test(misuse, a_child_process_gets_stale_and_can_free_it);
    return suite;
}
