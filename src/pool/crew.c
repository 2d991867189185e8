/* SPDX-License-Identifier: MIT */
/* crew.c - the workers of a pool: starting the first ones and those that are added, waiting for
 * them, joining them. */
#include <errno.h>

#include "os/alloc.h"
#include "pool/worker.h"

static bool all_started(void *arg)
{
    const struct crew *crew = arg;
    unsigned started = load_seqcst(&crew->started); /* pairs with tell_started */
    tsan_acquire(&crew->started);
    return started == crew->starts;
}

unsigned weir__crew_workers(const struct crew *crew)
{
    return crew->size != NULL ? size_count(size_word(crew->size), SIZE_ALIVE) : crew->count;
}

bool weir__crew_has(const struct crew *crew, unsigned index)
{
    return crew->size == NULL || size_has(crew->size, index);
}

bool weir__crew_manages(const struct crew *crew)
{
    return load_rlx(&crew->managing) == this_thread(); /* it is, only if this thread wrote it */
}

void weir__crew_join(struct crew *crew)
{
    if (crew->size != NULL)
        (void)pthread_join(crew->manager, NULL);
    for (unsigned i = 0; i < crew->count; i++)
        /* The manager changes them no more. */
        if (crew->size == NULL || load_rlx(&crew->size->seats[i]) != SEAT_EMPTY)
            (void)pthread_join(crew->workers[i].thread, NULL);
}

/* Shows their runs to the watchdog, which may look at all of them as soon as the first one runs. */
static void watch_workers(struct worker *workers, struct watchdog *watchdog)
{
    for (unsigned i = 0; i < watchdog->workers; i++)
        watchdog->watched[i].activity = &workers[i].activity;
}

static void init_workers(struct crew *crew)
{
    for (unsigned i = 0; i < crew->count; i++) {
        struct worker *worker = &crew->workers[i];
        worker->crew = crew;
        worker->index = i;
        worker->share.size = crew->size;
        weir__seat_init(&worker->seat, crew->host->queue, crew->host, i);
        worker->seat.times = &crew->host->times[i];
        if (crew->host->watchdog != NULL)
            worker->seat.watched = &crew->host->watchdog->watched[i];
    }
}

/* Blocks until each thread that was started has begun, and said which one it is. Returns what an
 * on_start of them has returned. */
static int wait_until_started(struct crew *crew)
{
    (void)weir__wait_until(TELL_NOTHING, &crew->started, all_started, crew, NULL, NULL,
                           WEIR_FOREVER);
    return load_rlx(&crew->start_error); /* each was set before its thread was counted */
}

void weir__crew_give_up(struct crew *crew)
{
    struct queue *queue = crew->host->queue;
    (void)wait_until_started(crew);
    weir__queue_set_phase(queue, POOL_STOPPING);
    weir__eventcount_wake_all(&queue->idle);
    for (unsigned i = 0; i < crew->starts; i++)
        (void)pthread_join(crew->workers[i].thread, NULL);
}

int weir__crew_start(struct crew *crew, unsigned first, unsigned count)
{
    int err = 0;
    crew->workers = weir__alloc(count, sizeof *crew->workers);
    if (crew->workers == NULL)
        return -ENOMEM;
    if (crew->host->watchdog != NULL)
        watch_workers(crew->workers, crew->host->watchdog);
    crew->count = count; /* constant before the first one may ask */
    store_rlx(&crew->alive, first + (crew->size != NULL ? 1 : 0)); /* no other thread yet */
    init_workers(crew);
    while (crew->starts < first && (err = weir__worker_start(&crew->workers[crew->starts])) == 0)
        crew->starts++;
    if (err == 0)
        err = wait_until_started(crew);
    if (err != 0)
        weir__crew_give_up(crew);
    return err;
}

int weir__crew_add(struct crew *crew, unsigned seat)
{
    struct worker *worker = &crew->workers[seat];
    worker->replaces = false;
    add_rlx(&crew->alive, 1); /* the manager is in it: it is not 0 meanwhile */
    store_rlx(&crew->size->seats[seat], SEAT_TAKEN); /* the manager's, until its thread leaves */
    int err = weir__worker_start(worker);
    if (err == 0) {
        crew->starts++;
        err = wait_until_started(crew);
        if (err != 0)
            (void)pthread_join(worker->thread, NULL);
    }
    if (err != 0) {
        store_rlx(&crew->start_error, 0); /* the manager's now */
        store_rlx(&crew->size->seats[seat], SEAT_EMPTY);
        sub_rlx(&crew->alive, 1); /* likewise */
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
    bool left = load_seqcst(alive) == 0; /* pairs with weir__crew_out */
    tsan_acquire(alive);
    return left;
}

int weir__crew_wait(struct told told, struct crew *crew, int64_t deadline)
{
    weir__eventcount_wake_all(&crew->host->queue->idle);
    if (crew->size != NULL)
        weir__eventcount_wake_all(&crew->size->called);
    return weir__wait_until(told, &crew->alive, all_left, crew, NULL, NULL, deadline);
}
