/* SPDX-License-Identifier: MIT */
/* gate_program.c - one thread submits tasks behind a gate and beside it, to a pool of one worker,
 * holds permits itself, cancels, and lets time pass; a model says when each task is let in, in
 * which order they start, how they end, and what the semaphore, the limiter and the breaker must
 * have then: exactly.
 *
 * The model knows the pool at rest: either the worker is free, or a task holds it. Time passes only
 * in calls that wait. Where one look of the calling thread or of the clock's lets in several tasks,
 * the worker may run the first before the second is let in. So that this never shows, a task fails
 * only if it holds the worker, the breaker lends one probe, and where the queue is short the gate
 * lets in one at a time. The breaker of the model is one as well, asked and told at the same times.
 */
#include <string.h>

#include "flow/breaker.h"
#include "input.h"
#include "programs.h"
#include "scenario.h"
#include "steps.h"

enum { CALLS = 40, MAX_ITEMS = 40, PLACES = 5, LONG_QUEUE = 2 * MAX_ITEMS, NONE = -1 };
enum { STATES = WEIR_TASK_DROPPED + 1 };
/* One in 1000 s. */
#define TOKEN INT64_C(1000000000000)
#define RATE 1e-3

enum where { ELSEWHERE, BEFORE, AT_GATE, DUE, QUEUED };

struct item {
    bool gated, holds, open;
    int code; /* what it returns */
    int64_t start_at, start_by;
    weir_state state, seen_end; /* as it must be, and as it was told */
    int status, seen_status;
    enum where where;
    bool in_line, passed;
    uint64_t ticket;
    int reserved; /* the tokens that it was let in with, or NONE */
    weir_task *task;
    weir_waitgroup gate;
    weir_context *ctx; /* or NULL */
    bool over;         /* it is */
};

/* Tokens that were taken: a stretch of the limiter's time. */
struct stretch {
    int64_t begin, end;
    bool undone;
};

static struct world {
    weir_pool *pool;
    unsigned capacity;
    bool closed;
    weir_semaphore *semaphore; /* or NULL, as the next two */
    weir_limiter *limiter;
    weir_breaker *breaker, *expected; /* the model's */
    weir_gate *gate;
    unsigned permits, permits_each, available, held;
    unsigned burst, tokens_each;
    bool flows; /* tokens do; else there is the burst, and nothing after it */

    struct item items[MAX_ITEMS];
    int count, places;
    int line[MAX_ITEMS], due[MAX_ITEMS], queue[MAX_ITEMS]; /* the last one with dead tickets */
    int in_line, in_due, in_queue;
    bool asked, permitted, paid;
    int64_t ring_at; /* of the first in the line */
    int reserved;    /* while it is paid */
    int64_t empty;   /* when the bucket is */
    struct stretch stretches[CALLS * MAX_ITEMS];
    int taken; /* of them */
    int busy;  /* the item that holds the worker, or NONE */
    int started[MAX_ITEMS], seen_started[MAX_ITEMS];
    int started_count, seen_started_count;
    unsigned ends[STATES], submitted, rejected;
} * world;

/* Tasks. */

static int run_item(weir_context *ctx, void *arg)
{
    struct item *item = arg;
    (void)ctx;
    world->seen_started[world->seen_started_count++] = (int)(item - world->items);
    if (item->holds)
        check(weir_waitgroup_wait(&item->gate) == 0);
    return item->code;
}

static void told(void *arg, weir_state end, int status)
{
    struct item *item = arg;
    check(item->seen_end == WEIR_TASK_IDLE);
    item->seen_end = end;
    item->seen_status = status;
}

static struct item *new_item(void)
{
    unsigned byte = input_byte();
    struct item *item = &world->items[world->count++];
    item->holds = byte % 3 == 0;
    item->code = item->holds ? -(int)(byte / 3 % 3) : 0;
    item->start_by = WEIR_FOREVER;
    item->reserved = NONE;
    item->task = make(sizeof *item->task);
    weir_waitgroup_add(&item->gate, 1);
    return item;
}

static int index_of(const struct item *item)
{
    return (int)(item - world->items);
}

/* Lists of the model. */

static void put_last(int list[], int *count, int index)
{
    list[(*count)++] = index;
}

static int take_at(int list[], int *count, int at)
{
    int index = list[at];
    --*count;
    memmove(&list[at], &list[at + 1], (size_t)(*count - at) * sizeof list[0]);
    return index;
}

static void take_out(int list[], int *count, int index)
{
    for (int at = 0; at < *count; at++)
        if (list[at] == index) {
            (void)take_at(list, count, at);
            return;
        }
}

/* Tokens: weir/limiter.h says what it gives and takes back. */

static int64_t limiter_now(void)
{
    return world->flows ? weir_now() : 0;
}

static int64_t empty_at(int64_t now)
{
    int64_t full = now - (int64_t)world->burst * TOKEN;
    return world->empty > full ? world->empty : full;
}

/* False: there are too few, and none will come. */
static bool reserve(int64_t *ret_due)
{
    int64_t now = limiter_now(), begin = empty_at(now);
    int64_t end = begin + (int64_t)world->tokens_each * TOKEN;
    if (end > now && !world->flows)
        return false;
    world->empty = end;
    world->reserved = world->taken;
    world->stretches[world->taken++] = (struct stretch){begin, end, false};
    *ret_due = end > now ? weir_now() + end - now : weir_now();
    return true;
}

static void undo(int reserved)
{
    if (reserved == NONE)
        return;
    world->stretches[reserved].undone = true;
    for (int i = world->taken - 1; i >= 0 && world->stretches[i].undone; i--) {
        if (world->stretches[i].end != world->empty)
            break;
        world->empty = world->stretches[i].begin;
        world->taken = i;
    }
}

static int64_t expected_tokens(void)
{
    int64_t now = limiter_now(), level = now - empty_at(now);
    return level >= 0 ? level / TOKEN : -((TOKEN - 1 - level) / TOKEN);
}

/* The gate. */

static bool look_once(void);

static void look(void)
{
    while (look_once())
        continue;
}

/* Gives permits of the semaphore back, to the gate if that has asked. */
static void give_back(unsigned permits)
{
    world->available += permits;
    if (!world->asked || world->available < world->permits_each)
        return;
    world->available -= world->permits_each;
    world->asked = false;
    world->permitted = true;
}

static void give_permits(void)
{
    if (world->permitted && world->semaphore != NULL)
        give_back(world->permits_each);
    world->permitted = false;
}

static bool get_permits(void)
{
    if (world->permitted || world->asked)
        return world->permitted;
    if (world->semaphore != NULL && world->available < world->permits_each) {
        world->asked = true;
        return false;
    }
    world->available -= world->semaphore != NULL ? world->permits_each : 0;
    world->permitted = true;
    return true;
}

static void leave_line(struct item *item)
{
    if (item->in_line)
        take_out(world->line, &world->in_line, index_of(item));
    item->in_line = false;
}

/* True: the first has gone; go on with the next. */
static bool wait_until(int64_t at)
{
    struct item *first = &world->items[world->line[0]];
    world->ring_at = at;
    if (first->where == AT_GATE)
        return false;
    leave_line(first);
    return true;
}

static bool is_full(void)
{
    return world->in_queue >= (int)world->capacity;
}

static void put_into_queue(struct item *item)
{
    bool waits = world->in_due > 0 || is_full();
    item->where = waits ? DUE : QUEUED;
    if (waits)
        put_last(world->due, &world->in_due, index_of(item));
    else
        put_last(world->queue, &world->in_queue, index_of(item));
}

static bool let_first_in(uint64_t ticket)
{
    struct item *first = &world->items[world->line[0]];
    bool there = first->where == AT_GATE;
    leave_line(first);
    if (there) {
        first->passed = true;
        first->ticket = ticket;
        first->reserved = world->paid ? world->reserved : NONE;
        world->permitted = world->paid = false;
        put_into_queue(first);
    } else if (ticket != 0) {
        weir_breaker_record(world->expected, ticket, -ECANCELED);
    }
    return true;
}

static void settle_gate(void)
{
    world->asked = false;
    give_permits();
    if (world->paid)
        undo(world->reserved);
    world->paid = false;
}

/* As `step` of src/flow/gate.c should be. */
static bool look_once(void)
{
    int64_t due, now = weir_now();
    uint64_t ticket = 0;
    world->ring_at = WEIR_FOREVER;
    if (world->in_line == 0) {
        settle_gate();
        return false;
    }
    if (!get_permits())
        return false;
    if (world->limiter != NULL && !world->paid) {
        if (!reserve(&due)) {
            give_permits();
            return wait_until(WEIR_FOREVER);
        }
        world->paid = true;
    }
    if (world->paid && world->flows && world->stretches[world->reserved].end > now)
        return wait_until(world->stretches[world->reserved].end);
    if (world->breaker != NULL && weir_breaker_allow_at(world->expected, &ticket, now) != 0) {
        give_permits();
        return wait_until(weir__breaker_ask_again(world->expected, now));
    }
    return let_first_in(ticket);
}

/* Ends. */

static void end_item(struct item *item, weir_state end, int status)
{
    bool looks = item->gated && (item->in_line || item->passed), started = end <= WEIR_TASK_FAILED;
    leave_line(item);
    if (item->passed) {
        if (item->ticket != 0)
            weir_breaker_record(world->expected, item->ticket, started ? status : -ECANCELED);
        if (!started)
            undo(item->reserved);
        if (world->semaphore != NULL)
            give_back(world->permits_each);
    }
    item->passed = false;
    if (looks)
        look();
    world->places -= item->gated;
    item->where = ELSEWHERE;
    item->state = end;
    item->status = status;
    world->ends[end]++;
}

static void end_expired(struct item *item)
{
    end_item(item, WEIR_TASK_EXPIRED, -ETIMEDOUT);
}

static bool has_expired(const struct item *item)
{
    return item->start_by <= weir_now();
}

/* True: it holds the worker. */
static bool start_item(struct item *item)
{
    if (has_expired(item)) {
        end_expired(item);
        return false;
    }
    if (item->over) {
        end_item(item, WEIR_TASK_CANCELLED, -ECANCELED);
        return false;
    }
    world->started[world->started_count++] = index_of(item);
    item->where = ELSEWHERE;
    if (item->holds && !item->open) {
        item->state = WEIR_TASK_RUNNING;
        world->busy = index_of(item);
        return true;
    }
    end_item(item, item->code == 0 ? WEIR_TASK_DONE : WEIR_TASK_FAILED, item->code);
    return false;
}

/* Takes what is dead or has expired from the head of the queue. */
static bool clear_head(void)
{
    bool cleared = false;
    while (world->in_queue > 0) {
        struct item *item = &world->items[world->queue[0]];
        if (item->where == QUEUED && !has_expired(item))
            break;
        (void)take_at(world->queue, &world->in_queue, 0);
        if (item->where == QUEUED)
            end_expired(item);
        cleared = true;
    }
    return cleared;
}

/* What the clock's thread does with what is due. */
static bool push_due(void)
{
    if (world->in_due == 0)
        return false;
    struct item *item = &world->items[world->due[0]];
    bool expired = has_expired(item);
    if (!expired && is_full())
        return clear_head();
    (void)take_at(world->due, &world->in_due, 0);
    if (expired) {
        end_expired(item);
    } else {
        item->where = QUEUED;
        put_last(world->queue, &world->in_queue, index_of(item));
    }
    return true;
}

static bool run_next(void)
{
    if (world->busy != NONE || world->in_queue == 0)
        return false;
    struct item *item = &world->items[take_at(world->queue, &world->in_queue, 0)];
    if (item->where == QUEUED)
        (void)start_item(item);
    return true;
}

static void model_settle(void)
{
    while (push_due() || run_next())
        continue;
}

/* Time. */

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* When something happens next, after what has happened until now. */
static int64_t next_time(void)
{
    int64_t at = world->in_line > 0 ? world->ring_at : WEIR_FOREVER;
    for (int i = 0; i < world->count; i++) {
        const struct item *item = &world->items[i];
        if (item->where == BEFORE)
            at = earlier(at, item->start_at);
        else if (item->where == AT_GATE)
            at = earlier(at, item->start_by);
    }
    if (world->in_due > 0) {
        at = earlier(at, world->items[world->due[0]].start_by);
        at = earlier(at, world->items[world->queue[0]].start_by);
    }
    return at;
}

static void enter_line(struct item *item)
{
    item->where = AT_GATE;
    item->in_line = true;
    put_last(world->line, &world->in_line, index_of(item));
    if (world->in_line == 1)
        look();
}

static void ring_items(void)
{
    for (int i = 0; i < world->count; i++) {
        struct item *item = &world->items[i];
        if (item->where == BEFORE && item->start_at <= weir_now()) {
            if (item->gated)
                enter_line(item);
            else
                put_into_queue(item);
        } else if (item->where == AT_GATE && has_expired(item)) {
            end_expired(item);
        }
    }
    if (world->in_line > 0 && world->ring_at <= weir_now())
        look();
}

/* Sleeps until `deadline` in steps, at which the model sees what has happened. */
static void pass_time(int64_t deadline)
{
    while (weir_now() < deadline) {
        check(weir_sleep_until(NULL, earlier(next_time(), deadline)) == 0);
        settle();
        ring_items();
        model_settle();
    }
}

/* Steps. */

/* Counts a submit of which the model knows the outcome. */
static bool is_accepted(struct item *item, int err, int expected)
{
    check(err == expected);
    world->rejected += err != 0;
    world->submitted += err == 0;
    if (err == 0)
        item->state = WEIR_TASK_QUEUED;
    return err == 0;
}

static void submit_plain(void)
{
    struct item *item = new_item();
    weir_task_options *options = WEIR_TASK_OPTIONS(.on_done = told);
    int expected = world->closed ? -EPIPE : 0;
    if (input_below(4) == 0)
        options->start_by = item->start_by = weir_after(input_duration());
    while (expected == 0 && is_full())
        if (!clear_head())
            expected = -EAGAIN;
    int err = weir_pool_try_submit_task(world->pool, item->task, run_item, item, options);
    if (!is_accepted(item, err, expected))
        return;
    item->where = QUEUED;
    put_last(world->queue, &world->in_queue, index_of(item));
}

static void submit_gated(void)
{
    struct item *item = new_item();
    unsigned byte = input_below(8);
    weir_task_options *options = WEIR_TASK_OPTIONS(.on_done = told, .gate = world->gate);
    int expected = world->closed ? -EPIPE : world->places == PLACES ? -EAGAIN : 0;
    item->gated = true;
    item->start_at = byte == 0 ? weir_after(input_duration()) : weir_now();
    if (byte == 0 || byte == 1)
        options->start_by = item->start_by = item->start_at + input_duration();
    if (byte % 2 == 1)
        check(weir_context_new(&item->ctx, NULL, WEIR_FOREVER) == 0);
    int err = byte == 0 ? weir_pool_submit_task_at(world->pool, item->task, run_item, item, options,
                                                   item->start_at)
                        : weir_pool_submit_task_until(world->pool, item->task, run_item, item,
                                                      options, item->ctx, WEIR_FOREVER);
    if (!is_accepted(item, err, expected))
        return;
    world->places++;
    if (byte == 0)
        item->where = BEFORE;
    else
        enter_line(item);
}

static void open_gate(void)
{
    if (world->busy == NONE)
        return;
    struct item *item = &world->items[world->busy];
    world->busy = NONE;
    item->open = true;
    end_item(item, item->code == 0 ? WEIR_TASK_DONE : WEIR_TASK_FAILED, item->code);
    weir_waitgroup_done(&item->gate);
}

static struct item *any_item(void)
{
    unsigned i = input_below(MAX_ITEMS);
    return i < (unsigned)world->count ? &world->items[i] : NULL;
}

static void cancel_item(void)
{
    struct item *item = any_item();
    if (item == NULL || item == &world->items[0]) /* the one of keep_clock */
        return;
    weir_state state = item->state;
    int err = weir_task_cancel(item->task);
    check(err == (state == WEIR_TASK_IDLE     ? -EINVAL
                  : state == WEIR_TASK_QUEUED ? 0
                  : state >= WEIR_TASK_DONE   ? -EALREADY
                                              : -EINPROGRESS));
    if (state != WEIR_TASK_QUEUED)
        return;
    if (item->where == DUE)
        take_out(world->due, &world->in_due, index_of(item));
    item->where = ELSEWHERE; /* in the queue its ticket is dead */
    end_item(item, WEIR_TASK_CANCELLED, -ECANCELED);
}

static void cancel_context(void)
{
    struct item *item = any_item();
    if (item == NULL || item->ctx == NULL)
        return;
    weir_context_cancel(item->ctx, 0);
    item->over = true;
    settle();
    if (item->where == AT_GATE)
        end_item(item, WEIR_TASK_CANCELLED, -ECANCELED);
}

/* For one that no time ends. */
static void wait_for_item(void)
{
    const struct item *item = any_item();
    int64_t deadline = weir_after(input_duration()), next;
    if (item == NULL || item->state == WEIR_TASK_IDLE || item->start_by != WEIR_FOREVER)
        return;
    while (item->state < WEIR_TASK_DONE && (next = next_time()) < deadline)
        pass_time(next);
    int err = weir_task_wait_until(item->task, NULL, deadline);
    check(err == (item->state >= WEIR_TASK_DONE ? 0 : -ETIMEDOUT));
}

static void take_permit(void)
{
    if (world->semaphore == NULL)
        return;
    int expected = !world->asked && world->available > 0 ? 0 : -EAGAIN;
    check(weir_semaphore_try_acquire(world->semaphore, 1) == expected);
    world->available -= expected == 0;
    world->held += expected == 0;
}

static void release_permits(void)
{
    unsigned n = world->held;
    if (n == 0)
        return;
    weir_semaphore_release(world->semaphore, n);
    world->held = 0;
    bool asked = world->asked;
    give_back(n);
    if (asked && !world->asked)
        look();
}

static void sleep_a_while(void)
{
    pass_time(weir_after(input_duration()));
}

static void have_gate_look(void)
{
    weir_gate_look(world->gate);
    look();
}

/* This would end most programs early: one time of sixteen. */
static void close_pool(void)
{
    if (input_below(16) != 0)
        return;
    weir_pool_close(world->pool);
    world->closed = true;
}

/* Everything that can be seen. */

static void compare_items(void)
{
    for (int i = 0; i < world->count; i++) {
        const struct item *item = &world->items[i];
        bool over = item->state >= WEIR_TASK_DONE;
        check(item->seen_end == (over ? item->state : WEIR_TASK_IDLE));
        check(!over || item->seen_status == item->status);
        check(weir_task_state(item->task) == item->state);
    }
    check(world->seen_started_count == world->started_count);
    for (int i = 0; i < world->started_count; i++)
        check(world->seen_started[i] == world->started[i]);
}

static void compare_gate(void)
{
    weir_breaker_counts counts, expected;
    check(weir_gate_waiting(world->gate) == (size_t)world->in_line);
    check(world->semaphore == NULL ||
          (weir_semaphore_available(world->semaphore) == world->available &&
           weir_semaphore_waiting(world->semaphore) == (world->asked ? 1 : 0)));
    check(world->limiter == NULL || weir_limiter_tokens(world->limiter) == expected_tokens());
    weir_breaker_read_counts(world->breaker, &counts);
    weir_breaker_read_counts(world->expected, &expected);
    check(counts.allowed == expected.allowed && counts.opened == expected.opened);
    check(counts.succeeded == expected.succeeded && counts.failed == expected.failed);
    check(weir_breaker_read_state(world->breaker) == weir_breaker_read_state(world->expected));
    calls += 5;
}

static void compare_counts(void)
{
    weir_pool_counts counts;
    unsigned queued = 0, delayed = 0;
    for (int i = 0; i < world->count; i++) {
        queued += world->items[i].where == QUEUED;
        delayed += world->items[i].where != QUEUED && world->items[i].where != ELSEWHERE;
    }
    weir_pool_read_counts(world->pool, &counts);
    check(counts.submitted == world->submitted && counts.rejected == world->rejected);
    check(counts.done == world->ends[WEIR_TASK_DONE]);
    check(counts.failed == world->ends[WEIR_TASK_FAILED]);
    check(counts.cancelled == world->ends[WEIR_TASK_CANCELLED]);
    check(counts.expired == world->ends[WEIR_TASK_EXPIRED] && counts.dropped == 0);
    check(counts.queued == queued && counts.delayed == delayed);
    check(counts.running == (world->busy != NONE ? 1 : 0));
    calls++;
}

static void compare(void)
{
    settle();
    model_settle();
    compare_items();
    compare_gate();
    compare_counts();
}

/* Life. */

static void make_breakers(int64_t open_for)
{
    const weir_breaker_options *options =
        WEIR_BREAKER_OPTIONS(.window = 1 + input_below(3), .open_for = open_for);
    world->breaker = make(sizeof *world->breaker);
    world->expected = make(sizeof *world->expected);
    check(weir_breaker_init(world->breaker, options) == 0);
    check(weir_breaker_init(world->expected, options) == 0);
}

static void make_gate(unsigned parts)
{
    if ((parts & 1) != 0) {
        world->semaphore = make(sizeof *world->semaphore);
        world->permits_each = 1 + input_below(2);
        world->permits = world->capacity == LONG_QUEUE ? world->permits_each + input_below(3)
                                                       : world->permits_each;
        world->available = world->permits;
        check(weir_semaphore_init(world->semaphore, world->permits) == 0);
    }
    if ((parts & 2) != 0) {
        world->limiter = make(sizeof *world->limiter);
        world->tokens_each = 1 + input_below(2);
        world->burst = world->tokens_each + input_below(3);
        world->flows = input_below(3) > 0;
        world->empty = limiter_now() - (int64_t)world->burst * TOKEN;
        check(weir_limiter_init(world->limiter, world->flows ? RATE : 0, world->burst) == 0);
    }
    if ((parts & 4) != 0)
        make_breakers(input_duration());
    world->gate = make(sizeof *world->gate);
    check(
        weir_gate_init(world->gate,
                       WEIR_GATE_OPTIONS(.semaphore = world->semaphore, .limiter = world->limiter,
                                         .breaker = world->breaker, .permits = world->permits_each,
                                         .tokens = world->tokens_each)) == 0);
}

/* A task whose time never comes, so that the clock has one thread all the time. */
static void keep_clock(void)
{
    struct item *item = new_item();
    item->start_at = WEIR_FOREVER - 1;
    check(weir_pool_submit_task_at(world->pool, item->task, run_item, item,
                                   WEIR_TASK_OPTIONS(.on_done = told), item->start_at) == 0);
    item->state = WEIR_TASK_QUEUED;
    item->where = BEFORE;
    world->submitted++;
    world->places++;
}

static void begin(void)
{
    unsigned parts = input_below(8);
    world = make(sizeof *world);
    world->busy = NONE;
    world->reserved = NONE;
    world->ring_at = WEIR_FOREVER;
    world->capacity = (parts & 1) != 0 && input_below(2) == 0 ? 1 + input_below(2) : LONG_QUEUE;
    world->pool =
        new_pool(WEIR_POOL_OPTIONS(.workers = 1, .capacity = world->capacity, .timers = PLACES));
    make_gate(parts);
    keep_clock();
}

/* All that has not started gives back what it has. */
static void check_books(void)
{
    for (int i = 0; i < world->count; i++)
        if (world->items[i].passed)
            undo(world->items[i].reserved);
    if (world->paid)
        undo(world->reserved);
    check(world->semaphore == NULL ||
          weir_semaphore_available(world->semaphore) == world->permits - world->held);
    check(world->limiter == NULL || weir_limiter_tokens(world->limiter) == expected_tokens());
    for (int i = 0; i < world->count; i++)
        check((world->items[i].state != WEIR_TASK_IDLE) ==
              (world->items[i].seen_end != WEIR_TASK_IDLE));
}

static void end(void)
{
    while (world->busy != NONE) {
        open_gate();
        compare();
    }
    check(weir_pool_shutdown(world->pool, 0, WEIR_FOREVER, NULL) == 0);
    weir_gate_destroy(world->gate);
    drop(world->gate);
    check_books();
    weir_pool_free(world->pool);
    if (world->semaphore != NULL) {
        weir_semaphore_release(world->semaphore, world->held);
        weir_semaphore_destroy(world->semaphore);
        drop(world->semaphore);
    }
    if (world->limiter != NULL)
        drop(world->limiter);
    if (world->breaker != NULL) {
        drop(world->breaker);
        drop(world->expected);
    }
    for (int i = 0; i < world->count; i++) {
        drop(world->items[i].task);
        weir_context_unref(world->items[i].ctx);
    }
    drop(world);
}

static const struct step steps[] = {
    STEP(submit_plain),  STEP(submit_gated),   STEP(submit_gated),    STEP(submit_gated),
    STEP(submit_gated),  STEP(open_gate),      STEP(open_gate),       STEP(cancel_item),
    STEP(wait_for_item), STEP(take_permit),    STEP(release_permits), STEP(sleep_a_while),
    STEP(close_pool),    STEP(have_gate_look), STEP(cancel_context),  STEP(open_gate),
};

static bool has_room(void)
{
    return world->count < MAX_ITEMS;
}

void gate_program(void)
{
    begin();
    explore_begin();
    trace("-- capacity %u; %u of %u permits, %u of %u tokens, flowing: %d; breaker: %d",
          world->capacity, world->permits_each, world->permits, world->tokens_each, world->burst,
          (int)world->flows, (int)(world->breaker != NULL));
    take_steps(steps, sizeof steps / sizeof steps[0], CALLS, has_room, compare);
    explore_end();
    end();
}
