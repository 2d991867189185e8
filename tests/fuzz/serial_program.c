/* SPDX-License-Identifier: MIT */
/* serial_program.c - one thread calls everything that works on two serials of a pool with one
 * worker, or on three keys of which two may be in use at once, and submits plain tasks beside; a
 * model says what each call returns, in which order tasks start, and how they end.
 *
 * The model knows the pool at rest, as pool_model.h says: either the worker is free, or it holds at
 * a gate. Time passes only in calls that wait.
 */
#include <string.h>

#include "input.h"
#include "programs.h"
#include "scenario.h"
#include "steps.h"

enum { CALLS = 40, MAX_ITEMS = 40, SERIALS = 2, KEYS = 3, KEYS_AT_ONCE = 2, NONE = -1 };
enum { STATES = WEIR_TASK_DROPPED + 1 };

struct item {
    int serial; /* or NONE: a plain task */
    bool holds; /* the worker, until its gate is open */
    bool open;
    int64_t start_by;
    weir_state state, seen_end; /* as it must be, and as it was told */
    weir_task *task;
    weir_waitgroup gate;
};

struct serial_model {
    weir_serial *serial;   /* NULL: that of a key, which is its index */
    unsigned batch, limit; /* 0: none */
    bool closed;
    int items[MAX_ITEMS]; /* queued, in order */
    unsigned queued;
};

/* A place in the pool's queue. */
struct queue_place {
    enum { PLAIN, TURN, DEAD } kind;
    int of; /* item, serial */
};

static struct world {
    weir_pool *pool;
    unsigned capacity;
    weir_overflow overflow;
    bool helps, closed, cancelled;
    weir_keyed *keyed; /* or NULL */
    int lines;         /* how many serials, or keys */
    struct serial_model serials[KEYS];
    struct item items[MAX_ITEMS];
    int count;
    struct queue_place queue[MAX_ITEMS];
    unsigned queued;
    int busy;         /* the item that holds the worker, or NONE */
    unsigned in_turn; /* tasks that the turn of its serial has had */
    int started[MAX_ITEMS], seen_started[MAX_ITEMS];
    unsigned started_count, seen_started_count;
    unsigned ends[STATES], submitted, rejected;
} * world;

/* Tasks. */

static int run_item(weir_context *ctx, void *arg)
{
    struct item *item = arg;
    (void)ctx;
    world->seen_started[world->seen_started_count++] = (int)(item - world->items);
    if (item->holds && weir_pool_current() != NULL)
        check(weir_waitgroup_wait(&item->gate) == 0);
    if (item->serial == NONE)
        item->seen_end = WEIR_TASK_DONE;
    return 0;
}

static void told(void *arg, weir_state end, int status)
{
    struct item *item = arg;
    (void)status;
    check(item->seen_end == WEIR_TASK_IDLE);
    item->seen_end = end;
}

static void dropped(weir_task_fn *fn, void *arg, weir_state why, void *user)
{
    (void)fn;
    (void)user;
    told(arg, why, 0);
}

static struct item *new_item(int serial)
{
    unsigned byte = input_byte();
    struct item *item = &world->items[world->count++];
    item->serial = serial;
    item->holds = byte % 2 == 1;
    item->start_by = WEIR_FOREVER;
    if (serial != NONE && byte / 2 % 4 == 1)
        item->start_by = weir_after(input_duration());
    item->task = serial != NONE ? make(sizeof *item->task) : NULL;
    weir_waitgroup_add(&item->gate, 1);
    return item;
}

/* The model: ends and starts. */

static int index_of(const struct item *item)
{
    return (int)(item - world->items);
}

static void end_item(struct item *item, weir_state end)
{
    item->state = end;
    world->ends[end]++;
}

/* True: it holds the worker. */
static bool start_item(struct item *item, bool on_worker)
{
    if (item->start_by <= weir_now()) {
        end_item(item, WEIR_TASK_EXPIRED);
        return false;
    }
    world->started[world->started_count++] = index_of(item);
    if (on_worker && item->holds && !item->open) {
        item->state = WEIR_TASK_RUNNING;
        world->busy = index_of(item);
        return true;
    }
    end_item(item, WEIR_TASK_DONE);
    return false;
}

/* The queue of the pool. */

static void put_place(struct queue_place place)
{
    world->queue[world->queued++] = place;
}

static struct queue_place take_place(void)
{
    struct queue_place place = world->queue[0];
    memmove(world->queue, world->queue + 1, --world->queued * sizeof place);
    return place;
}

static bool runs(int serial)
{
    return world->busy != NONE && world->items[world->busy].serial == serial;
}

static unsigned turns(void)
{
    unsigned n = 0;
    for (int i = 0; i < world->lines; i++)
        n += runs(i);
    for (unsigned i = 0; i < world->queued; i++)
        n += world->queue[i].kind == TURN;
    return n;
}

static bool is_full(void)
{
    bool kept = world->busy != NONE && world->items[world->busy].serial != NONE;
    return world->queued + kept >= world->capacity;
}

static bool is_somewhere(int serial)
{
    for (unsigned i = 0; i < world->queued; i++)
        if (world->queue[i].kind == TURN && world->queue[i].of == serial)
            return true;
    return runs(serial);
}

/* The serials. */

static struct item *take_item(int serial, unsigned at)
{
    struct serial_model *model = &world->serials[serial];
    struct item *item = &world->items[model->items[at]];
    model->queued--;
    memmove(&model->items[at], &model->items[at + 1],
            (model->queued - at) * sizeof model->items[0]);
    return item;
}

/* Its ticket is a dead one if it has no task. */
static void settle_place(int serial)
{
    for (unsigned i = 0; i < world->queued && world->serials[serial].queued == 0; i++)
        if (world->queue[i].kind == TURN && world->queue[i].of == serial)
            world->queue[i].kind = DEAD;
}

static void go_on_with_turn(int serial)
{
    struct serial_model *model = &world->serials[serial];
    while (model->queued > 0 && (world->in_turn < model->batch || world->cancelled)) {
        struct item *item = take_item(serial, 0);
        world->in_turn++;
        if (world->cancelled)
            end_item(item, WEIR_TASK_CANCELLED);
        else if (start_item(item, true))
            return;
    }
    if (model->queued > 0)
        put_place((struct queue_place){TURN, serial});
}

static void let_worker_run(void)
{
    while (world->busy == NONE && world->queued > 0) {
        struct queue_place place = take_place();
        world->in_turn = 0;
        if (place.kind == PLAIN)
            (void)start_item(&world->items[place.of], true);
        else if (place.kind == TURN)
            go_on_with_turn(place.of);
    }
}

/* The caller runs tasks of the serial until `last` has ended, or all if that is NULL. */
static bool help(int serial, const struct item *last, int64_t deadline)
{
    if (!world->helps || deadline <= weir_now() || runs(serial))
        return false;
    while (world->serials[serial].queued > 0 && (last == NULL || last->state == WEIR_TASK_QUEUED))
        (void)start_item(take_item(serial, 0), false);
    settle_place(serial);
    return true;
}

/* Submitting. */

enum way { ACCEPTED, FULL, RUN_IN_PLACE, AGAIN };

/* Makes room as the pool's policy says. */
static enum way make_room(bool tries)
{
    if (!is_full())
        return ACCEPTED;
    if (world->queue[0].kind == DEAD && world->queued > 0) {
        while (world->queued > 0 && world->queue[0].kind == DEAD)
            (void)take_place();
        return AGAIN;
    }
    if (tries || world->overflow == WEIR_OVERFLOW_REJECT || world->overflow == WEIR_OVERFLOW_BLOCK)
        return FULL;
    if (world->overflow == WEIR_OVERFLOW_CALLER_RUNS)
        return RUN_IN_PLACE;
    for (unsigned i = 0; i < world->capacity && world->queued > 0; i++) {
        struct queue_place place = take_place();
        if (place.kind == PLAIN)
            end_item(&world->items[place.of], WEIR_TASK_DROPPED);
        if (place.kind != TURN)
            return AGAIN;
        put_place(place);
    }
    return turns() >= world->capacity ? FULL : AGAIN;
}

static int refuse(int err)
{
    world->rejected++;
    return err;
}

/* A submit that cannot go on: `waits`, and its time has passed, or not. */
static int refuse_full(bool waits)
{
    return refuse(waits ? -ETIMEDOUT : -EAGAIN);
}

static int expect_plain(struct item *item, bool tries)
{
    enum way way = AGAIN;
    if (world->closed)
        return refuse(-EPIPE);
    while (way == AGAIN)
        way = make_room(tries);
    if (way == FULL)
        return refuse_full(!tries && world->overflow == WEIR_OVERFLOW_BLOCK);
    world->submitted++;
    item->state = WEIR_TASK_QUEUED;
    if (way == RUN_IN_PLACE)
        (void)start_item(item, false);
    else
        put_place((struct queue_place){PLAIN, index_of(item)});
    return 0;
}

/* At its limit, does it have a place after all? */
static bool make_place(int serial, bool tries, int64_t deadline)
{
    struct serial_model *model = &world->serials[serial];
    const struct item *first = &world->items[model->items[0]];
    if (first->start_by <= weir_now()) {
        end_item(take_item(serial, 0), WEIR_TASK_EXPIRED);
        settle_place(serial);
        return true;
    }
    return !tries && help(serial, first, deadline);
}

static unsigned active_keys(void)
{
    unsigned n = 0;
    for (int i = 0; i < world->lines; i++)
        n += is_somewhere(i);
    return n;
}

/* To be asked before the call, which may let time pass. */
static int expect_submit(struct item *item, bool tries, int64_t deadline)
{
    int serial = item->serial;
    struct serial_model *model = &world->serials[serial];
    enum way way = AGAIN;
    deadline = item->start_by < deadline ? item->start_by : deadline;
    bool open = !world->closed && !model->closed;
    if (open && world->keyed != NULL && !is_somewhere(serial) && active_keys() == KEYS_AT_ONCE)
        return refuse_full(!tries);
    while (way == AGAIN) {
        if (world->closed || model->closed)
            return refuse(-EPIPE);
        if (model->limit != 0 && model->queued >= model->limit) {
            if (!make_place(serial, tries, deadline))
                return refuse_full(!tries);
        } else {
            way = is_somewhere(serial) ? ACCEPTED : make_room(tries);
        }
    }
    if (way == FULL)
        return refuse_full(!tries && world->overflow == WEIR_OVERFLOW_BLOCK);
    world->submitted++;
    item->state = WEIR_TASK_QUEUED;
    if (way == RUN_IN_PLACE) {
        (void)start_item(item, false);
        return 0;
    }
    if (!is_somewhere(serial))
        put_place((struct queue_place){TURN, serial});
    model->items[model->queued++] = index_of(item);
    return 0;
}

/* Steps. */

static int64_t any_deadline(void)
{
    return input_below(4) == 0 ? weir_now() - 1 : weir_after(input_duration());
}

static void submit_plain(void)
{
    struct item *item = new_item(NONE);
    bool tries = input_below(2) == 0;
    int64_t deadline = any_deadline();
    int expected = expect_plain(item, tries);
    int err = tries ? weir_pool_try_submit(world->pool, run_item, item)
                    : weir_pool_submit_until(world->pool, run_item, item, NULL, deadline);
    check(err == expected);
}

static int submit_to_own(struct item *item, const weir_task_options *options, bool tries,
                         int64_t deadline)
{
    weir_serial *serial = world->serials[item->serial].serial;
    return tries ? weir_serial_try_submit(serial, item->task, run_item, item, options)
                 : weir_serial_submit_until(serial, item->task, run_item, item, options, NULL,
                                            deadline);
}

static int submit_to_key(struct item *item, const weir_task_options *options, bool tries,
                         int64_t deadline)
{
    uint64_t key = (uint64_t)item->serial;
    return tries ? weir_keyed_try_submit(world->keyed, key, item->task, run_item, item, options)
                 : weir_keyed_submit_until(world->keyed, key, item->task, run_item, item, options,
                                           NULL, deadline);
}

static void submit_to_serial(void)
{
    struct item *item = new_item((int)input_below((unsigned)world->lines));
    bool tries = input_below(2) == 0;
    int64_t deadline = any_deadline();
    weir_task_options *options = WEIR_TASK_OPTIONS(.on_done = told);
    if (item->start_by != WEIR_FOREVER)
        options->start_by = item->start_by;
    int expected = expect_submit(item, tries, deadline);
    int err = world->keyed != NULL ? submit_to_key(item, options, tries, deadline)
                                   : submit_to_own(item, options, tries, deadline);
    check(err == expected);
}

static void open_gate(void)
{
    if (world->busy == NONE)
        return;
    struct item *item = &world->items[world->busy];
    world->busy = NONE;
    item->open = true;
    end_item(item, WEIR_TASK_DONE);
    if (item->serial != NONE)
        go_on_with_turn(item->serial);
    weir_waitgroup_done(&item->gate);
}

/* One that was submitted to a serial, or NULL. */
static struct item *any_item(void)
{
    unsigned i = input_below(MAX_ITEMS);
    struct item *item = &world->items[i];
    return i < (unsigned)world->count && item->serial != NONE ? item : NULL;
}

static void remove_item(struct item *item, weir_state end)
{
    const struct serial_model *model = &world->serials[item->serial];
    unsigned at = 0;
    while (model->items[at] != index_of(item))
        at++;
    end_item(take_item(item->serial, at), end);
    settle_place(item->serial);
}

static void cancel_item(void)
{
    struct item *item = any_item();
    if (item == NULL)
        return;
    weir_state state = item->state;
    int err = weir_task_cancel(item->task);
    check(err == (state == WEIR_TASK_IDLE     ? -EINVAL
                  : state == WEIR_TASK_QUEUED ? 0
                  : state >= WEIR_TASK_DONE   ? -EALREADY
                                              : -EINPROGRESS));
    if (state == WEIR_TASK_QUEUED)
        remove_item(item, WEIR_TASK_CANCELLED);
}

static void wait_for_item(void)
{
    struct item *item = any_item();
    int64_t deadline = any_deadline();
    int expected = -ETIMEDOUT;
    if (item == NULL)
        return;
    if (item->state == WEIR_TASK_IDLE) {
        expected = -EINVAL;
    } else if (item->state >= WEIR_TASK_DONE ||
               (item->state == WEIR_TASK_QUEUED && help(item->serial, item, deadline))) {
        expected = 0;
    } else if (item->state == WEIR_TASK_QUEUED && item->start_by < deadline) {
        remove_item(item, WEIR_TASK_EXPIRED);
        expected = 0;
    }
    check(weir_task_wait_until(item->task, NULL, deadline) == expected);
}

static void drain_serial(void)
{
    int serial = (int)input_below((unsigned)world->lines);
    int64_t deadline = any_deadline();
    if (world->keyed != NULL) {
        int err = weir_keyed_drain_until(world->keyed, NULL, deadline);
        check(err == (active_keys() == 0 ? 0 : -ETIMEDOUT));
        return;
    }
    bool drained = !is_somewhere(serial) || help(serial, NULL, deadline);
    int err = weir_serial_drain_until(world->serials[serial].serial, NULL, deadline);
    check(err == (drained ? 0 : -ETIMEDOUT));
}

static void drain_pool(void)
{
    bool drained = world->busy == NONE;
    int err = weir_pool_drain_until(world->pool, NULL, any_deadline());
    check(err == (drained ? 0 : -ETIMEDOUT));
}

static void sleep_a_while(void)
{
    check(weir_sleep_until(NULL, weir_after(input_duration())) == 0);
}

/* These would end most programs early: one time of eight. */
static void close_one(void)
{
    unsigned what = input_below(16);
    if (what < SERIALS && world->keyed != NULL) {
        weir_keyed_close(world->keyed);
        for (int i = 0; i < world->lines; i++)
            world->serials[i].closed = true;
    } else if (what < SERIALS) {
        weir_serial_close(world->serials[what].serial);
        world->serials[what].closed = true;
    } else if (what == SERIALS) {
        weir_pool_close(world->pool);
        world->closed = true;
    }
}

static void cancel_pool(void)
{
    if (input_below(8) != 0)
        return;
    weir_pool_cancel_queued(world->pool);
    world->closed = world->cancelled = true;
    while (world->queued > 0) {
        struct queue_place place = take_place();
        if (place.kind == PLAIN)
            end_item(&world->items[place.of], WEIR_TASK_CANCELLED);
        while (place.kind == TURN && world->serials[place.of].queued > 0)
            end_item(take_item(place.of, 0), WEIR_TASK_CANCELLED);
    }
}

/* Everything that can be seen. */

static void compare_serials(void)
{
    for (int i = 0; i < world->lines; i++) {
        const struct serial_model *model = &world->serials[i];
        if (world->keyed != NULL) {
            check(weir_keyed_queued(world->keyed, (uint64_t)i) == model->queued);
            continue;
        }
        check(weir_serial_queued(model->serial) == model->queued);
        check(weir_serial_try_drain(model->serial) == (is_somewhere(i) ? -EAGAIN : 0));
    }
    if (world->keyed != NULL) {
        check(weir_keyed_active(world->keyed) == active_keys());
        check(weir_keyed_try_drain(world->keyed) == (active_keys() > 0 ? -EAGAIN : 0));
    }
    calls += 4;
}

static void compare_counts(void)
{
    weir_pool_counts counts;
    size_t queued = 0;
    for (int i = 0; i < world->lines; i++)
        queued += world->serials[i].queued;
    for (unsigned i = 0; i < world->queued; i++)
        queued += world->queue[i].kind == PLAIN;
    weir_pool_read_counts(world->pool, &counts);
    check(counts.submitted == world->submitted && counts.rejected == world->rejected);
    check(counts.done == world->ends[WEIR_TASK_DONE] && counts.failed == 0);
    check(counts.cancelled == world->ends[WEIR_TASK_CANCELLED]);
    check(counts.expired == world->ends[WEIR_TASK_EXPIRED]);
    check(counts.dropped == world->ends[WEIR_TASK_DROPPED]);
    check(counts.queued == queued && counts.running == (world->busy != NONE ? 1 : 0));
    check(counts.peak_queued <= world->capacity);
    calls++;
}

static void compare(void)
{
    settle();
    let_worker_run();
    for (int i = 0; i < world->count; i++) {
        const struct item *item = &world->items[i];
        check(item->seen_end == (item->state >= WEIR_TASK_DONE ? item->state : WEIR_TASK_IDLE));
        check(item->task == NULL || weir_task_state(item->task) == item->state);
    }
    check(world->seen_started_count == world->started_count);
    for (unsigned i = 0; i < world->started_count; i++)
        check(world->seen_started[i] == world->started[i]);
    compare_serials();
    compare_counts();
}

/* Life. */

static void make_serials(void)
{
    for (int i = 0; i < SERIALS; i++) {
        struct serial_model *model = &world->serials[i];
        model->serial = make(sizeof *model->serial);
        model->batch = input_below(3) + 1;
        model->limit = input_below(4);
        check(weir_serial_init(model->serial, world->pool,
                               WEIR_SERIAL_OPTIONS(.batch = model->batch, .limit = model->limit)) ==
              0);
    }
}

static void make_keyed(void)
{
    unsigned batch = input_below(3) + 1, limit = input_below(4);
    check(weir_keyed_new(
              &world->keyed, world->pool,
              WEIR_KEYED_OPTIONS(.keys = KEYS_AT_ONCE, .batch = batch, .limit = limit)) == 0);
    for (int i = 0; i < KEYS; i++) {
        world->serials[i].batch = batch;
        world->serials[i].limit = limit;
    }
}

static void begin(void)
{
    world = make(sizeof *world);
    world->busy = NONE;
    world->capacity = input_below(3) + 1;
    world->overflow = (weir_overflow)input_below(4);
    unsigned more = input_below(4);
    bool keyed = more == 3;
    world->helps = more == 2;
    world->lines = keyed ? KEYS : SERIALS;
    world->pool = new_pool(
        WEIR_POOL_OPTIONS(.workers = 1, .capacity = world->capacity, .overflow = world->overflow,
                          .outside_waiters_help = world->helps, .on_drop = dropped, .user = world));
    if (keyed)
        make_keyed();
    else
        make_serials();
}

static void end(void)
{
    while (world->busy != NONE) {
        open_gate();
        compare();
    }
    check(weir_pool_shutdown(world->pool, WEIR_FOREVER, WEIR_FOREVER, NULL) == 0);
    compare();
    for (int i = 0; world->keyed == NULL && i < SERIALS; i++) {
        weir_serial_destroy(world->serials[i].serial);
        drop(world->serials[i].serial);
    }
    weir_keyed_free(world->keyed);
    weir_pool_free(world->pool);
    for (int i = 0; i < world->count; i++)
        if (world->items[i].task != NULL)
            drop(world->items[i].task);
    drop(world);
}

static const struct step steps[] = {
    STEP(submit_plain),     STEP(submit_to_serial), STEP(submit_to_serial), STEP(submit_to_serial),
    STEP(submit_to_serial), STEP(open_gate),        STEP(open_gate),        STEP(cancel_item),
    STEP(wait_for_item),    STEP(drain_serial),     STEP(drain_pool),       STEP(sleep_a_while),
    STEP(close_one),        STEP(cancel_pool),      STEP(submit_plain),     STEP(submit_to_serial),
};

static bool has_room(void)
{
    return world->count < MAX_ITEMS;
}

void serial_program(void)
{
    begin();
    explore_begin();
    trace("-- capacity %u, overflow %d, outside waiters help: %d, keyed: %d", world->capacity,
          (int)world->overflow, (int)world->helps, (int)(world->keyed != NULL));
    take_steps(steps, sizeof steps / sizeof steps[0], CALLS, has_room, compare);
    explore_end();
    end();
}
