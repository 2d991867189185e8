/* SPDX-License-Identifier: MIT */
/* edges.c - a program that is built with ThreadSanitizer and uses a weir that is not.
 *
 * Each part hands data from thread to thread by one tool of weir, and by nothing else: what one
 * side writes before, the other reads after, and both are plain accesses. ThreadSanitizer, which
 * knows of no order but what weir tells it, must find no race. The part `race` has one.
 *
 * Usage: edges PART...     or edges all, which is every part but `race` */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <weir.h>

enum { ROUNDS = 100, WORKERS = 2 };

static weir_pool *pool;

/* What is handed over, in memory that no other round uses. */
static int cells[ROUNDS];
static int value; /* where one thing passes through many hands */

static void require_at(int line, bool ok)
{
    if (ok)
        return;
    fprintf(stderr, "edges.c:%d: not as it must be\n", line);
    exit(1);
}
#define require(condition) require_at(__LINE__, condition)

static int add_one(weir_context *ctx, void *arg)
{
    (void)ctx;
    ++*(int *)arg;
    return 0;
}

/* The pool. */

static void clear(void)
{
    for (int i = 0; i < ROUNDS; i++)
        cells[i] = i;
    value = 0;
}

static void require_all_added(int n)
{
    for (int i = 0; i < ROUNDS; i++)
        require(cells[i] == i + n);
}

static void submit_and_drain(void)
{
    for (int i = 0; i < ROUNDS; i++) {
        cells[i] = i;
        require(weir_pool_submit(pool, add_one, &cells[i]) == 0);
    }
    require(weir_pool_drain(pool) == 0);
    require_all_added(1);
}

static int started[WORKERS], stopped[WORKERS];

static int on_start(unsigned index, void *user)
{
    (void)user;
    started[index] = 1;
    return 0;
}

static void on_stop(unsigned index, void *user)
{
    (void)user;
    stopped[index] = 1;
}

static void start_and_shutdown(void)
{
    weir_pool *own;
    require(weir_pool_new(&own, WEIR_POOL_OPTIONS(.workers = WORKERS, .on_worker_start = on_start,
                                                  .on_worker_stop = on_stop)) == 0);
    require(started[0] && started[1]);
    for (int i = 0; i < ROUNDS; i++)
        require(weir_pool_submit(own, add_one, &cells[i]) == 0);
    require(weir_pool_shutdown(own, WEIR_FOREVER, WEIR_FOREVER, NULL) == 0);
    require_all_added(1);
    require(stopped[0] && stopped[1]);
    weir_pool_free(own);
}

static void on_drop(weir_task_fn *fn, void *arg, weir_state why, void *user)
{
    (void)fn;
    (void)why;
    (void)user;
    ++*(int *)arg;
}

static void drop(void)
{
    weir_pool *own;
    require(weir_pool_new(&own, WEIR_POOL_OPTIONS(.workers = WORKERS, .capacity = 1,
                                                  .overflow = WEIR_OVERFLOW_DROP_OLDEST,
                                                  .on_drop = on_drop)) == 0);
    for (int i = 0; i < ROUNDS; i++)
        require(weir_pool_submit(own, add_one, &cells[i]) == 0);
    require(weir_pool_drain(own) == 0);
    require_all_added(1);
    weir_pool_free(own);
}

/* Handles. */

static void wait_for_handle(void)
{
    weir_task task = WEIR_TASK_INIT;
    for (int i = 0; i < ROUNDS; i++) {
        require(weir_pool_submit_task(pool, &task, add_one, &value, NULL) == 0);
        require(weir_task_wait(&task) == 0 && value == i + 1);
        value = i + 1;
    }
}

static void poll_handle(void)
{
    weir_task task = WEIR_TASK_INIT;
    for (int i = 0; i < ROUNDS; i++) {
        require(weir_pool_submit_task(pool, &task, add_one, &value, NULL) == 0);
        while (weir_task_state(&task) != WEIR_TASK_DONE)
            continue;
        require(value == i + 1);
    }
}

static void wait_for_any(void)
{
    weir_task tasks[2] = {WEIR_TASK_INIT, WEIR_TASK_INIT};
    weir_task *const both[] = {&tasks[0], &tasks[1]};
    for (int i = 0; i + 1 < ROUNDS; i += 2) {
        require(weir_pool_submit_task(pool, &tasks[0], add_one, &cells[i], NULL) == 0);
        require(weir_pool_submit_task(pool, &tasks[1], add_one, &cells[i + 1], NULL) == 0);
        int first = weir_task_wait_any(both, 2);
        require(first >= 0 && cells[i + first] == i + first + 1);
        require(weir_task_wait(&tasks[0]) == 0 && weir_task_wait(&tasks[1]) == 0);
    }
}

static void on_done(void *arg, weir_state state, int status)
{
    (void)state;
    (void)status;
    ++*(int *)arg;
}

static void completions(void)
{
    weir_completion *completion;
    require(weir_completion_new(&completion, 1) == 0);
    weir_task task = WEIR_TASK_INIT, *over;
    for (int i = 0; i < ROUNDS; i++) {
        require(weir_pool_submit_task(
                    pool, &task, add_one, &value,
                    WEIR_TASK_OPTIONS(.completion = completion, .on_done = on_done)) == 0);
        struct pollfd ready = {.fd = weir_completion_fd(completion), .events = POLLIN};
        while (poll(&ready, 1, -1) != 1)
            continue;
        require(weir_completion_reap(completion, &over, 1) == 1 && value == 2 * i + 2);
    }
    weir_completion_free(completion);
}

static int fails_at_first(weir_context *ctx, void *arg)
{
    (void)ctx;
    return ++*(int *)arg % 2 == 0 ? 0 : -EIO;
}

static void timers(void)
{
    weir_task later = WEIR_TASK_INIT, again = WEIR_TASK_INIT, retried = WEIR_TASK_INIT;
    int once = 0, many = 0, twice = 0;
    require(weir_pool_submit_task_at(pool, &later, add_one, &once, NULL, weir_after(WEIR_MS(1))) ==
            0);
    require(weir_pool_submit_every(pool, &again, add_one, &many, NULL, weir_now(), WEIR_US(100)) ==
            0);
    require(weir_pool_submit_retry(pool, &retried, fails_at_first, &twice, NULL,
                                   WEIR_RETRY_OPTIONS(.initial_interval = WEIR_US(100))) == 0);
    require(weir_task_wait(&later) == 0 && once == 1);
    require(weir_task_wait(&retried) == 0 && twice == 2);
    require(weir_task_wait_until(&again, NULL, weir_after(WEIR_MS(10))) == -ETIMEDOUT);
    (void)weir_task_cancel(&again);
    require(weir_task_wait(&again) == 0 && many > 0);
}

/* What the tasks of a serial and of a key have in common, they share without a lock. */
static void serials(void)
{
    weir_serial serial;
    weir_keyed *keyed;
    static weir_task tasks[ROUNDS];
    int of_key = 0;
    require(weir_serial_init(&serial, pool, WEIR_SERIAL_OPTIONS(.batch = 1)) == 0);
    require(weir_keyed_new(&keyed, pool, WEIR_KEYED_OPTIONS(.keys = 1, .batch = 1)) == 0);
    for (int i = 0; i < ROUNDS; i++)
        require(weir_serial_submit(&serial, &tasks[i], add_one, &value, NULL) == 0);
    require(weir_serial_drain(&serial) == 0 && value == ROUNDS);
    for (int i = 0; i < ROUNDS; i++)
        require(weir_keyed_submit(keyed, (uint64_t)i / 50, &tasks[i], add_one, &of_key, NULL) == 0);
    require(weir_keyed_drain(keyed) == 0 && of_key == ROUNDS);
    for (int i = 0; i < ROUNDS; i++) {
        require(weir_serial_submit(&serial, &tasks[i], add_one, &value, NULL) == 0);
        if (i % 2 == 0)
            require(weir_task_wait(&tasks[i]) == 0);
        else
            while (weir_serial_try_drain(&serial) != 0)
                continue;
        require(value == ROUNDS + i + 1);
    }
    require(weir_serial_drain(&serial) == 0);
    weir_serial_destroy(&serial);
    weir_keyed_free(keyed);
}

/* Groups. */

static void waitgroup(void)
{
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    for (int i = 0; i < ROUNDS; i++) {
        require(weir_waitgroup_go(&wg, pool, add_one, &value) == 0);
        if (i % 2 == 0)
            while (weir_waitgroup_try_wait(&wg) != 0)
                continue;
        else
            require(weir_waitgroup_wait(&wg) == 0);
        require(value == i + 1);
    }
}

static int fails(weir_context *ctx, void *arg)
{
    (void)ctx;
    ++*(int *)arg;
    return -EIO;
}

static void errgroup(void)
{
    for (int i = 0; i < ROUNDS; i++) {
        weir_errgroup *group;
        int code = 0, failed = 0;
        require(weir_errgroup_new(&group, pool, NULL, WEIR_ERRGROUP_OPTIONS(.limit = 1)) == 0);
        require(weir_errgroup_go(group, add_one, &value) == 0);
        require(weir_errgroup_go(group, add_one, &value) == 0); /* one after the other */
        require(weir_errgroup_wait(group) == 0 && value == 2 * i + 2);
        require(weir_errgroup_go(group, fails, &failed) == 0);
        while (weir_errgroup_errors(group, &code, 1) == 0)
            continue;
        require(code == -EIO && failed == 1);
        weir_errgroup_free(group);
    }
}

static int add_to_range(weir_context *ctx, size_t begin, size_t end, void *arg)
{
    (void)ctx;
    for (size_t i = begin; i < end; i++)
        ++((int *)arg)[i];
    return 0;
}

static void parallel(void)
{
    for (int round = 1; round <= ROUNDS / 10; round++) {
        require(weir_parallel_for(pool, ROUNDS, 1, add_to_range, cells) == 0);
        require_all_added(round);
    }
}

static int make_item(weir_context *ctx, void **item, void *arg)
{
    (void)ctx;
    (void)arg;
    *item = value < ROUNDS ? &cells[value++] : NULL;
    return 0;
}

static int add_to_item(weir_context *ctx, void **item, void *arg)
{
    (void)ctx;
    (void)arg;
    ++*(int *)*item;
    return 0;
}

static int sum_items(weir_context *ctx, void **item, void *arg)
{
    (void)ctx;
    *(int *)arg += *(int *)*item;
    return 0;
}

static void pipeline(void)
{
    int sum = 0;
    const weir_stage stages[] = {
        {make_item, NULL, WEIR_STAGE_IN_ORDER},
        {add_to_item, NULL, WEIR_STAGE_PARALLEL},
        {sum_items, &sum, WEIR_STAGE_SERIAL},
    };
    require(weir_pipeline_run(pool, stages, 3, NULL) == 0);
    require(sum == ROUNDS * (ROUNDS + 1) / 2);
}

/* Channels. */

static weir_channel *channel;

static int receive_all(weir_context *ctx, void *arg)
{
    int *cell, *received = arg;
    (void)ctx;
    while (weir_channel_recv(channel, &cell) == 0) {
        ++*cell;
        ++*received;
    }
    require(value == ROUNDS); /* what came before the close */
    return 0;
}

static void send_all(size_t capacity)
{
    weir_task receiver = WEIR_TASK_INIT;
    int received = 0;
    clear();
    require(weir_channel_new(&channel, sizeof(int *), capacity) == 0);
    require(weir_pool_submit_task(pool, &receiver, receive_all, &received, NULL) == 0);
    for (int i = 0; i < ROUNDS; i++) {
        int *cell = &cells[i];
        *cell = i;
        require(weir_channel_send(channel, &cell) == 0);
    }
    value = ROUNDS;
    require(weir_channel_close(channel) == 0);
    require(weir_task_wait(&receiver) == 0 && received == ROUNDS);
    require_all_added(1);
    weir_channel_free(channel);
}

static void channels(void)
{
    send_all(0);
    send_all(1);
    send_all(64);
}

/* What a receive made room for. */
static int give_room(weir_context *ctx, void *arg)
{
    int *cell;
    (void)ctx;
    for (int i = 0; i < ROUNDS; i++) {
        ((int *)arg)[i] = i;
        require(weir_channel_recv(channel, &cell) == 0);
    }
    return 0;
}

static void room_in_channels(void)
{
    weir_task receiver = WEIR_TASK_INIT;
    int *cell = NULL;
    require(weir_channel_new(&channel, sizeof(int *), 1) == 0);
    require(weir_channel_send(channel, &cell) == 0);
    require(weir_pool_submit_task(pool, &receiver, give_room, cells, NULL) == 0);
    for (int i = 0; i < ROUNDS - 1; i++) {
        require(weir_channel_send(channel, &cell) == 0);
        require(cells[i] == i);
    }
    require(weir_task_wait(&receiver) == 0);
    weir_channel_free(channel);
}

static void topic(void)
{
    weir_topic *topic;
    weir_task receiver = WEIR_TASK_INIT;
    int received = 0;
    require(weir_topic_new(&topic) == 0);
    require(weir_channel_new(&channel, sizeof(int *), ROUNDS) == 0);
    require(weir_topic_subscribe(topic, channel) == 0);
    require(weir_pool_submit_task(pool, &receiver, receive_all, &received, NULL) == 0);
    for (int i = 0; i < ROUNDS; i++) {
        int *cell = &cells[i];
        *cell = i;
        require(weir_topic_publish(topic, &cell) == 1);
    }
    value = ROUNDS;
    require(weir_channel_close(channel) == 0);
    require(weir_task_wait(&receiver) == 0 && received == ROUNDS);
    require(weir_topic_unsubscribe(topic, channel) == 0);
    weir_channel_free(channel);
    weir_topic_free(topic);
}

static weir_ring *ring;

static void *pop_all(void *arg)
{
    void *cell;
    for (int i = 0; i < ROUNDS;) {
        if (i % 2 == 0 ? weir_ring_pop(ring, &cell) != 0 : weir_ring_pop_burst(ring, &cell, 1) != 1)
            continue;
        ++*(int *)cell;
        i++;
    }
    return arg;
}

static void rings(void)
{
    pthread_t other;
    require(weir_ring_new(&ring, 8) == 0);
    require(pthread_create(&other, NULL, pop_all, NULL) == 0);
    for (int i = 0; i < ROUNDS;) {
        void *cell = &cells[i];
        cells[i] = i;
        if (i % 2 == 0 ? weir_ring_push(ring, cell) == 0
                       : weir_ring_push_burst(ring, &cell, 1) == 1)
            i++;
    }
    require(pthread_join(other, NULL) == 0);
    require_all_added(1);
    weir_ring_free(ring);
}

/* What is held by one thread at a time. */

static weir_semaphore semaphore;

static int add_with_permit(weir_context *ctx, void *arg)
{
    (void)ctx;
    for (int i = 0; i < ROUNDS; i++) {
        if (i % 2 == 0)
            require(weir_semaphore_acquire(&semaphore, 1) == 0);
        else
            while (weir_semaphore_try_acquire(&semaphore, 1) != 0)
                continue;
        ++*(int *)arg;
        weir_semaphore_release(&semaphore, 1);
    }
    return 0;
}

static void run_two(weir_task_fn *fn, void *arg)
{
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    require(weir_waitgroup_go(&wg, pool, fn, arg) == 0);
    require(weir_waitgroup_go(&wg, pool, fn, arg) == 0);
    require(weir_waitgroup_wait(&wg) == 0);
}

static void semaphores(void)
{
    require(weir_semaphore_init(&semaphore, 1) == 0);
    run_two(add_with_permit, &value);
    require(value == 2 * ROUNDS);
    weir_semaphore_destroy(&semaphore);
}

static int add_when_permitted(weir_context *ctx, void *arg)
{
    (void)ctx;
    require(weir_semaphore_acquire(&semaphore, 1) == 0);
    ++*(int *)arg;
    weir_semaphore_release(&semaphore, 1);
    return 0;
}

/* Permits that go straight to a thread that waits for one. */
static void handed_permits(void)
{
    weir_task task = WEIR_TASK_INIT;
    require(weir_semaphore_init(&semaphore, 1) == 0);
    for (int i = 0; i < ROUNDS; i++) {
        require(weir_semaphore_acquire(&semaphore, 1) == 0);
        require(weir_pool_submit_task(pool, &task, add_when_permitted, &cells[i], NULL) == 0);
        while (weir_semaphore_waiting(&semaphore) == 0)
            continue;
        cells[i] = 2 * i;
        weir_semaphore_release(&semaphore, 1);
        require(weir_task_wait(&task) == 0 && cells[i] == 2 * i + 1);
    }
    weir_semaphore_destroy(&semaphore);
}

static weir_lease_pool *leases;

static int lend(void *user, void **ret_resource)
{
    *ret_resource = user;
    return 0;
}

static int add_with_lease(weir_context *ctx, void *arg)
{
    void *resource;
    (void)ctx;
    (void)arg;
    for (int i = 0; i < ROUNDS; i++) {
        require(weir_lease_acquire(leases, &resource) == 0);
        ++*(int *)resource;
        weir_lease_release(leases, resource, 0);
    }
    return 0;
}

static void leased(void)
{
    require(weir_lease_pool_new(&leases,
                                WEIR_LEASE_OPTIONS(.max = 1, .make = lend, .user = &value)) == 0);
    run_two(add_with_lease, NULL);
    require(value == 2 * ROUNDS);
    weir_lease_pool_free(leases);
}

/* Contexts. */

struct watched {
    weir_context *ctx;
    int *cell;
};

/* Returns what was written before the context was cancelled. */
static int await_cancel(weir_context *ctx, void *arg)
{
    const struct watched *watched = arg;
    while (weir_context_err(watched->ctx != NULL ? watched->ctx : ctx) == 0)
        continue;
    return *watched->cell;
}

static void hook(void *arg)
{
    ++*(int *)arg;
}

static void contexts(void)
{
    for (int i = 0; i < ROUNDS; i++) {
        weir_task task = WEIR_TASK_INIT;
        weir_context_hook on_over;
        struct watched watched = {.cell = &cells[i]};
        int called = 0;
        memset(&on_over, 0, sizeof on_over);
        require(weir_context_new(&watched.ctx, NULL, WEIR_FOREVER) == 0);
        require(weir_context_on_done(watched.ctx, &on_over, hook, &called) == 0);
        require(weir_pool_submit_task(pool, &task, await_cancel, &watched, NULL) == 0);
        cells[i] = i + 1;
        weir_context_cancel(watched.ctx, 0);
        require(weir_task_wait(&task) == 0 && weir_task_status(&task) == i + 1);
        require(weir_context_hook_stop(&on_over) == -EALREADY && called == 1);
        weir_context_unref(watched.ctx);
    }
}

static void task_cancel(void)
{
    for (int i = 0; i < ROUNDS; i++) {
        weir_task task = WEIR_TASK_INIT;
        struct watched watched = {.cell = &cells[i]};
        require(weir_pool_submit_task(pool, &task, await_cancel, &watched, NULL) == 0);
        while (weir_task_state(&task) == WEIR_TASK_QUEUED)
            continue;
        cells[i] = i + 1;
        require(weir_task_cancel(&task) == -EINPROGRESS);
        require(weir_task_wait(&task) == 0 && weir_task_status(&task) == i + 1);
    }
}

/* Signals: a handler runs though its thread sleeps in weir. */

static atomic_int handled;

static void on_signal(int number)
{
    atomic_store(&handled, number);
}

struct sleeper {
    pthread_t thread;
    weir_context *ctx;
};

static bool main_thread_sleeps(void)
{
    char name[64], state = 0;
    (void)snprintf(name, sizeof name, "/proc/self/task/%d/stat", (int)getpid());
    FILE *file = fopen(name, "r");
    require(file != NULL && fscanf(file, "%*d %*s %c", &state) == 1);
    (void)fclose(file);
    return state == 'S';
}

/* Ends the sleep only when the handler has run. */
static void *interrupt(void *arg)
{
    struct sleeper *sleeper = arg;
    while (!main_thread_sleeps())
        (void)poll(NULL, 0, 1);
    require(pthread_kill(sleeper->thread, SIGUSR1) == 0);
    while (atomic_load(&handled) == 0)
        (void)poll(NULL, 0, 1);
    weir_context_cancel(sleeper->ctx, 0);
    return NULL;
}

static void handler(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    struct sleeper sleeper = {.thread = pthread_self()};
    pthread_t other;
    require(sigaction(SIGUSR1, &action, NULL) == 0);
    require(weir_context_new(&sleeper.ctx, NULL, WEIR_FOREVER) == 0);
    require(pthread_create(&other, NULL, interrupt, &sleeper) == 0);
    require(weir_context_wait_until(sleeper.ctx, WEIR_FOREVER) == 0);
    require(pthread_join(other, NULL) == 0);
    weir_context_unref(sleeper.ctx);
}

/* And what is a race. */

static atomic_int turn;

/* One after the other, on two threads, which no more than a relaxed word tells when: so neither has
 * reason to see what the other did, and two accesses at the very same time, which ThreadSanitizer
 * can miss, there are none. */
static int add_without_order(weir_context *ctx, void *arg)
{
    (void)ctx;
    bool first = atomic_fetch_add_explicit(&turn, 1, memory_order_relaxed) == 0;
    while (atomic_load_explicit(&turn, memory_order_relaxed) < (first ? 2 : 3))
        continue;
    ++*(int *)arg;
    atomic_fetch_add_explicit(&turn, 1, memory_order_relaxed);
    return 0;
}

static void race(void)
{
    run_two(add_without_order, &value);
}

static const struct part {
    const char *name;
    void (*fn)(void);
} parts[] = {
    {"submit-and-drain", submit_and_drain},
    {"start-and-shutdown", start_and_shutdown},
    {"drop", drop},
    {"wait-for-handle", wait_for_handle},
    {"poll-handle", poll_handle},
    {"wait-for-any", wait_for_any},
    {"completions", completions},
    {"timers", timers},
    {"serials", serials},
    {"waitgroup", waitgroup},
    {"errgroup", errgroup},
    {"parallel", parallel},
    {"pipeline", pipeline},
    {"channels", channels},
    {"room-in-channels", room_in_channels},
    {"topic", topic},
    {"rings", rings},
    {"semaphores", semaphores},
    {"handed-permits", handed_permits},
    {"leases", leased},
    {"contexts", contexts},
    {"task-cancel", task_cancel},
    {"handler", handler},
    {"race", race},
};

static int run_part(const char *name)
{
    int ran = 0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        const struct part *part = &parts[i];
        bool wanted = strcmp(name, "all") == 0 ? part->fn != race : strcmp(name, part->name) == 0;
        if (!wanted)
            continue;
        clear();
        require(weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = WORKERS)) == 0);
        part->fn();
        weir_pool_free(pool);
        ran++;
    }
    return ran;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (run_part(argv[i]) == 0) {
            fprintf(stderr, "edges: there is no part %s\n", argv[i]);
            return 2;
        }
    puts("through");
    return 0;
}
