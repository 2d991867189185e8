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

#include <setjmp.h>

#include "base/assert.h"
#include "base/pace.h"
#include "base/unwind.h"
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

/* Runs jobs until there is none, or `size` (a constant NULL where it does not change) asks for
 * something else. `*woken`: this thread was woken, and has not passed that on. */
static inline void run_queued(struct host *host, struct seat *seat, struct size *size, bool *woken,
                              struct patience *ret)
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
        if (size != NULL)
            size_note_start(size); /* it may be a turn, or not start */
        weir__run(host, &job);
        if (unlikely(this_thread()->blocking != 0))
            weir__misuse("weir_blocking_begin", "its task has returned without weir_blocking_end.");
        if (++in_a_row % LEAD == 0)
            give_head_start(seat);
        if (size != NULL && size_asks(size))
            break;
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
        run_queued(host, &worker->seat, NULL, &woken, &patience);
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

/* The same where the size may change (size.h). */

/* Without a right: parks until it may have one and there is a job, or until it is one too many.
 * False: the pool is stopping. */
static bool rest(struct worker *worker, bool *woken, struct patience *ret)
{
    struct host *host = worker->crew->host;
    struct queue *queue = host->queue;
    const struct size *size = worker->crew->size;
    uint32_t key = eventcount_prepare(&queue->idle);
    uint64_t word = size_word(size);
    bool empty = weir__queue_empty(queue), stopping = queue_phase(queue) >= POOL_STOPPING;
    if (stopping || size_is_above(size, word) || (!empty && size_has_right(word))) {
        eventcount_cancel(&queue->idle);
        return !stopping || !empty;
    }
    *woken = park(host, key, ret);
    return true;
}

static void serve_in_turn(struct worker *worker)
{
    struct host *host = worker->crew->host;
    struct share *share = &worker->share;
    struct size *size = share->size;
    struct patience patience = {0, false};
    bool woken = false;
    for (;;) {
        if (size_is_above(size, size_word(size))) {
            weir__size_give(share);
            if (weir__size_leave(share))
                return;
        }
        woken |= share->state == SHARE_NONE; /* I3: it looks at the queue after its first job */
        if (weir__size_take(share) || queue_phase(host->queue) >= POOL_STOPPING)
            run_queued(host, &worker->seat, size, &woken, &patience);
        if (!size_asks(size) && spin(&patience))
            continue;
        weir__size_give(share);
        if (!rest(worker, &woken, &patience))
            return;
    }
}

/* A thread's life. */

/* Around each sleep in a task, where the size may change. */

static bool give_right(struct self *self)
{
    struct worker *worker = container_of(self->seat, struct worker, seat);
    return !host_stale(worker->crew->host) && weir__size_block(&worker->share);
}

static void take_right_again(struct self *self)
{
    weir__size_go_on(&container_of(self->seat, struct worker, seat)->share);
}

static const struct around_sleep around_sleep = {give_right, take_right_again};

static void become(struct worker *worker)
{
    struct self *self = this_thread();
    self->seat = &worker->seat;
    self->blocking = 0;
    self->around_sleep = worker->crew->size != NULL ? &around_sleep : NULL;
    note_begin(&worker->activity);
}

static void become_nobody(void)
{
    this_thread()->blocking = 0;
    note_leave();
    this_thread()->seat = NULL;
    this_thread()->around_sleep = NULL;
}

static int call_on_start(const struct worker *worker)
{
    const struct crew *crew = worker->crew;
    if (crew->on_start == NULL)
        return 0;
    struct user_call call ON_LEAVE(check_returned) = {"on_worker_start", false};
    int err = crew->on_start(worker->index, crew->host->user);
    call.returned = true;
    return err;
}

/* The thread is at its end, one way or the other. */
static void left(const struct worker *worker)
{
    const struct crew *crew = worker->crew;
    weir__lanes_idle(crew->host->queue); /* it does not come to these by parking */
    weir__quiet_idle(&crew->host->queue->quiet);
    if (crew->on_stop != NULL)
        crew->on_stop(worker->index, crew->host->user);
}

static void join_predecessor(struct worker *worker)
{
    if (worker->has_predecessor)
        (void)pthread_join(worker->predecessor, NULL);
    worker->has_predecessor = false;
}

struct service {
    struct worker *worker;
    jmp_buf *begin; /* where a thread that dies and cannot be replaced goes on */
    bool leaves, done;
};

void weir__crew_out(struct crew *crew)
{
    atomic(unsigned) *alive = &crew->alive;
    tsan_release(alive);
    sub_seqcst(alive, 1);  /* pairs with all_left */
    weir__wake_all(alive); /* only the address: the pool is freed after this thread is joined */
}

/* Also if its on_stop ended the thread. */
static void leave_pool(struct service *service)
{
    struct worker *worker = service->worker;
    struct crew *crew = worker->crew;
    service->done = true;
    join_predecessor(worker);
    if (crew->host->watchdog != NULL)
        weir__watchdog_park(crew->host->watchdog, worker->seat.watched);
    become_nobody();
    if (crew->size != NULL)
        weir__size_left(crew->size, worker->index);
    weir__crew_out(crew);
}

/* A thread that ends a second time would not come here again: the worker would be lost. */
static void left_dying(const struct worker *worker)
{
    struct user_call call ON_LEAVE(check_returned) = {"on_worker_stop", false};
    left(worker);
    call.returned = true;
}

static void replace_if_dying(struct service *service)
{
    struct worker *worker = service->worker;
    if (service->done || host_stale(worker->crew->host))
        return;
    if (service->leaves) {
        leave_pool(service);
        return;
    }
    left_dying(worker);
    join_predecessor(worker);
    worker->predecessor = pthread_self();
    worker->has_predecessor = worker->replaces = true;
    become_nobody(); /* what still runs on this thread is outside */
    if (worker->crew->size != NULL)
        weir__size_died(&worker->share);
    if (weir__worker_start(worker) == 0)
        return;
    become(worker);
    worker->has_predecessor = false;
    (void)call_on_start(worker);
    longjmp(*service->begin, 1);
}

static void serve_once(struct worker *worker, jmp_buf *begin)
{
    struct service service ON_LEAVE(replace_if_dying) = {worker, begin, false, false};
    if (worker->crew->size != NULL)
        serve_in_turn(worker);
    else
        serve(worker);
    weir__thread_ignore_cancel();
    service.leaves = true;
    left(worker);
    leave_pool(&service);
}

/* In a function of its own: no variable changes between setjmp and longjmp. */
static __attribute__((noinline)) void serve_for_life(struct worker *worker)
{
    jmp_buf begin;
    (void)setjmp(begin);
    serve_once(worker, &begin);
}

/* A worker that replaces none has begun, or has not: on_start returned `err`. */
static void tell_started(struct crew *crew, int err)
{
    int none = 0;
    if (err != 0)
        (void)cas_rlx(&crew->start_error, &none, err); /* published by the next step */
    tsan_release(&crew->started);
    add_seqcst(&crew->started, 1); /* pairs with all_started */
    weir__wake_all(&crew->started);
}

static void *worker_main(void *arg)
{
    struct worker *worker = arg;
    struct crew *crew = worker->crew;
    bool replaces = worker->replaces;
    worker->thread = pthread_self();
    become(worker);
    weir__thread_name(crew->name, worker->index);
    int err = call_on_start(worker);
    if (host_stale(crew->host))
        weir__misuse("fork", "an on_worker_start that forked must not return in the child.");
    bool begins = err == 0 || replaces;
    if (!begins)
        become_nobody();
    if (!replaces)
        tell_started(crew, err);
    if (begins)
        serve_for_life(worker);
    return NULL;
}

int weir__worker_start(struct worker *worker)
{
    pthread_t thread; /* it notes that itself: it may be gone before this one gets on */
    return weir__thread_start(&thread, worker_main, worker, worker->crew->stack_size);
}

struct worker *weir__own_worker(void)
{
    struct seat *seat = this_thread()->seat;
    return seat != NULL ? container_of(seat, struct worker, seat) : NULL;
}
