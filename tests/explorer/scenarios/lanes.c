/* SPDX-License-Identifier: MIT */
/* lanes.c - several lanes: none is forgotten by a worker that parks, by one that makes room, or at
 * the end; and in which order two workers take from them. */
#include "scenario.h"

#include "base/sizes.h"
#include "pool/lanes.h"

enum { LANES = 2, EACH = 2 };

struct work {
    weir_pool *pool;
    unsigned runs[LANES][EACH], accepted[LANES], refused;
    weir_waitgroup first, second;
    weir_task *task;
};

static struct work *new_work(const weir_pool_options *options)
{
    struct work *work = make(sizeof *work);
    work->pool = new_pool(options);
    return work;
}

static void check_all_ran(const struct work *work)
{
    for (unsigned k = 0; k < LANES; k++)
        for (unsigned i = 0; i < EACH; i++)
            check(work->runs[k][i] == 1);
}

static void submit_each(struct work *work, unsigned lane)
{
    for (unsigned i = 0; i < EACH; i++) {
        int err = weir_pool_submit_lane(work->pool, lane, count_run, &work->runs[lane][i]);
        check(err == 0);
    }
}

static void submit_urgent(void *arg)
{
    submit_each(arg, 0);
}

/* Parking. */

static void submit_and_park(unsigned capacity)
{
    struct work *work =
        new_work(WEIR_POOL_OPTIONS(.workers = 1, .lanes = LANES, .capacity = capacity));
    explore_begin();
    struct vthread *other = start(submit_urgent, work);
    submit_each(work, 1);
    finish(other);
    settle();
    explore_end();
    check_all_ran(work);
    end_pool(work->pool);
    drop(work);
}

static void submits_against_park(void)
{
    submit_and_park(2);
}

static void blocked_submits_against_park(void)
{
    submit_and_park(1);
}

/* Room. */

static int pass(weir_context *ctx, void *arg)
{
    (void)ctx;
    return weir_waitgroup_wait(arg);
}

/* The worker is held once more, by a task that waits until this submit has got on. */
static void submit_where_room_comes(void *arg)
{
    struct work *work = arg;
    int err = weir_pool_submit_lane(work->pool, 0, count_run, &work->runs[0][0]);
    check(err == 0);
    weir_waitgroup_done(&work->second);
}

static void submit_where_none_comes(void *arg)
{
    struct work *work = arg;
    int err = weir_pool_submit_lane(work->pool, 1, count_run, &work->runs[1][0]);
    check(err == 0);
}

static void room_in_one_lane(void)
{
    struct work *work = new_work(WEIR_POOL_OPTIONS(.workers = 1, .lanes = LANES, .capacity = 1));
    weir_waitgroup_add(&work->first, 1);
    weir_waitgroup_add(&work->second, 1);
    int err = weir_pool_submit(work->pool, pass, &work->first);
    check(err == 0);
    settle();
    err = weir_pool_submit_lane(work->pool, 0, pass, &work->second);
    check(err == 0);
    err = weir_pool_submit_lane(work->pool, 1, count_run, &work->runs[1][1]);
    check(err == 0);
    explore_begin();
    struct vthread *low = start(submit_where_none_comes, work);
    struct vthread *urgent = start(submit_where_room_comes, work);
    weir_waitgroup_done(&work->first);
    finish(urgent);
    finish(low);
    explore_end();
    end_pool(work->pool);
    check(work->runs[0][0] == 1 && work->runs[1][0] == 1 && work->runs[1][1] == 1);
    drop(work);
}

/* A task is cancelled in its lane, where a submitter waits for room. */
static void cancel_task(void *arg)
{
    struct work *work = arg;
    int err = weir_task_cancel(work->task);
    check(err == 0);
}

static void cancel_beside_a_submitter(void)
{
    struct work *work = new_work(WEIR_POOL_OPTIONS(.workers = 1, .lanes = LANES, .capacity = 1));
    work->task = make(sizeof *work->task);
    weir_waitgroup_add(&work->first, 1);
    int err = weir_pool_submit(work->pool, pass, &work->first);
    check(err == 0);
    settle();
    err = weir_pool_submit_task(work->pool, work->task, count_run, &work->runs[1][1],
                                WEIR_TASK_OPTIONS(.lane = WEIR_LANE(0)));
    check(err == 0);
    explore_begin();
    struct vthread *canceller = start(cancel_task, work);
    err = weir_pool_submit_lane(work->pool, 0, count_run, &work->runs[0][0]);
    check(err == 0);
    finish(canceller);
    explore_end();
    weir_waitgroup_done(&work->first);
    end_pool(work->pool);
    check(work->runs[0][0] == 1 && work->runs[1][1] == 0);
    drop(work->task);
    drop(work);
}

/* The end. */

static void note_drop(weir_task_fn *fn, void *arg, weir_state why, void *user)
{
    (void)fn;
    (void)user;
    check(why == WEIR_TASK_CANCELLED);
    ++*(unsigned *)arg;
}

static void submit_or_be_refused(void *arg)
{
    struct work *work = arg;
    for (unsigned i = 0; i < EACH; i++)
        for (unsigned k = 0; k < LANES; k++) {
            int err = weir_pool_submit_lane(work->pool, k, count_run, &work->runs[k][i]);
            check(err == 0 || err == -EPIPE);
            work->accepted[k] += err == 0;
        }
}

/* Run or dropped: each that was accepted has one end. */
static void shut_down_under_submits(int64_t soft_deadline)
{
    struct work *work = new_work(
        WEIR_POOL_OPTIONS(.workers = 1, .lanes = LANES, .capacity = 1, .on_drop = note_drop));
    explore_begin();
    struct vthread *submitter = start(submit_or_be_refused, work);
    int err = weir_pool_shutdown(work->pool, soft_deadline, WEIR_FOREVER, NULL);
    check(err == 0);
    finish(submitter);
    explore_end();
    for (unsigned k = 0; k < LANES; k++)
        check(work->runs[k][0] + work->runs[k][1] == work->accepted[k]);
    check_counts(work->pool);
    weir_pool_free(work->pool);
    drop(work);
}

static void soft_shutdown_against_submits(void)
{
    shut_down_under_submits(WEIR_FOREVER);
}

static void hard_shutdown_against_submits(void)
{
    shut_down_under_submits(0);
}

/* What does not start. */

struct turns {
    struct work *work;
    weir_context *ctx;
    unsigned urgent; /* starts since one of the other lane, while that has a task */
    bool last;       /* its last one has started */
};

static int urgent_starts(weir_context *ctx, void *arg)
{
    struct turns *turns = arg;
    (void)ctx;
    check(turns->last || ++turns->urgent <= 1);
    return 0;
}

static int low_starts(weir_context *ctx, void *arg)
{
    (void)ctx;
    ((struct turns *)arg)->urgent = 0;
    return 0;
}

static int last_starts(weir_context *ctx, void *arg)
{
    (void)ctx;
    ((struct turns *)arg)->last = true;
    return 0;
}

static void cancel_context(void *arg)
{
    weir_context_cancel(((struct turns *)arg)->ctx, 0);
}

/* With a burst of one, the first task of the lane is cancelled as it comes out. */
static void cancel_against_an_owed_start(void)
{
    struct turns *turns = make(sizeof *turns);
    struct work *work =
        new_work(WEIR_POOL_OPTIONS(.workers = 1, .lanes = LANES, .capacity = 4, .lane_burst = 1));
    int err = weir_context_new(&turns->ctx, NULL, WEIR_FOREVER);
    check(err == 0);
    weir_waitgroup_add(&work->first, 1);
    err = weir_pool_submit(work->pool, pass, &work->first);
    check(err == 0);
    settle();
    err = weir_pool_submit_until(work->pool, low_starts, turns, turns->ctx, WEIR_FOREVER);
    check(err == 0);
    err = weir_pool_submit(work->pool, last_starts, turns);
    check(err == 0);
    for (unsigned i = 0; i < 3; i++) {
        err = weir_pool_submit_lane(work->pool, 0, urgent_starts, turns);
        check(err == 0);
    }
    explore_begin();
    struct vthread *canceller = start(cancel_context, turns);
    weir_waitgroup_done(&work->first);
    finish(canceller);
    settle();
    explore_end();
    end_pool(work->pool);
    check(turns->last);
    weir_context_unref(turns->ctx);
    drop(work);
    drop(turns);
}

/* Becoming due, and room that comes late. */

static void submit_plainly(void *arg)
{
    struct work *work = arg;
    int err = weir_pool_submit(work->pool, count_run, &work->runs[1][0]);
    check(err == 0);
}

enum { SOON = 2000 };

/* `first` holds the only worker until the urgent task is in its lane; the other one, due before it,
 * has no room in its own. The thread of the clock sleeps for that, or is about to. */
static void due_beside_a_full_lane(void)
{
    struct work *work =
        new_work(WEIR_POOL_OPTIONS(.workers = 1, .lanes = LANES, .capacity = 1, .timers = 2));
    work->task = make(sizeof *work->task);
    weir_task *low = make(sizeof *low);
    weir_waitgroup_add(&work->first, 1);
    int err = weir_pool_submit(work->pool, pass, &work->first);
    check(err == 0);
    settle();
    err = weir_pool_submit(work->pool, count_run, &work->runs[1][0]);
    check(err == 0);
    err = weir_pool_submit_task_at(work->pool, low, count_run, &work->runs[1][1], NULL, 0);
    check(err == 0);
    explore_begin();
    err = weir_pool_submit_task_at(work->pool, work->task, count_run, &work->runs[0][0],
                                   WEIR_TASK_OPTIONS(.lane = WEIR_LANE(0)), 0);
    check(err == 0);
    settle();
    weir_lane_stats stats = {.size = sizeof stats};
    err = weir_pool_read_lane_stats(work->pool, 0, &stats);
    check(err == 0 && stats.queued == 1);
    weir_waitgroup_done(&work->first);
    err = weir_task_wait(low);
    check(err == 0);
    explore_end();
    end_pool(work->pool);
    check(work->runs[0][0] == 1 && work->runs[1][0] == 1 && work->runs[1][1] == 1);
    drop(work->task);
    drop(low);
    drop(work);
}

/* A task is due for a lane that is full, and finds room while the worker sits in the one that it
 * has taken from there. */
static void due_as_a_place_becomes_free(unsigned lanes)
{
    struct work *work =
        new_work(WEIR_POOL_OPTIONS(.workers = 1, .lanes = lanes, .capacity = 1, .timers = 1));
    work->task = make(sizeof *work->task);
    weir_waitgroup_add(&work->first, 1);
    weir_waitgroup_add(&work->second, 1);
    int err = weir_pool_submit(work->pool, pass, &work->first);
    check(err == 0);
    settle();
    err = weir_pool_submit(work->pool, pass, &work->second);
    check(err == 0);
    err = weir_pool_submit_task_at(work->pool, work->task, count_run, &work->runs[1][0], NULL, 0);
    check(err == 0);
    explore_begin();
    weir_waitgroup_done(&work->first);
    settle();
    weir_lane_stats stats = {.size = sizeof stats};
    err = weir_pool_read_lane_stats(work->pool, lanes - 1, &stats);
    check(err == 0 && stats.queued == 1);
    weir_waitgroup_done(&work->second);
    err = weir_task_wait(work->task);
    check(err == 0);
    explore_end();
    end_pool(work->pool);
    check(work->runs[1][0] == 1);
    drop(work->task);
    drop(work);
}

static void due_in_one_of_two(void)
{
    due_as_a_place_becomes_free(LANES);
}

static void due_in_the_only_one(void)
{
    due_as_a_place_becomes_free(1);
}

/* Both lanes are full, a task is due for each, and the worker makes room. */
static void due_into_two_full_lanes(void)
{
    struct work *work =
        new_work(WEIR_POOL_OPTIONS(.workers = 1, .lanes = LANES, .capacity = 1, .timers = 2));
    weir_task *tasks = make(LANES * sizeof *tasks);
    explore_begin();
    for (unsigned k = 0; k < LANES; k++) {
        int err = weir_pool_submit_lane(work->pool, k, count_run, &work->runs[k][0]);
        check(err == 0);
        err = weir_pool_submit_task_at(work->pool, &tasks[k], count_run, &work->runs[k][1],
                                       WEIR_TASK_OPTIONS(.lane = WEIR_LANE(k)), 0);
        check(err == 0);
    }
    for (unsigned k = 0; k < LANES; k++) {
        int err = weir_task_wait(&tasks[k]);
        check(err == 0);
    }
    explore_end();
    end_pool(work->pool);
    check_all_ran(work);
    drop(tasks);
    drop(work);
}

/* The only place is kept for a serial that runs: a task that is due, or a submitter, waits for it
 * beside a worker that has nothing to do. All are to sleep. */
static void wait_beside_an_idle_worker(unsigned lanes, bool due)
{
    struct work *work =
        new_work(WEIR_POOL_OPTIONS(.workers = 2, .lanes = lanes, .capacity = 1, .timers = 1));
    work->task = make(sizeof *work->task);
    weir_serial *serial = make(sizeof *serial);
    weir_task *runs = make(sizeof *runs);
    struct vthread *submitter = NULL;
    weir_waitgroup_add(&work->first, 1);
    int err = weir_serial_init(serial, work->pool, NULL);
    check(err == 0);
    err = weir_serial_submit(serial, runs, pass, &work->first, NULL);
    check(err == 0);
    settle();
    explore_begin();
    if (due) {
        err =
            weir_pool_submit_task_at(work->pool, work->task, count_run, &work->runs[1][0], NULL, 0);
        check(err == 0);
    } else {
        submitter = start(submit_plainly, work);
    }
    settle();
    weir_waitgroup_done(&work->first);
    if (due) {
        err = weir_task_wait(work->task);
        check(err == 0);
    } else {
        finish(submitter);
    }
    settle();
    explore_end();
    err = weir_serial_drain(serial);
    check(err == 0);
    weir_serial_destroy(serial);
    end_pool(work->pool);
    check(work->runs[1][0] == 1);
    drop(runs);
    drop(serial);
    drop(work->task);
    drop(work);
}

static void due_beside_an_idle_worker(void)
{
    wait_beside_an_idle_worker(LANES, true);
}

static void submit_beside_an_idle_worker(void)
{
    wait_beside_an_idle_worker(1, false);
}

/* The queue by itself: in which order workers take. */

enum { WORKERS = 2, MANY = 16, LOWS = 8, URGENTS = 16, TAKES = 5 };

struct bench {
    struct queue queue;
    struct seat seats[MANY];
    unsigned between[WORKERS][LOWS + 1]; /* urgent starts before each low one, as far as is sure */
    struct ticket urgent;
    atomic(unsigned) pushed; /* the urgent one */
    unsigned overtakes[WORKERS];
    enum { ALL_START, NO_URGENT_STARTS, NO_LOW_STARTS } starts;
};

static int nothing(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return 0;
}

static struct bench *new_bench(unsigned workers, unsigned burst)
{
    struct bench *bench = make(sizeof *bench);
    struct queue_shape shape = {.workers = workers,
                                .lanes = LANES,
                                .default_lane = 1,
                                .burst = burst,
                                .capacity = {URGENTS, LOWS}};
    int err = weir__queue_init(&bench->queue, &shape);
    check(err == 0);
    for (unsigned i = 0; i < workers; i++)
        weir__seat_init(&bench->seats[i], &bench->queue, NULL, i);
    return bench;
}

static void end_bench(struct bench *bench)
{
    weir__queue_destroy(&bench->queue, false);
    drop(bench);
}

/* Numbers from 1 on; those of urgent ones are negative. */
static struct ticket put(struct bench *bench, int number)
{
    struct job job = {.fn = nothing,
                      .arg = (void *)(intptr_t)number,
                      .start_by = WEIR_FOREVER,
                      .lane = number < 0 ? 1U : 0};
    struct ticket ticket;
    int err =
        queue_put(&bench->queue, bench->queue.lanes[job.lane], NULL, &job, ring_back_off, &ticket);
    check(err == 0);
    return ticket;
}

static int take(struct bench *bench, unsigned worker)
{
    struct seat *seat = &bench->seats[worker];
    struct job job;
    if (!weir__lanes_next(seat, &job))
        return 0;
    int number = (int)(intptr_t)job.arg;
    if (bench->starts != (number < 0 ? NO_URGENT_STARTS : NO_LOW_STARTS))
        lanes_count_start(seat, &job);
    return number;
}

static uint64_t lows_taken(const struct bench *bench)
{
    const struct lane *low = queue_lane(&bench->queue, 1);
    return ring_end(&low->ring, 1) - low->first;
}

/* The first bound. The lanes are never empty meanwhile. An urgent start counts if it is sure which
 * low ones it came between. */
static void take_some(struct bench *bench, unsigned worker)
{
    uint64_t before = lows_taken(bench);
    for (unsigned i = 0; i < TAKES; i++) {
        int number = take(bench, worker);
        uint64_t after = lows_taken(bench);
        check(number != 0);
        if (number < 0 && after == before)
            bench->between[worker][after]++;
        before = after;
    }
}

static void take_first(void *arg)
{
    take_some(arg, 0);
}

static void take_second(void *arg)
{
    take_some(arg, 1);
}

static struct bench *new_full_bench(unsigned burst)
{
    struct bench *bench = new_bench(WORKERS, burst);
    for (int i = 1; i <= LOWS; i++)
        (void)put(bench, i);
    for (int i = 1; i <= URGENTS; i++)
        (void)put(bench, -i);
    return bench;
}

static void urgent_against_burst(unsigned burst, bool urgent_ones_start)
{
    struct bench *bench = new_full_bench(burst);
    bench->starts = urgent_ones_start ? ALL_START : NO_URGENT_STARTS;
    explore_begin();
    struct vthread *other = start(take_second, bench);
    take_first(bench);
    finish(other);
    explore_end();
    for (unsigned i = 0; i <= LOWS; i++)
        check(bench->between[0][i] + bench->between[1][i] <= (burst > WORKERS ? burst : WORKERS));
    end_bench(bench);
}

static void urgent_against_a_burst_of_one(void)
{
    urgent_against_burst(1, true); /* fewer than workers: it is one for each */
}

static void urgent_against_a_burst_of_four(void)
{
    urgent_against_burst(4, true); /* one for each, and two in the meter */
}

static void urgent_that_do_not_start_against_a_burst(void)
{
    urgent_against_burst(4, false);
}

/* Jobs that are owed and do not start come in rows. */
static void take_in_vain(struct bench *bench, unsigned worker)
{
    unsigned row = 0;
    for (unsigned i = 0; i < TAKES; i++) {
        int number = take(bench, worker);
        check(number != 0);
        row = number > 0 ? row + 1 : 0;
        check(row <= LANE_VAIN);
    }
}

static void take_second_in_vain(void *arg)
{
    take_in_vain(arg, 1);
}

static void urgent_against_those_that_do_not_start(void)
{
    struct bench *bench = new_full_bench(1);
    bench->starts = NO_LOW_STARTS;
    explore_begin();
    struct vthread *other = start(take_second_in_vain, bench);
    take_in_vain(bench, 0);
    finish(other);
    explore_end();
    end_bench(bench);
}

/* Workers that take in turn, the one after the other: a lane gets one start for all of them. */
static void many_workers_owe_one_start(void)
{
    enum { BURST = 64, SPANS = 3 };
    struct bench *bench = new_bench(MANY, BURST);
    unsigned urgent = 0, spans = 0;
    explore_begin();
    (void)put(bench, 1);
    (void)put(bench, -1);
    for (unsigned worker = 0; spans < SPANS; worker = (worker + 1) % MANY) {
        int number = take(bench, worker);
        (void)put(bench, number);
        if (number < 0) {
            urgent++;
            continue;
        }
        /* At first no worker has any; then each but the one that gave the start still has one. */
        check(urgent == (spans == 0 ? BURST : BURST - MANY + 1));
        urgent = 0;
        spans++;
    }
    explore_end();
    end_bench(bench);
}

/* The second bound: what was put after the urgent one, and is taken while that is still there. */
static void take_until_empty(struct bench *bench, unsigned worker)
{
    for (;;) {
        int number = take(bench, worker);
        if (number == 0)
            return;
        bool later = number > 2 && load_seqcst(&bench->pushed) != 0;
        const struct ring *ring = &queue_lane(&bench->queue, 0)->ring;
        if (later && ring_holds(ring, bench->urgent.position))
            bench->overtakes[worker]++;
    }
}

static void take_all_first(void *arg)
{
    take_until_empty(arg, 0);
}

static void take_all_second(void *arg)
{
    take_until_empty(arg, 1);
}

static void overtaken_once_by_each(void)
{
    struct bench *bench = new_bench(WORKERS, 64);
    (void)put(bench, 1);
    (void)put(bench, 2);
    explore_begin();
    struct vthread *first = start(take_all_first, bench), *second = start(take_all_second, bench);
    bench->urgent = put(bench, -1);
    (void)xchg_seqcst(&bench->pushed, 1);
    for (int i = 3; i <= 6; i++)
        (void)put(bench, i);
    finish(first);
    finish(second);
    explore_end();
    check(bench->overtakes[0] <= 1 && bench->overtakes[1] <= 1);
    end_bench(bench);
}

const struct scenario lanes_scenarios[] = {
    {"lanes: submits against park", submits_against_park, false},
    {"lanes: blocked submits against park", blocked_submits_against_park, false},
    {"lanes: room in one lane", room_in_one_lane, false},
    {"lanes: a cancel beside a submitter", cancel_beside_a_submitter, false},
    {"lanes: soft shutdown against submits", soft_shutdown_against_submits, false},
    {"lanes: hard shutdown against submits", hard_shutdown_against_submits, false},
    {"lanes: a cancel against an owed start", cancel_against_an_owed_start, false},
    {"lanes: due beside a full lane", due_beside_a_full_lane, false},
    {"lanes: due as a place becomes free", due_in_one_of_two, false},
    {"lanes: due as a place of one becomes free", due_in_the_only_one, false},
    {"lanes: due into two full lanes", due_into_two_full_lanes, false},
    {"lanes: due beside an idle worker", due_beside_an_idle_worker, false},
    {"lanes: a submit beside an idle worker", submit_beside_an_idle_worker, false},
    {"lanes: urgent against a burst of one", urgent_against_a_burst_of_one, false},
    {"lanes: urgent against a burst of four", urgent_against_a_burst_of_four, false},
    {"lanes: urgent that do not start", urgent_that_do_not_start_against_a_burst, false},
    {"lanes: low that do not start", urgent_against_those_that_do_not_start, false},
    {"lanes: many workers owe one start", many_workers_owe_one_start, false},
    {"lanes: overtaken once by each", overtaken_once_by_each, false},
    {0},
};
