/* SPDX-License-Identifier: MIT */
/* alarm.c - one thread sleeps until the earliest alarm of a clock and calls what is due.
 *
 * States of the thread: NONE -> RUNS -> LEFT -> NONE, under the lock. It leaves when no alarm is
 * set and nobody holds the clock; what it does after that touches nothing of the clock. The next
 * call that needs a thread, or destroys the clock, joins the one that left. The thread of a clock
 * that is never destroyed detaches itself, for nobody may ever join it: RUNS -> NONE.
 *
 * Lock: the clock's guards all its fields and those of the alarms that are set, except `changes`.
 * It is not held while an alarm rings.
 *
 * Sleeping: `changes` grows, under the lock, when the thread has to look again: for an earlier
 * alarm, or to leave. It reads `changes` before it releases the lock, and sleeps only while that
 * value stays. A stop does not wake it, except a stop of the last alarm: it wakes at the time of
 * the alarm that was stopped, and finds nothing due.
 *
 * Sleeping elsewhere: `knows` is the time of the earliest alarm that the thread has seen before it
 * went to sleep in a ring. The first one that sets an earlier alarm finds it so, and wakes it.
 */
#include "sync/alarm.h"

#include "base/assert.h"
#include "os/fork.h"

struct look {
    struct alarm_clock *clock;
    uint32_t seen;
};

static bool changed(void *arg)
{
    const struct look *look = arg;
    return load_seqcst(&look->clock->changes) != look->seen; /* pairs with note_change_locked */
}

/* Under the lock: the thread has something to do that it does not know about. */
static void note_change_locked(struct alarm_clock *clock)
{
    add_seqcst(&clock->changes, 1); /* pairs with changed */
}

static void wake_thread(const struct alarm_clock *clock)
{
    weir__wake_all(&clock->changes); /* only the address: the clock may be gone */
}

static bool needed_locked(const struct alarm_clock *clock)
{
    return clock->alarms.first != NULL || clock->held != 0;
}

static void leave_locked(struct alarm_clock *clock)
{
    clock->state = clock->for_ever ? THREAD_NONE : THREAD_LEFT;
    if (clock->for_ever)
        (void)pthread_detach(pthread_self());
}

/* An alarm was set at `at`. Is the caller to wake the thread where it sleeps? */
static bool late_locked(struct alarm_clock *clock, int64_t at)
{
    bool late = at < clock->knows;
    if (late)
        clock->knows = INT64_MIN; /* one wake will do */
    return late;
}

/* The alarm that is due, no longer set, or NULL. */
static struct alarm *take_due_locked(struct alarm_clock *clock, int64_t *ret_next)
{
    struct heap_node *first = clock->alarms.first;
    *ret_next = first != NULL ? first->key : WEIR_FOREVER;
    if (first == NULL || first->key > weir_now())
        return NULL;
    heap_remove(&clock->alarms, first);
    struct alarm *alarm = container_of(first, struct alarm, node);
    alarm->set_in = 0;
    return alarm;
}

static void *clock_main(void *arg)
{
    struct alarm_clock *clock = arg;
    weir_context *watched = clock->watched; /* constant since before the thread was started */
    weir__thread_name_timer(clock->name);
    for (;;) {
        if (watched != NULL && weir_context_err(watched) != 0) {
            watched = NULL;
            clock->on_over(clock);
        }
        lock_acquire(&clock->lock);
        if (!needed_locked(clock)) {
            leave_locked(clock);
            lock_release(&clock->lock);
            return NULL;
        }
        int64_t until;
        struct alarm *due = take_due_locked(clock, &until);
        struct look look = {clock, load_rlx(&clock->changes)}; /* changed under the lock */
        clock->knows = INT64_MIN;
        lock_release(&clock->lock);
        if (due != NULL)
            due->ring(due);
        else
            (void)weir__wait_until(TELL_NOTHING, &clock->changes, changed, &look, watched, NULL,
                                   until);
    }
}

static void join_locked(struct alarm_clock *clock)
{
    if (clock->state == THREAD_LEFT)
        (void)pthread_join(clock->thread, NULL); /* it needs no lock any more */
    clock->state = THREAD_NONE;
}

/* 0, or why no thread could be started. */
static int need_thread_locked(struct alarm_clock *clock)
{
    if (clock->state == THREAD_RUNS)
        return 0;
    join_locked(clock);
    pthread_t thread;
    int err = weir__thread_start(&thread, clock_main, clock, 0);
    if (err == 0) {
        clock->thread = thread;
        clock->state = THREAD_RUNS;
    }
    return err;
}

void weir__alarm_clock_init(struct alarm_clock *clock, const char *name, bool for_ever)
{
    lock_init(&clock->lock);
    clock->alarms = (struct heap){0};
    clock->held = 0;
    clock->state = THREAD_NONE;
    store_rlx(&clock->changes, 0); /* nobody else knows the clock yet */
    clock->knows = INT64_MIN;
    clock->name = name;
    clock->for_ever = for_ever;
    clock->watched = NULL;
    clock->on_over = NULL;
}

void weir__alarm_clock_destroy(struct alarm_clock *clock)
{
    lock_acquire(&clock->lock);
    weir_assert(!needed_locked(clock) && !clock->for_ever);
    bool join = clock->state != THREAD_NONE;
    lock_release(&clock->lock); /* the thread needs it to leave */
    if (join)
        (void)pthread_join(clock->thread, NULL);
    clock->state = THREAD_NONE;
}

int weir__alarm_set(struct alarm_clock *clock, struct alarm *alarm, int64_t at, bool *ret_late)
{
    lock_acquire(&clock->lock);
    weir_assert(alarm->set_in != fork_count());
    int err = need_thread_locked(clock);
    bool earliest = false;
    if (err == 0) {
        alarm->set_in = fork_count();
        heap_add(&clock->alarms, &alarm->node, at);
        earliest = clock->alarms.first == &alarm->node;
        if (earliest)
            note_change_locked(clock);
    }
    if (ret_late != NULL)
        *ret_late = err == 0 && late_locked(clock, at);
    lock_release(&clock->lock);
    if (earliest)
        wake_thread(clock);
    return err;
}

bool weir__alarm_stop(struct alarm_clock *clock, struct alarm *alarm)
{
    lock_acquire(&clock->lock);
    bool stopped = alarm->set_in != 0, last = false;
    if (alarm->set_in == fork_count()) {
        heap_remove(&clock->alarms, &alarm->node);
        last = !needed_locked(clock);
        if (last)
            note_change_locked(clock);
    }
    alarm->set_in = 0;
    lock_release(&clock->lock);
    if (last)
        wake_thread(clock);
    return stopped;
}

bool weir__alarm_move(struct alarm_clock *clock, struct alarm *alarm, int64_t at, bool *ret_late)
{
    lock_acquire(&clock->lock);
    bool set = alarm->set_in == fork_count(), earliest = false;
    if (set) {
        heap_remove(&clock->alarms, &alarm->node);
        heap_add(&clock->alarms, &alarm->node, at);
        earliest = clock->alarms.first == &alarm->node;
        if (earliest)
            note_change_locked(clock);
    }
    if (ret_late != NULL)
        *ret_late = set && late_locked(clock, at);
    lock_release(&clock->lock);
    if (earliest)
        wake_thread(clock);
    return set;
}

struct alarm *weir__alarm_take_due(struct alarm_clock *clock, int64_t *ret_next)
{
    lock_acquire(&clock->lock);
    struct alarm *alarm = take_due_locked(clock, ret_next);
    clock->knows = alarm == NULL ? *ret_next : INT64_MIN;
    lock_release(&clock->lock);
    return alarm;
}

int weir__alarm_clock_hold(struct alarm_clock *clock)
{
    lock_acquire(&clock->lock);
    int err = need_thread_locked(clock);
    if (err == 0)
        clock->held++;
    lock_release(&clock->lock);
    return err;
}

void weir__alarm_clock_release(struct alarm_clock *clock)
{
    lock_acquire(&clock->lock);
    weir_assert(clock->held > 0);
    clock->held--;
    bool last = !needed_locked(clock);
    if (last)
        note_change_locked(clock);
    lock_release(&clock->lock);
    if (last)
        wake_thread(clock);
}
