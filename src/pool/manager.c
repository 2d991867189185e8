/* SPDX-License-Identifier: MIT */
/* manager.c - the thread that lets a pool grow and shrink. What it acts on is in size.h.
 *
 * It looks each time that it is called, and by itself at the times that each part of a look says:
 *
 *   join    threads that have left
 *   obey    a resize: so many rights, and the workers above that leave
 *   fill    while there are fewer workers than there should be, one by one: each is there, or has
 *           refused, before the next is started
 *   trim    of workers above `wanted`, those leave that were not needed at any moment of a time of
 *           `idle_timeout`; likewise rights. So it does not matter which worker a push wakes
 *   watch   while all are busy and jobs are queued, the rule is asked, every LOOK_NS
 *
 * Between the looks it sleeps, without an end if there are no workers above `wanted` and none is
 * missing. If one cannot be started, the next try is later and later.
 */
#include <errno.h>

#include "base/assert.h"
#include "base/deadline.h"
#include "base/unwind.h"
#include "pool/worker.h"
#include "weir/clock.h"

enum { LOOK_NS = SIZE_LOOK_NS, PAUSE_MOST_NS = 1000 * LOOK_NS };

struct manager {
    struct crew *crew;
    struct size *size;
    uint32_t resizes;      /* that were obeyed */
    uint32_t joined;       /* threads */
    int64_t window;        /* the end of the time that trim goes by; WEIR_FOREVER: none runs */
    int64_t retry, pause;  /* no worker is started before, after a pause of */
    int64_t moved;         /* since when all are busy and none has taken a job */
    int64_t asked;         /* when the rule was, last */
    enum size_alert alert; /* what it is to be called for */
};

static void join_left(struct manager *manager)
{
    struct size *size = manager->size;
    uint32_t left = load_seqcst(&size->left); /* pairs with weir__size_left */
    for (unsigned i = 0; manager->joined != left && i < size->most; i++) {
        if (load_acq(&size->seats[i]) != SEAT_LEFT) /* pairs with weir__size_left */
            continue;
        (void)pthread_join(manager->crew->workers[i].thread, NULL);
        store_rlx(&size->seats[i], SEAT_EMPTY); /* the manager's */
        manager->joined++;
    }
}

static void obey(struct manager *manager)
{
    struct size *size = manager->size;
    uint32_t resizes = load_seqcst(&size->resizes); /* pairs with weir__size_resize */
    if (resizes == manager->resizes)
        return;
    manager->resizes = resizes;
    unsigned wanted = size_wanted(size);
    weir__size_set_rights(size, wanted);
    weir__size_limit(size, wanted);
}

/* Starting. */

static void begin_window(struct manager *manager)
{
    struct size *size = manager->size;
    store_rlx(&size->needed, 0); /* as in size_note_use, also the next one */
    store_rlx(&size->busiest, 0);
    size_note_use(size, size_word(size));
    int64_t least = LOOK_NS;
    manager->window = weir_after(size->idle_timeout > least ? size->idle_timeout : least);
}

/* A seat without a thread; or `most`: those that leave have not left, and will call. */
static unsigned empty_seat(const struct size *size)
{
    unsigned seat = 0;
    while (seat < size->most && load_rlx(&size->seats[seat]) != SEAT_EMPTY) /* the manager's */
        seat++;
    return seat;
}

static void put_off(struct manager *manager)
{
    int64_t pause = manager->pause != 0 ? 2 * manager->pause : LOOK_NS;
    manager->pause = pause < PAUSE_MOST_NS ? pause : PAUSE_MOST_NS;
    manager->retry = weir_after(manager->pause);
    add_rlx(&manager->size->not_grown, 1); /* a count by itself */
}

/* So many workers stay, whatever the last resize or trim said. */
static void let_stay(struct size *size, unsigned workers)
{
    if (workers > load_rlx(&size->ceiling))            /* the manager's */
        (void)xchg_seqcst(&size->ceiling, size->most); /* pairs with size_is_above */
}

/* False: there is none more, and it is not to be tried before `retry`, or a seat is empty. */
static bool start_one(struct manager *manager)
{
    struct size *size = manager->size;
    unsigned seat = empty_seat(size), alive = size_count(size_word(size), SIZE_ALIVE);
    if (seat == size->most || manager->retry > weir_now())
        return false;
    let_stay(size, alive + 1);
    if (!weir__size_step(size, STEP_ADD))
        return false;
    int err = weir__crew_add(manager->crew, seat);
    if (err != 0) {
        (void)weir__size_step(size, STEP_DROP);
        put_off(manager);
        return false;
    }
    manager->retry = manager->pause = 0;
    add_rlx(&size->grown, 1); /* a count by itself */
    begin_window(manager);    /* what was not needed until now may be */
    return true;
}

/* False: a worker is missing, and it is to be tried again at `retry`. */
static bool fill(struct manager *manager)
{
    while (weir__size_is_short(manager->size) && empty_seat(manager->size) != manager->size->most)
        if (!start_one(manager))
            return false;
    return true;
}

static unsigned larger(unsigned a, unsigned b)
{
    return a > b ? a : b;
}

/* A job that was queued before may rely on a right: as in I2, then they stay. */
static void take_back_rights(struct size *size, unsigned rights, unsigned less)
{
    weir__size_set_rights(size, less);
    if (weir__queue_empty(size->queue))
        return;
    weir__size_set_rights(size, rights);
    weir__size_offer(size);
}

/* Returns when to look again. */
static int64_t trim(struct manager *manager)
{
    struct size *size = manager->size;
    uint64_t word = size_word(size);
    unsigned alive = size_count(word, SIZE_ALIVE), rights = size_count(word, SIZE_RIGHTS);
    unsigned wanted = size_wanted(size);
    if (alive <= wanted && rights <= wanted) {
        manager->window = WEIR_FOREVER;
    } else if (manager->window == WEIR_FOREVER) {
        begin_window(manager);
    } else if (manager->window <= weir_now()) {
        size_note_use(size, word);
        unsigned needed = larger(wanted, load_rlx(&size->needed)); /* as in size_note_use */
        unsigned busiest = larger(wanted, load_rlx(&size->busiest));
        if (busiest < rights)
            take_back_rights(size, rights, busiest);
        needed = larger(needed, size_count(size_word(size), SIZE_RIGHTS));
        if (needed < alive && size_unblocked(word) > wanted) /* else none may leave */
            weir__size_limit(size, needed);
        begin_window(manager);
    }
    return manager->window;
}

static bool rule_wants_more(struct manager *manager, int64_t now)
{
    struct size *size = manager->size;
    uint64_t word = size_word(size);
    const weir_growth growth = {
        .size = sizeof growth,
        .workers = size_count(word, SIZE_ALIVE),
        .blocked = size_count(word, SIZE_BLOCKED),
        .workers_min = size_wanted(size),
        .workers_max = size->most,
        .queued = (size_t)weir__queue_count(size->queue),
        .full = weir__queue_has_full_lane(size->queue),
        .stalled_ns = now - manager->moved,
    };
    manager->asked = now;
    struct user_call call ON_LEAVE(check_returned) = {"growth_rule", false};
    bool more = growth.queued != 0 && size->rule(&growth, size->user) != 0;
    call.returned = true;
    if (host_stale(manager->crew->host))
        weir__misuse("fork", "a growth_rule that forked must not return in the child.");
    return more;
}

/* When the rule may be asked again: not while what it wants cannot be done. */
static int64_t next_question(const struct manager *manager)
{
    uint64_t word = size_word(manager->size);
    int64_t next = time_after(manager->asked, LOOK_NS);
    bool needs_worker = size_unblocked(word) <= size_count(word, SIZE_RIGHTS);
    return needs_worker && manager->retry > next ? manager->retry : next;
}

/* One more right, and a worker for it if there is none. */
static void grow(struct manager *manager)
{
    struct size *size = manager->size;
    uint64_t word = size_word(size);
    if (size_unblocked(word) <= size_count(word, SIZE_RIGHTS) && !start_one(manager))
        return;
    let_stay(size, size_count(word, SIZE_RIGHTS) + 1); /* also one that was about to leave */
    weir__size_set_rights(size, size_count(word, SIZE_RIGHTS) + 1);
    weir__size_offer(size);
}

/* Returns when to look again. */
static int64_t watch(struct manager *manager)
{
    struct size *size = manager->size;
    bool was_busy = manager->alert == ALERT_SHORT, is_busy = weir__size_is_busy(size);
    manager->alert = is_busy ? ALERT_SHORT : ALERT_BUSY;
    if (!is_busy)
        return WEIR_FOREVER;
    int64_t now = weir_now();
    if (!was_busy || load_rlx(&size->moved) != 0) { /* a hint: the next job sets it again */
        store_rlx(&size->moved, 0);
        manager->moved = now;
    }
    if (next_question(manager) <= now && rule_wants_more(manager, now))
        grow(manager);
    return next_question(manager);
}

static int64_t look(struct manager *manager)
{
    join_left(manager);
    obey(manager);
    bool filled = fill(manager);
    int64_t next = trim(manager);
    if (filled)
        return earlier(next, watch(manager));
    manager->alert = ALERT_NOTHING;
    return earlier(next, manager->retry);
}

/* Has it called for what it wants from now on. True: what it did not want before may have been
 * there already, so that it is to look once more. */
static bool publish(const struct manager *manager)
{
    /* pairs with may_wake */
    return xchg_seqcst(&manager->size->alert, manager->alert) < (uint32_t)manager->alert;
}

static void *manager_main(void *arg)
{
    struct crew *crew = arg;
    struct size *size = crew->size;
    struct manager manager = {.crew = crew, .size = size, .window = WEIR_FOREVER};
    store_rlx(&crew->managing, this_thread()); /* compared only, and only this thread would match */
    weir__thread_ignore_cancel();
    weir__thread_name_manager(crew->name);
    for (;;) {
        uint32_t key = eventcount_prepare(&size->called);
        if (queue_phase(size->queue) >= POOL_STOPPING)
            break;
        int64_t until = look(&manager);
        if (publish(&manager))
            eventcount_cancel(&size->called);
        else
            (void)weir__eventcount_sleep(&size->called, key, until);
    }
    eventcount_cancel(&size->called);
    weir__crew_out(crew);
    return NULL;
}

int weir__manager_start(struct crew *crew)
{
    return weir__thread_start(&crew->manager, manager_main, crew, 0);
}
