/* SPDX-License-Identifier: MIT */
/* worker.c - the threads.
 *
 * A worker pops and runs until the ring is empty, then parks on pool->work. One that was woken
 * wakes the next before it runs its task, if more is queued: so the wakes of a burst are made in
 * parallel, and w queued tasks that wait for each other all start on w idle workers. It leaves when
 * the pool is STOPPING and the ring is empty.
 *
 * With more workers than CPUs a wake tends to put the woken worker in the place of the one who
 * submits, and a stream of tasks would be a wake and a park for each. So when wakes follow each
 * other closely, a woken worker gives its core away before it parks again, and then looks once
 * more: those who submit get on meanwhile.
 *
 * Before it parks it pays what it owes: to a submitter that may sleep although there is room (it
 * naps, or the one that was woken first is held up), and to who waits for the pool to be quiet. The
 * latter reads this worker's counters after an atomic operation on work.sleepers, this worker
 * changes work.sleepers between its counters and its look at the waiters: one of the two sees the
 * other.
 *
 * A thread that dies in a task (pthread_exit, thread cancellation) is replaced as the stack is
 * unwound; its replacement joins it. If no thread can be made, the dying one goes on as a worker:
 * it jumps out of its cleanup back to where it began. (To serve within the cleanup would not do:
 * not all compilers let a second death unwind through a cleanup, and each one would take more
 * stack.)
 */
#include "pool/pool.h"

#include <setjmp.h>

#include "base/unwind.h"

/* Between two looks at an empty queue: each takes the line away from who is about to fill it. */
enum { POLL_PAUSES = 256 };

/* Right behind the submitters, every pop takes lines away that they are about to write, and neither
 * side gets on. So after each LEAD tasks in a row a worker looks whether as many are queued; if
 * not, it gives the submitters a start of two or three microseconds, unless its own tasks submit. A
 * SHORT queue would be full by then. */
enum { SHORT = LEAD_FROM };

/* Wakes that follow each other so soon (ns) cost more than the tasks they are for. */
enum { SHORT_GAP = 5000 };

bool weir__redeem(weir_pool *pool, uint32_t index, struct job *ret)
{
    struct slot *slot = &pool->slab.slots[index];
    slot_read(slot, ret);
    bool won = true;
    if (ret->owner != OWNER_NONE || unlikely(load_seqcst(&pool->state) != POOL_OPEN)) {
        uint64_t claim = load_acq(&slot->claim); /* A11: ours to give back, so of this task */
        won = !claim_taken(claim) && slot_claim(slot, claim);
        if (!won)
            weir__dropped(pool);
    }
    slab_give(&pool->slab, own_slots(pool), index + 1);
    return won;
}

static bool next(struct weir__worker *worker, struct job *ret)
{
    weir_pool *pool = worker->pool;
    uint64_t position;
    uint32_t index;
    while (ring_pop_from(&pool->ring, &worker->head, &position, &index)) {
        eventcount_notify(&pool->room, position);
        slab_prefetch(&pool->slab, &pool->ring, position + AHEAD);
        if (likely(weir__redeem(pool, index, ret)))
            return true;
    }
    return false;
}

static bool have_lead(const struct weir__worker *worker)
{
    const struct ring *ring = &worker->pool->ring;
    return ring->capacity < SHORT || ring_passed(ring, worker->head + LEAD, 0);
}

static bool more_queued(const weir_pool *pool)
{
    uint64_t position;
    uint32_t index;
    return ring_peek(&pool->ring, &position, &index);
}

/* What a worker does yet before it parks. */
struct patience {
    unsigned spins; /* only after a run of tasks: one that comes alone shall not be polled for */
    bool yields;
};

/* Waits for a moment. False: it has, and may park. */
static bool linger(struct patience *left)
{
    if (left->spins > 0) {
        left->spins--;
        cpu_relax(POLL_PAUSES);
    } else if (left->yields) {
        left->yields = false;
    } else {
        return false;
    }
    thread_yield_hint();
    return true;
}

/* Parks until there may be work. True: this thread was woken and owes a wake to the next. */
static bool park(struct weir__worker *worker, uint32_t key, struct patience *ret)
{
    weir_pool *pool = worker->pool;
    if (unlikely(weir__submitters_blocked(pool)))
        weir__eventcount_wake_another(&pool->room, load_rlx(&pool->ring.head));
    weir__wake_all(&pool->outside);
    bool woken = weir__eventcount_sleep(&pool->work, key, WEIR_FOREVER) == 0;
    ret->spins = 0;
    ret->yields = pool->spins == 0 && eventcount_wake_gap(&pool->work) < SHORT_GAP;
    return woken;
}

static void serve(struct weir__worker *worker)
{
    weir_pool *pool = worker->pool;
    struct job job;
    struct patience patience = {0, false};
    bool woken = false;
    for (;;) {
        unsigned in_a_row = 0;
        while (next(worker, &job)) {
            if (woken) {
                woken = false;
                if (more_queued(pool))
                    eventcount_notify(&pool->work, load_rlx(&pool->ring.tail));
            } else {
                patience.spins = pool->spins;
            }
            weir__run(pool, &job, 0);
            if (++in_a_row % LEAD == 0) {
                if (!worker->submits && !have_lead(worker))
                    cpu_relax(LEAD_PAUSES);
                worker->submits = false;
            }
        }
        if (in_a_row > 0 && unlikely(eventcount_has_nappers(&pool->room)))
            weir__eventcount_wake_another(&pool->room, load_rlx(&pool->ring.head));
        if (linger(&patience))
            continue;
        uint32_t key = eventcount_prepare(&pool->work);
        if (more_queued(pool)) {
            eventcount_cancel(&pool->work);
            continue;
        }
        if (load_seqcst(&pool->state) >= POOL_STOPPING) {
            eventcount_cancel(&pool->work);
            return;
        }
        woken = park(worker, key, &patience);
    }
}

static void *worker_main(void *arg);

/* The thread is at its end, one way or the other. */
static void left(struct weir__worker *worker)
{
    weir_pool *pool = worker->pool;
    if (pool->on_worker_stop != NULL)
        pool->on_worker_stop(worker->index, pool->user);
    if (worker->has_predecessor)
        (void)pthread_join(worker->predecessor, NULL);
    worker->has_predecessor = false;
}

struct service {
    struct weir__worker *worker;
    jmp_buf *begin; /* where a thread that dies and cannot be replaced goes on */
    bool done;
};

static void replace_if_dying(struct service *service)
{
    if (service->done || pool_stale(service->worker->pool))
        return;
    struct weir__worker *worker = service->worker;
    left(worker);
    worker->predecessor = pthread_self();
    worker->has_predecessor = true;
    this_thread()->worker = NULL; /* what still runs on this thread is outside */
    if (weir__worker_start(worker) == 0)
        return;
    this_thread()->worker = worker;
    worker->has_predecessor = false;
    if (worker->pool->on_worker_start != NULL)
        (void)worker->pool->on_worker_start(worker->index, worker->pool->user);
    longjmp(*service->begin, 1);
}

static void leave_pool(struct weir__worker *worker)
{
    weir_pool *pool = worker->pool;
    left(worker);
    this_thread()->worker = NULL;
    sub_seqcst(&pool->alive, 1);
    weir__wake_all(
        &pool->alive); /* only the address: the pool is freed after this thread is joined */
}

static void serve_once(struct weir__worker *worker, jmp_buf *begin)
{
    struct service service ON_LEAVE(replace_if_dying) = {worker, begin, false};
    serve(worker);
    leave_pool(worker);
    service.done = true;
}

/* In a function of its own: no variable changes between setjmp and longjmp. */
static __attribute__((noinline)) void serve_for_life(struct weir__worker *worker)
{
    jmp_buf begin;
    (void)setjmp(begin);
    serve_once(worker, &begin);
}

static void *worker_main(void *arg)
{
    struct weir__worker *worker = arg;
    weir_pool *pool = worker->pool;
    this_thread()->worker = worker;
    weir__thread_name(pool->name, worker->index);
    int err = 0;
    if (pool->on_worker_start != NULL)
        err = pool->on_worker_start(worker->index, pool->user);
    bool first_time = !worker->has_predecessor;
    if (first_time) {
        int none = 0;
        if (err != 0)
            (void)cas_seqcst(&pool->start_error, &none, err);
        add_seqcst(&pool->started, 1);
        weir__wake_all(&pool->started);
    }
    if (err == 0 || !first_time)
        serve_for_life(worker);
    return NULL;
}

int weir__worker_start(struct weir__worker *worker)
{
    pthread_t thread; /* undefined after a failure, and then worker->thread is still right */
    int err = weir__thread_start(&thread, worker_main, worker, worker->pool->stack_size);
    if (err == 0)
        worker->thread = thread;
    return err;
}
