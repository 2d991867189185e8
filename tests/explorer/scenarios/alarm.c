/* SPDX-License-Identifier: MIT */
/* alarm.c - an alarm rings once or is stopped, and the clock's thread leaves when it is not needed.
 */
#include "sync/alarm.h"

#include "scenario.h"

enum { SOON = 2000, LATER = 3000, END = 5000, NEVER = 9000 };

struct work {
    struct alarm_clock clock;
    struct alarm alarms[3];
    unsigned rung[3]; /* plain: written on the clock's thread, read after it was joined */
    unsigned order[3], count;
    bool stopped;
};

static struct work *the_work; /* constant while threads run */

static void note(struct alarm *alarm)
{
    size_t i = (size_t)(alarm - the_work->alarms);
    the_work->rung[i]++;
    if (the_work->count < 3)
        the_work->order[the_work->count++] = (unsigned)i;
}

static struct work *new_work(void)
{
    struct work *work = make(sizeof *work);
    the_work = work;
    weir__alarm_clock_init(&work->clock, "clock", false);
    for (size_t i = 0; i < 3; i++)
        work->alarms[i].ring = note;
    return work;
}

static void set(struct work *work, size_t i, int64_t at)
{
    int err = weir__alarm_set(&work->clock, &work->alarms[i], at, NULL);
    check(err == 0);
}

/* Until all alarms before END have rung: time passes only when no thread can run. */
static void sleep_to_the_end(void)
{
    int err = weir_sleep_until(NULL, END);
    check(err == 0);
}

/* The clock must have let its thread go by itself. */
static void end_work(struct work *work)
{
    weir__alarm_clock_destroy(&work->clock);
    explore_end();
}

static void alarms_ring_in_order_of_time(void)
{
    struct work *work = new_work();
    explore_begin();
    set(work, 0, LATER);
    set(work, 1, SOON);
    set(work, 2, LATER);
    sleep_to_the_end();
    end_work(work);
    check(work->count == 3);
    check(work->order[0] == 1 && work->order[1] == 0 && work->order[2] == 2);
    drop(work);
}

static void stop_first(void *arg)
{
    struct work *work = arg;
    work->stopped = weir__alarm_stop(&work->clock, &work->alarms[0]);
}

static void stop_against_ring(void)
{
    struct work *work = new_work();
    explore_begin();
    instant(SOON);
    set(work, 0, SOON);
    struct vthread *stopper = start(stop_first, work);
    finish(stopper);
    end_work(work);
    check(work->rung[0] == (work->stopped ? 0 : 1));
    drop(work);
}

static void set_second(void *arg)
{
    set(arg, 1, SOON);
}

/* The thread may be on its way out when the next alarm is set. */
static void set_against_the_end_of_the_thread(void)
{
    struct work *work = new_work();
    explore_begin();
    set(work, 0, 0);
    struct vthread *setter = start(set_second, work);
    finish(setter);
    sleep_to_the_end();
    end_work(work);
    check(work->rung[0] == 1 && work->rung[1] == 1);
    drop(work);
}

/* One alarm is moved forward while another thread takes the last one away. */
static void stop_against_set_of_an_earlier_one(void)
{
    struct work *work = new_work();
    explore_begin();
    set(work, 0, NEVER);
    struct vthread *setter = start(set_second, work);
    stop_first(work);
    finish(setter);
    sleep_to_the_end();
    end_work(work);
    check(work->stopped && work->rung[0] == 0 && work->rung[1] == 1);
    drop(work);
}

static void ring_again(struct alarm *alarm)
{
    note(alarm);
    if (the_work->rung[0] < 3) {
        int err = weir__alarm_set(&the_work->clock, alarm, weir_after(10), NULL);
        check(err == 0);
    }
}

static void a_ring_sets_its_alarm_again(void)
{
    struct work *work = new_work();
    work->alarms[0].ring = ring_again;
    explore_begin();
    set(work, 0, SOON);
    sleep_to_the_end();
    end_work(work);
    check(work->rung[0] == 3);
    drop(work);
}

static void hold(void *arg)
{
    struct work *work = arg;
    int err = weir__alarm_clock_hold(&work->clock);
    check(err == 0);
}

static void release_against_hold(void)
{
    struct work *work = new_work();
    explore_begin();
    hold(work);
    struct vthread *other = start(hold, work);
    weir__alarm_clock_release(&work->clock);
    finish(other);
    weir__alarm_clock_release(&work->clock);
    end_work(work);
    drop(work);
}

static void over(struct alarm_clock *clock)
{
    the_work->rung[2]++;
    (void)weir__alarm_stop(clock, &the_work->alarms[0]);
}

static void cancel(void *arg)
{
    weir_context_cancel(arg, 0);
}

/* The thread sleeps until NEVER: only the context can wake it. */
static void a_watched_context_ends(void)
{
    struct work *work = new_work();
    weir_context *ctx;
    int err = weir_context_new(&ctx, NULL, WEIR_FOREVER);
    check(err == 0);
    work->clock.watched = ctx;
    work->clock.on_over = over;
    explore_begin();
    set(work, 0, WEIR_FOREVER);
    struct vthread *canceller = start(cancel, ctx);
    finish(canceller);
    sleep_to_the_end();
    end_work(work);
    check(work->rung[0] == 0 && work->rung[2] == 1);
    weir_context_unref(ctx);
    drop(work);
}

const struct scenario alarm_scenarios[] = {
    {"alarms ring in order of time", alarms_ring_in_order_of_time, false},
    {"stop against ring", stop_against_ring, false},
    {"set against the end of the thread", set_against_the_end_of_the_thread, false},
    {"stop against set of an earlier one", stop_against_set_of_an_earlier_one, false},
    {"a ring sets its alarm again", a_ring_sets_its_alarm_again, false},
    {"release against hold", release_against_hold, false},
    {"a watched context ends", a_watched_context_ends, false},
    {0},
};
