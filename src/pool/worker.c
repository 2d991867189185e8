/* SPDX-License-Identifier: MIT */
/* worker.c - the threads.
 *
 * A worker takes and runs jobs until the queue is empty, then parks. One that was woken wakes the
 * next before it runs its job, if more is queued: so a burst of jobs is met by workers that wake
 * each other, while the submitter goes on. It leaves when the queue is STOPPING and empty.
 *
 * With more workers than CPUs a wake tends to put the woken worker in the place of the thread that
 * submits, and a stream of jobs would be a wake and a park for each. So when wakes follow each
 * other closely, a woken worker yields once before it parks again, and then looks once more: the
 * submitters get on meanwhile.
 *
 * Before it parks it wakes the threads that may rely on it: a submitter that may sleep although
 * there is room (room.h), and those that wait for the pool to be quiet (quiet.h).
 *
 * A thread that dies in a task (pthread_exit, thread cancellation) is replaced as the stack is
 * unwound; its replacement joins it. If no thread can be made, the dying one goes on as a worker:
 * it jumps out of its cleanup back to where it began. (To serve within the cleanup would not do:
 * not all compilers let a second death unwind through a cleanup, and each one would take more
 * stack.)
 */
#include "pool/worker.h"

#include <errno.h>
#include <setjmp.h>

#include "base/pace.h"
#include "base/unwind.h"
#include "os/alloc.h"
#include "pool/lanes.h"
#include "pool/local.h"

/* What a worker does yet before it parks. */
struct patience {
    unsigned looks; /* only after a run of jobs: one that comes alone shall not be polled for */
    bool yields;
};

/* Waits for a moment. False: it has, and may park. */
static bool spin(struct patience *left)
{
    if (left->looks > 0) {
        left->looks--;
        cpu_relax(WORKER_LOOK_PAUSES);
    } else if (left->yields) {
        left->yields = false;
    } else {
        return false;
    }
    thread_yield_hint();
    return true;
}

/* Parks until there may be work. True: this thread was woken and owes a wake to the next. */
static bool park(struct host *host, uint32_t key, struct patience *ret)
{
    struct queue *queue = host->queue;
    weir__lanes_idle(queue);
    weir__quiet_idle(&queue->quiet);
    if (unlikely(host->watchdog != NULL))
        weir__watchdog_park(host->watchdog, this_thread()->seat->watched);
    note_park();
    PROBE2(worker_park, queue, weir__own_worker()->index);
    bool woken = weir__eventcount_sleep(&queue->idle, key, WEIR_FOREVER) == 0;
    PROBE2(worker_wake, queue, weir__own_worker()->index);
    note_unpark(woken);
    ret->looks = 0;
    ret->yields = !host->cpus_to_spare && eventcount_wake_gap(&queue->idle) < WORKER_SHORT_GAP_NS;
    return woken;
}

/* After each LEAD jobs in a row: lets the submitters get ahead. */
static void give_head_start(struct seat *seat)
{
    if (!seat->submits && !weir__queue_has_lead(seat))
        cpu_relax(LEAD_PAUSES);
    seat->submits = false;
}

/* Runs jobs until there is none. `*woken`: this thread was woken, and has not passed that on. */
static void run_queued(struct host *host, struct seat *seat, bool *woken, struct patience *ret)
{
    struct queue *queue = host->queue;
    struct job job;
    next_job *next = seat->local != NULL ? weir__local_next : next_job_of(queue);
    unsigned in_a_row = 0;
    while (next(seat, &job)) {
        if (*woken) {
            *woken = false;
            weir__queue_pass_wake(queue);
        } else {
            ret->looks = host->cpus_to_spare ? WORKER_LOOKS : 0;
        }
        weir__run(host, &job);
        if (++in_a_row % LEAD == 0)
            give_head_start(seat);
    }
    if (in_a_row > 0 && unlikely(lanes_have_timed(queue)))
        weir__lanes_idle(queue);
}

static void serve(struct worker *worker)
{
    struct host *host = worker->crew->host;
    struct queue *queue = host->queue;
    struct patience patience = {0, false};
    bool woken = false;
    for (;;) {
        run_queued(host, &worker->seat, &woken, &patience);
        if (spin(&patience))
            continue;
        uint32_t key = eventcount_prepare(&queue->idle);
        bool empty = weir__queue_empty(queue);
        if (!empty || queue_phase(queue) >= POOL_STOPPING) {
            eventcount_cancel(&queue->idle);
            if (empty)
                return;
            continue;
        }
        woken = park(host, key, &patience);
    }
}

/* A thread's life. */

static int start(struct worker *worker);

/* The thread is at its end, one way or the other. */
static void left(struct worker *worker)
{
    const struct crew *crew = worker->crew;
    weir__quiet_idle(&crew->host->queue->quiet); /* it does not come to that by parking */
    if (crew->on_stop != NULL)
        crew->on_stop(worker->index, crew->host->user);
    if (worker->has_predecessor)
        (void)pthread_join(worker->predecessor, NULL);
    worker->has_predecessor = false;
}

struct service {
    struct worker *worker;
    jmp_buf *begin; /* where a thread that dies and cannot be replaced goes on */
    bool done;
};

static void replace_if_dying(struct service *service)
{
    struct worker *worker = service->worker;
    if (service->done || host_stale(worker->crew->host))
        return;
    left(worker);
    worker->predecessor = pthread_self();
    worker->has_predecessor = true;
    note_leave();
    this_thread()->seat = NULL; /* what still runs on this thread is outside */
    if (start(worker) == 0)
        return;
    this_thread()->seat = &worker->seat;
    note_begin(&worker->activity);
    worker->has_predecessor = false;
    if (worker->crew->on_start != NULL)
        (void)worker->crew->on_start(worker->index, worker->crew->host->user);
    longjmp(*service->begin, 1);
}

static void leave_pool(struct worker *worker)
{
    atomic(unsigned) *alive = &worker->crew->alive;
    left(worker);
    if (worker->crew->host->watchdog != NULL)
        weir__watchdog_park(worker->crew->host->watchdog, worker->seat.watched);
    note_leave();
    this_thread()->seat = NULL;
    tsan_release(alive);
    sub_seqcst(alive, 1);  /* pairs with all_left */
    weir__wake_all(alive); /* only the address: the pool is freed after this thread is joined */
}

static void serve_once(struct worker *worker, jmp_buf *begin)
{
    struct service service ON_LEAVE(replace_if_dying) = {worker, begin, false};
    serve(worker);
    leave_pool(worker);
    service.done = true;
}

/* In a function of its own: no variable changes between setjmp and longjmp. */
static __attribute__((noinline)) void serve_for_life(struct worker *worker)
{
    jmp_buf begin;
    (void)setjmp(begin);
    serve_once(worker, &begin);
}

static void *worker_main(void *arg)
{
    struct worker *worker = arg;
    struct crew *crew = worker->crew;
    this_thread()->seat = &worker->seat;
    note_begin(&worker->activity);
    weir__thread_name(crew->name, worker->index);
    int err = 0;
    if (crew->on_start != NULL)
        err = crew->on_start(worker->index, crew->host->user);
    bool first_time = !worker->has_predecessor;
    if (first_time) {
        int none = 0;
        if (err != 0)
            (void)cas_rlx(&crew->start_error, &none, err); /* published by the next step */
        tsan_release(&crew->started);
        add_seqcst(&crew->started, 1); /* pairs with all_started */
        weir__wake_all(&crew->started);
    }
    if (err == 0 || !first_time)
        serve_for_life(worker);
    return NULL;
}

static int start(struct worker *worker)
{
    pthread_t thread; /* undefined after a failure, and then worker->thread is still right */
    int err = weir__thread_start(&thread, worker_main, worker, worker->crew->stack_size);
    if (err == 0)
        worker->thread = thread;
    return err;
}

/* The crew. */

static bool all_started(void *arg)
{
    const struct crew *crew = arg;
    unsigned started = load_seqcst(&crew->started); /* pairs with worker_main */
    tsan_acquire(&crew->started);
    return started == crew->count;
}

static void join(struct crew *crew, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        (void)pthread_join(crew->workers[i].thread, NULL);
}

void weir__crew_join(struct crew *crew)
{
    join(crew, crew->count);
}

/* Shows their runs to the watchdog, which may look at all of them as soon as the first one runs. */
static void watch_workers(struct worker *workers, struct watchdog *watchdog)
{
    for (unsigned i = 0; i < watchdog->workers; i++)
        watchdog->watched[i].activity = &workers[i].activity;
}

int weir__crew_start(struct crew *crew, unsigned count)
{
    struct queue *queue = crew->host->queue;
    unsigned made = 0;
    int err = 0;
    crew->workers = weir__alloc(count, sizeof *crew->workers);
    if (crew->workers == NULL)
        return -ENOMEM;
    if (crew->host->watchdog != NULL)
        watch_workers(crew->workers, crew->host->watchdog);
    crew->count = count;            /* constant before the first one may ask */
    store_rlx(&crew->alive, count); /* no other thread yet */
    for (unsigned i = 0; i < count && err == 0; i++) {
        struct worker *worker = &crew->workers[i];
        worker->crew = crew;
        worker->index = i;
        weir__seat_init(&worker->seat, queue, crew->host, i);
        worker->seat.times = &crew->host->times[i];
        if (crew->host->watchdog != NULL)
            worker->seat.watched = &crew->host->watchdog->watched[i];
        err = start(worker);
        made += err == 0;
    }
    if (err == 0) {
        (void)weir__wait_until(TELL_NOTHING, &crew->started, all_started, crew, NULL, NULL,
                               WEIR_FOREVER);
        err = load_rlx(&crew->start_error); /* each was set before its thread was counted */
    }
    if (err != 0) {
        weir__queue_set_phase(queue, POOL_STOPPING);
        weir__eventcount_wake_all(&queue->idle);
        join(crew, made);
    }
    return err;
}

void weir__crew_free(struct crew *crew)
{
    weir__free(crew->workers);
}

static bool all_left(void *arg)
{
    const atomic(unsigned) *alive = &((const struct crew *)arg)->alive;
    bool left = load_seqcst(alive) == 0; /* pairs with leave_pool */
    tsan_acquire(alive);
    return left;
}

int weir__crew_wait(struct told told, struct crew *crew, int64_t deadline)
{
    weir__eventcount_wake_all(&crew->host->queue->idle);
    return weir__wait_until(told, &crew->alive, all_left, crew, NULL, NULL, deadline);
}

struct worker *weir__own_worker(void)
{
    struct seat *seat = this_thread()->seat;
    return seat != NULL ? container_of(seat, struct worker, seat) : NULL;
}
