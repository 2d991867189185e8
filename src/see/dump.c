/* SPDX-License-Identifier: MIT */
/* dump.c - the text of weir/dump.h.
 *
 * All is read without a lock, by protocols that never make the reader wait: activity.h for what
 * threads do, dump_queue.c for what is queued. Nothing is kept between two lines, and what a line
 * needs is on the stack.
 */
#include "weir/dump.h"

#include <errno.h>

#include "os/file.h"
#include "os/symbol.h"
#include "pool/lanes.h"
#include "pool/pool.h"
#include "see/dump_queue.h"
#include "see/text.h"

struct dump {
    const weir_pool *pool;
    struct text text;
    struct activity_view view;  /* of the thread that is told of */
    struct activity_view other; /* of one that it may wait for */
    struct queue_view queue;
};

static void put(struct dump *dump, const char *string)
{
    weir__text(&dump->text, string);
}

/* How long ago it was. */
static void put_since(struct dump *dump, int64_t time)
{
    weir__text_time(&dump->text, weir_now() - time);
}

static void put_name(struct dump *dump, uintptr_t fn, const char *name)
{
    char symbol[128];
    if (name[0] != '\0') {
        weir__text_quoted(&dump->text, name);
        return;
    }
    weir__symbol(fn, symbol, sizeof symbol);
    put(dump, symbol);
}

/* Threads. */

static void put_worker(struct dump *dump, unsigned index)
{
    put(dump, "worker ");
    weir__text_number(&dump->text, index);
}

static void put_thread(struct dump *dump, int number)
{
    put(dump, "thread ");
    weir__text_number(&dump->text, (uint64_t)number);
}

static void put_run(struct dump *dump, unsigned level)
{
    const struct activity_view_level *run = &dump->view.level[level];
    int64_t since = run->since != 0 ? run->since : dump->view.stamp;
    put_name(dump, run->fn, run->name);
    if (since == 0)
        return;
    put(dump, run->since != 0 ? " for " : " for at most ");
    put_since(dump, since);
}

/* Does the thread whose activity it is run a task of the sink? */
static bool runs(struct dump *dump, const struct activity *activity, const void *sink)
{
    if (!weir__activity_read(activity, &dump->other))
        return false;
    for (unsigned i = 0; i < dump->other.levels; i++)
        if (dump->other.level[i].sink == sink)
            return true;
    return false;
}

/* The thread that runs what is waited for, if that is known. */
static void put_awaited(struct dump *dump)
{
    const void *sink = dump->view.awaited;
    const struct crew *crew = &dump->pool->crew;
    if (sink == NULL)
        return;
    for (unsigned i = 0; i < crew->count; i++) {
        if (runs(dump, &crew->workers[i].activity, sink)) {
            put(dump, ", waits for ");
            put_worker(dump, i);
            return;
        }
    }
    for (unsigned i = 0; i < ACTIVITY_OTHERS; i++) {
        const struct activity *activity = &weir__other_activities[i];
        if (load_rlx(&activity->taken) != 0 && runs(dump, activity, sink)) { /* a hint */
            put(dump, ", waits for ");
            put_thread(dump, dump->other.thread);
            return;
        }
    }
    if (weir__queue_has(dump->pool, sink))
        put(dump, ", waits for a queued task");
}

static void put_wait(struct dump *dump)
{
    const struct activity_view *view = &dump->view;
    put(dump, "blocked in ");
    put(dump, view->call);
    if (view->object != NULL) {
        put(dump, " on ");
        weir__text_address(&dump->text, view->object);
    }
    put(dump, " for ");
    put_since(dump, view->since);
    put_awaited(dump);
}

/* What the thread does, innermost first. The view was read. */
static void put_activity(struct dump *dump)
{
    const struct activity_view *view = &dump->view;
    unsigned depth = activity_levels(view->state);
    bool blocked = (view->state & ACTIVITY_BLOCKED) != 0;
    if (depth == 0 && (view->state & ACTIVITY_PARKED) != 0) {
        put(dump, "idle for ");
        put_since(dump, view->since);
    } else if (depth == 0 && !blocked) {
        put(dump, "looking for a task");
    }
    if (depth > view->levels) {
        put(dump, "running a task within ");
        weir__text_number(&dump->text, depth - 1);
        put(dump, " others");
    } else if (depth > 0) {
        put(dump, "running ");
        put_run(dump, depth - 1);
    }
    if (blocked) {
        put(dump, depth > 0 ? ", " : "");
        put_wait(dump);
    }
    weir__text_line(&dump->text);
}

static void dump_worker(struct dump *dump, unsigned index)
{
    const struct activity *activity = &dump->pool->crew.workers[index].activity;
    bool read = weir__activity_read(activity, &dump->view);
    put_worker(dump, index);
    put(dump, " (");
    put_thread(dump, dump->view.thread);
    put(dump, "): ");
    if (!read) {
        put(dump, "running short tasks");
        weir__text_line(&dump->text);
        return;
    }
    put_activity(dump);
    unsigned depth = activity_levels(dump->view.state);
    for (unsigned i = dump->view.levels; i > 0; i--) {
        if (i == depth)
            continue;
        put_worker(dump, index);
        put(dump, ": within ");
        put_run(dump, i - 1);
        weir__text_line(&dump->text);
    }
}

/* Is there something to tell of a thread that is no worker? It is blocked, or runs our tasks. */
static bool concerns(const struct dump *dump)
{
    if ((dump->view.state & ACTIVITY_BLOCKED) != 0)
        return true;
    for (unsigned i = 0; i < dump->view.levels; i++)
        if (dump->view.level[i].owner == &dump->pool->host)
            return true;
    return false;
}

static void dump_others(struct dump *dump)
{
    for (unsigned i = 0; i < ACTIVITY_OTHERS; i++) {
        const struct activity *activity = &weir__other_activities[i];
        if (load_rlx(&activity->taken) == 0 || /* a hint: the state says what is the matter */
            !weir__activity_read(activity, &dump->view) || !concerns(dump))
            continue;
        put_thread(dump, dump->view.thread);
        put(dump, ": ");
        put_activity(dump);
    }
}

/* The pool and its queue. */

/* Of a pool whose size may change: how many there may be, have blocked, and may run. */
static void put_size(struct dump *dump)
{
    const struct size *size = dump->pool->crew.size;
    if (size == NULL)
        return;
    uint64_t word = size_word(size);
    put(dump, " of ");
    weir__text_number(&dump->text, size_wanted(size));
    put(dump, " to ");
    weir__text_number(&dump->text, size->most);
    put(dump, ", ");
    weir__text_number(&dump->text, size_count(word, SIZE_BLOCKED));
    put(dump, " blocking, ");
    weir__text_count(&dump->text, size_count(word, SIZE_RIGHTS), "turn");
}

static void dump_pool(struct dump *dump)
{
    static const char *const phases[] = {"open", "closed", "cancelled", "stopping", "stopped"};
    const weir_pool *pool = dump->pool;
    put(dump, "pool ");
    weir__text_quoted(&dump->text, pool->crew.name);
    put(dump, ": ");
    put(dump, phases[queue_phase(&pool->queue)]);
    put(dump, ", ");
    weir__text_count(&dump->text, weir__crew_workers(&pool->crew), "worker");
    put_size(dump);
    weir__text_line(&dump->text);
}

static void put_oldest(struct dump *dump, unsigned lane)
{
    const struct queue_view *view = &dump->queue;
    if (view->oldest[lane].submitted == 0)
        return;
    put(dump, view->oldest[lane].is_head ? ", the oldest for " : ", the oldest for at least ");
    weir__text_time(&dump->text, view->now - view->oldest[lane].submitted);
}

static uint64_t blocked_in(const struct queue *queue, unsigned lane)
{
    const struct eventcount *room = &queue_lane(queue, lane)->room.waiting;
    return (uint32_t)load_rlx(&room->sleepers) + load_rlx(&room->timed); /* numbers */
}

static void put_overflow(struct dump *dump, const struct lane *lane)
{
    const uint64_t counts[] = {
        lane_overflowed(lane, LANE_REJECTED),
        lane_overflowed(lane, LANE_DROPPED),
        ran_in_place(&dump->pool->host, lane->number),
        lane_overflowed(lane, LANE_BLOCKED),
    };
    static const char *const names[] = {" rejected, ", " dropped, ", " in place, ",
                                        " waited for room"};
    put(dump, "; ");
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        weir__text_number(&dump->text, counts[i]);
        put(dump, names[i]);
    }
}

static void dump_lane(struct dump *dump, unsigned lane)
{
    const struct lane *shown = queue_lane(&dump->pool->queue, lane);
    put(dump, "lane ");
    weir__text_number(&dump->text, lane);
    put(dump, ": ");
    weir__text_number(&dump->text, lane_taken(shown));
    put(dump, " of ");
    weir__text_number(&dump->text, shown->ring.capacity);
    put_oldest(dump, lane);
    put(dump, "; ");
    weir__text_count(&dump->text, blocked_in(&dump->pool->queue, lane), "blocked submitter");
    put_overflow(dump, shown);
    weir__text_line(&dump->text);
}

static void dump_queue(struct dump *dump)
{
    const weir_pool *pool = dump->pool;
    const struct queue *queue = &pool->queue;
    uint64_t blocked = 0;
    weir__queue_view(pool, &dump->queue);
    for (unsigned k = 0; k < queue->lane_count; k++)
        blocked += blocked_in(queue, k);
    put(dump, "queue: ");
    weir__text_number(&dump->text, weir__queue_count(queue));
    put(dump, " of ");
    weir__text_number(&dump->text, weir__lanes_capacity(queue) + deques_capacity(&queue->deques));
    if (queue->lane_count == 1)
        put_oldest(dump, 0);
    put(dump, "; ");
    weir__text_count(&dump->text, blocked, "blocked submitter");
    put(dump, "; ");
    weir__text_number(&dump->text, load_rlx(&pool->delay.delayed)); /* by itself */
    put(dump, " delayed");
    uint64_t gated = load_rlx(&pool->delay.gated); /* likewise */
    if (gated != 0) {
        put(dump, ", ");
        weir__text_number(&dump->text, gated);
        put(dump, " of them at a gate");
    }
    weir__text_line(&dump->text);
    for (unsigned k = 0; queue->lane_count > 1 && k < queue->lane_count; k++)
        dump_lane(dump, k);
}

static void dump_queued(struct dump *dump)
{
    const struct queue_view *view = &dump->queue;
    for (unsigned i = 0; i < view->kinds_used; i++) {
        put(dump, "queued: ");
        weir__text_number(&dump->text, view->kinds[i].count);
        put(dump, " x ");
        put_name(dump, view->kinds[i].name.fn, view->kinds[i].name.text);
        weir__text_line(&dump->text);
    }
    if (view->others > 0 || view->cut) {
        put(dump, "queued: ");
        weir__text_number(&dump->text, view->others);
        put(dump, view->cut ? " others or more" : " others");
        weir__text_line(&dump->text);
    }
    for (unsigned i = 0; i < view->first_used; i++) {
        put(dump, "queued for ");
        weir__text_time(&dump->text, view->now - view->first[i].submitted);
        put(dump, ": ");
        put_name(dump, view->first[i].name.fn, view->first[i].name.text);
        weir__text_line(&dump->text);
    }
}

int weir_pool_dump(const weir_pool *pool, weir_write_fn *write, void *arg)
{
    if (pool == NULL || write == NULL)
        return -EINVAL;
    if (pool_stale(pool))
        return -ESTALE;
    struct dump dump = {.pool = pool, .text = {.write = write, .arg = arg}};
    dump_pool(&dump);
    dump_queue(&dump);
    for (unsigned i = 0; i < pool->crew.count && dump.text.err == 0; i++)
        if (weir__crew_has(&pool->crew, i))
            dump_worker(&dump, i);
    if (dump.text.err == 0)
        dump_queued(&dump);
    if (dump.text.err == 0)
        dump_others(&dump);
    return dump.text.err;
}

static int write_to_file(const char *text, size_t n, void *arg)
{
    return weir__file_write(*(const int *)arg, text, n);
}

int weir_pool_dump_fd(const weir_pool *pool, int fd)
{
    return weir_pool_dump(pool, write_to_file, &fd);
}
