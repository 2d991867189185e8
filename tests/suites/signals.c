/* SPDX-License-Identifier: MIT */
/* signals.c - signals and weir: the workers see none, and a wait that is interrupted continues. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "support/gate.h"
#include "support/pools.h"
#include "support/suite.h"
#include "support/threads.h"
#include "weir.h"

/* Signals that come from outside of a thread. */
static const int asynchronous[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM, SIGALRM,   SIGUSR1,
                                   SIGUSR2, SIGCHLD, SIGTSTP, SIGTTIN, SIGTTOU,   SIGURG,
                                   SIGXCPU, SIGXFSZ, SIGIO,   SIGPROF, SIGVTALRM, SIGWINCH};
/* Signals that a thread brings upon itself: to block them is to lose a crash. */
static const int synchronous[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};

#define LENGTH(array) (sizeof(array) / sizeof(array)[0])

/* How many signals are not as they should be in the calling thread. */
static int wrong_signals(void)
{
    sigset_t blocked;
    int wrong = pthread_sigmask(SIG_BLOCK, NULL, &blocked) != 0;
    for (size_t i = 0; i < LENGTH(asynchronous); i++)
        wrong += sigismember(&blocked, asynchronous[i]) != 1;
    wrong += sigismember(&blocked, SIGRTMIN) != 1;
    wrong += sigismember(&blocked, SIGRTMAX) != 1;
    for (size_t i = 0; i < LENGTH(synchronous); i++)
        wrong += sigismember(&blocked, synchronous[i]) != 0;
    return wrong;
}

/* What the workers found: in their callbacks and in a task. */
struct masks {
    atomic_int started, stopped, ran, wrong;
    meeting *place;
};

static int check_at_start(unsigned index, void *user)
{
    struct masks *masks = user;
    (void)index;
    atomic_fetch_add(&masks->wrong, wrong_signals());
    atomic_fetch_add(&masks->started, 1);
    return 0;
}

static void check_at_stop(unsigned index, void *user)
{
    struct masks *masks = user;
    (void)index;
    atomic_fetch_add(&masks->wrong, wrong_signals());
    atomic_fetch_add(&masks->stopped, 1);
}

static int check_in_task(weir_context *ctx, void *arg)
{
    struct masks *masks = arg;
    (void)ctx;
    atomic_fetch_add(&masks->wrong, wrong_signals());
    atomic_fetch_add(&masks->ran, 1);
    meeting_wait(masks->place);
    return 0;
}

START_TEST(workers_block_every_asynchronous_signal_and_the_caller_keeps_its_own)
{
    enum { WORKERS = 3 };
    meeting place = MEETING_INIT(WORKERS);
    struct masks masks = {.place = &place};
    sigset_t before, after;
    ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, NULL, &before), 0);
    weir_pool *pool = NULL;
    ck_assert_int_eq(
        weir_pool_new(&pool,
                      WEIR_POOL_OPTIONS(.workers = WORKERS, .on_worker_start = check_at_start,
                                        .on_worker_stop = check_at_stop, .user = &masks)),
        0);
    ck_assert_int_eq(pthread_sigmask(SIG_BLOCK, NULL, &after), 0);
    for (int i = 1; i < SIGRTMAX; i++)
        ck_assert_int_eq(sigismember(&after, i), sigismember(&before, i));
    for (int i = 0; i < WORKERS; i++)
        ck_assert_int_eq(weir_pool_submit(pool, check_in_task, &masks), 0);
    finish_pool(pool);
    ck_assert_int_eq(atomic_load(&masks.started), WORKERS);
    ck_assert_int_eq(atomic_load(&masks.stopped), WORKERS);
    ck_assert_int_eq(atomic_load(&masks.ran), WORKERS);
    ck_assert_int_eq(atomic_load(&masks.wrong), 0);
}
END_TEST

/* What the handler saw: a handler has no argument of its own. */
static atomic_int handled, handled_elsewhere;
static pthread_t expected_thread;

static void handle(int signal_number)
{
    (void)signal_number;
    if (!pthread_equal(pthread_self(), expected_thread))
        atomic_fetch_add(&handled_elsewhere, 1);
    atomic_fetch_add(&handled, 1);
}

/* Handles the signal from now on; interrupted system calls are not restarted. */
static void handle_signal(int signal_number, struct sigaction *ret_before)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = handle;
    (void)sigemptyset(&action.sa_mask);
    ck_assert_int_eq(sigaction(signal_number, &action, ret_before), 0);
}

START_TEST(a_signal_to_the_process_is_handled_by_the_main_thread)
{
    enum { SIGNALS = 50 };
    struct sigaction before;
    gate hold = GATE_INIT;
    weir_pool *pool = new_pool(4, 4);
    atomic_store(&handled, 0);
    atomic_store(&handled_elsewhere, 0);
    expected_thread = pthread_self();
    handle_signal(SIGUSR1, &before);
    saturate(pool, &hold, 2); /* two workers run, two are idle */
    int64_t deadline = patience();
    for (int i = 1; i <= SIGNALS; i++) {
        ck_assert_int_eq(kill(getpid(), SIGUSR1), 0);
        while (atomic_load(&handled) < i && weir_now() < deadline)
            (void)usleep(10);
    }
    ck_assert_int_eq(atomic_load(&handled), SIGNALS);
    ck_assert_int_eq(atomic_load(&handled_elsewhere), 0);
    gate_open(&hold);
    finish_pool(pool);
    ck_assert_int_eq(sigaction(SIGUSR1, &before, NULL), 0);
}
END_TEST

/* Everything that a thread can wait for, and none of it will happen before `hold` is opened. */
struct scene {
    weir_pool *pool; /* its one worker is held, its queue is full */
    gate hold;
    counter ran;
    weir_task queued;
    weir_waitgroup wg;
    weir_errgroup *group; /* at its limit, its one member is held */
    weir_context *ctx;
};

static void set_scene(struct scene *scene)
{
    *scene = (struct scene){.hold = GATE_INIT, .ran = COUNTER_INIT};
    scene->pool = new_pool(1, 1);
    ck_assert_int_eq(weir_context_new(&scene->ctx, NULL, WEIR_FOREVER), 0);
    ck_assert_int_eq(
        weir_errgroup_new(&scene->group, scene->pool, NULL, WEIR_ERRGROUP_OPTIONS(.limit = 1)), 0);
    ck_assert_int_eq(weir_errgroup_go(scene->group, gate_task, &scene->hold), 0);
    gate_await(&scene->hold, 1);
    ck_assert_int_eq(
        weir_pool_submit_task(scene->pool, &scene->queued, counter_task, &scene->ran, NULL), 0);
    weir_waitgroup_add(&scene->wg, 1);
}

/* What the waits wait for happens. */
static void let_it_happen(struct scene *scene)
{
    weir_context_cancel(scene->ctx, 0);
    weir_waitgroup_done(&scene->wg);
    gate_open(&scene->hold);
}

static void strike_scene(struct scene *scene)
{
    weir_errgroup_free(scene->group);
    weir_context_unref(scene->ctx);
    finish_pool(scene->pool);
}

static int wait_for_task(struct scene *scene, int64_t deadline)
{
    return weir_task_wait_until(&scene->queued, NULL, deadline);
}

static int wait_for_waitgroup(struct scene *scene, int64_t deadline)
{
    return weir_waitgroup_wait_until(&scene->wg, NULL, deadline);
}

static int wait_for_group(struct scene *scene, int64_t deadline)
{
    return weir_errgroup_wait_until(scene->group, NULL, deadline);
}

static int wait_for_limit(struct scene *scene, int64_t deadline)
{
    return weir_errgroup_go_until(scene->group, counter_task, &scene->ran, NULL, deadline);
}

static int wait_for_context(struct scene *scene, int64_t deadline)
{
    return weir_context_wait_until(scene->ctx, deadline);
}

static int wait_for_room(struct scene *scene, int64_t deadline)
{
    return weir_pool_submit_until(scene->pool, counter_task, &scene->ran, NULL, deadline);
}

static int wait_for_quiet(struct scene *scene, int64_t deadline)
{
    return weir_pool_drain_until(scene->pool, NULL, deadline);
}

static int wait_for_shutdown(struct scene *scene, int64_t deadline)
{
    return weir_pool_shutdown(scene->pool, deadline, deadline, NULL);
}

static int sleep_for_a_while(struct scene *scene, int64_t deadline)
{
    int err = weir_sleep_until(scene->ctx, deadline);
    if (deadline == WEIR_FOREVER)
        return err == -ECANCELED ? 0 : -EINTR;
    return err == 0 ? -ETIMEDOUT : err;
}

/* Each returns -ETIMEDOUT at the deadline and 0 if what it waits for has happened. */
static int (*const waits[])(struct scene *scene, int64_t deadline) = {
    wait_for_task, wait_for_waitgroup, wait_for_group,    wait_for_limit,    wait_for_context,
    wait_for_room, wait_for_quiet,     sleep_for_a_while, wait_for_shutdown,
};
enum { WAITS = LENGTH(waits) };

struct interrupted {
    struct scene scene;
    int (*wait)(struct scene *scene, int64_t deadline);
    int64_t deadline;
    bool early;
    caller thread;
};

static int call_wait(void *arg)
{
    struct interrupted *self = arg;
    int err = self->wait(&self->scene, self->deadline);
    self->early = self->deadline != WEIR_FOREVER && weir_now() < self->deadline;
    return err;
}

/* Sends a signal to a thread 2000 times a second. */
struct storm {
    pthread_t target;
    atomic_bool over;
    counter sent;
    caller thread;
};

static int send_signals(void *arg)
{
    struct storm *storm = arg;
    while (!atomic_load(&storm->over)) {
        int err = pthread_kill(storm->target, SIGUSR2);
        if (err != 0)
            return -err;
        counter_add(&storm->sent, 1);
        (void)nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
    }
    return 0;
}

static void begin_storm(struct storm *storm, pthread_t target)
{
    *storm = (struct storm){.target = target, .sent = COUNTER_INIT};
    caller_start(&storm->thread, send_signals, storm);
}

static void end_storm(struct storm *storm)
{
    atomic_store(&storm->over, true);
    ck_assert_int_eq(caller_join(&storm->thread), 0);
}

START_TEST(a_timed_wait_in_a_storm_of_signals_does_not_return_early)
{
    struct sigaction before;
    struct storm storm;
    struct interrupted self = {.wait = waits[_i]};
    handle_signal(SIGUSR2, &before);
    set_scene(&self.scene);
    self.deadline = weir_after(WEIR_MS(150));
    caller_start(&self.thread, call_wait, &self);
    begin_storm(&storm, self.thread.thread);
    counter_await(&self.thread.over, 1);
    end_storm(&storm); /* while the thread still exists */
    ck_assert_int_eq(caller_join(&self.thread), -ETIMEDOUT);
    ck_assert(!self.early);
    let_it_happen(&self.scene);
    strike_scene(&self.scene);
    ck_assert_int_eq(sigaction(SIGUSR2, &before, NULL), 0);
}
END_TEST

START_TEST(a_wait_in_a_storm_of_signals_ends_when_it_should_and_not_before)
{
    enum { SIGNALS = 100 };
    struct sigaction before;
    struct storm storm;
    struct interrupted self = {.wait = waits[_i], .deadline = WEIR_FOREVER};
    handle_signal(SIGUSR2, &before);
    set_scene(&self.scene);
    caller_start(&self.thread, call_wait, &self);
    begin_storm(&storm, self.thread.thread);
    counter_await(&storm.sent, SIGNALS);
    ck_assert(!caller_is_over(&self.thread));
    let_it_happen(&self.scene);
    counter_await(&self.thread.over, 1);
    end_storm(&storm);
    ck_assert_int_eq(caller_join(&self.thread), 0);
    strike_scene(&self.scene);
    ck_assert_int_eq(sigaction(SIGUSR2, &before, NULL), 0);
}
END_TEST

static int count_itself(weir_context *ctx, void *arg)
{
    (void)ctx;
    atomic_fetch_add((atomic_int *)arg, 1);
    return 0;
}

START_TEST(traffic_in_a_storm_of_timer_signals_loses_nothing)
{
    struct sigaction before;
    const struct itimerval often = {.it_interval.tv_usec = 500, .it_value.tv_usec = 500};
    const struct itimerval never = {.it_value.tv_usec = 0};
    atomic_int ran = 0;
    weir_pool *pool = new_pool(2, 1);
    expected_thread = pthread_self();
    atomic_store(&handled_elsewhere, 0);
    handle_signal(SIGALRM, &before);
    ck_assert_int_eq(setitimer(ITIMER_REAL, &often, NULL), 0);
    int submitted = 0;
    for (int64_t end = weir_after(WEIR_MS(150)); weir_now() < end; submitted++)
        ck_assert_int_eq(weir_pool_submit(pool, count_itself, &ran), 0);
    ck_assert_int_eq(weir_pool_drain_until(pool, NULL, patience()), 0);
    ck_assert_int_eq(setitimer(ITIMER_REAL, &never, NULL), 0);
    ck_assert_int_eq(atomic_load(&ran), submitted);
    ck_assert_int_eq(atomic_load(&handled_elsewhere), 0);
    finish_pool(pool);
    ck_assert_int_eq(sigaction(SIGALRM, &before, NULL), 0);
}
END_TEST

Suite *weir_suite(void)
{
    Suite *suite = suite_create("signals");

    TCase *workers = add_group(suite, "workers");
    tcase_add_test(workers, workers_block_every_asynchronous_signal_and_the_caller_keeps_its_own);
    tcase_add_test(workers, a_signal_to_the_process_is_handled_by_the_main_thread);

    TCase *storm = add_group(suite, "storm");
    tcase_add_loop_test(storm, a_timed_wait_in_a_storm_of_signals_does_not_return_early, 0, WAITS);
    tcase_add_loop_test(storm, a_wait_in_a_storm_of_signals_ends_when_it_should_and_not_before, 0,
                        WAITS);
    tcase_add_test(storm, traffic_in_a_storm_of_timer_signals_loses_nothing);
    return suite;
}
