/* SPDX-License-Identifier: MIT */
/* timers.c - tasks that wait for their time.
 *
 * A delayed task has its slot from the start, and keeps it: the slot is filled and claimable before
 * its time has come, and when it has, its number is pushed into the ring like any other. So who
 * cancels the task, runs it as its waiter or ends it as expired claims it in its slot, wherever it
 * is (pool/slab.h). The timer is what the slot waits in meanwhile; slot->timer says which.
 *
 * States of a timer: FREE -> WAITING -> DUE -> FREE; of one whose task is periodic, WAITING -> DUE
 * -> LEFT, and from there back to WAITING or to FREE. WAITING or DUE may be left early by a claim.
 * A task that is retried takes a timer only for its pauses; what is to be known between them is in
 * a struct repeat, which it has from its submit to its end.
 *
 * Who claimed a task whose slot names a timer takes it out (weir__timer_left). If it was pushed
 * meanwhile, slot->timer is 0 once the lock is held, and there is a dead ticket in the ring; or
 * that has come out already, and the slot is in use for another task: then its claim is another.
 *
 * The clock's thread moves what is due, in order of time, to `due` and from there into the ring. If
 * that is full it waits for room as a blocked submitter does, but wakes also for the next alarm and
 * when nothing is due any more. An earlier alarm need not wake it: it would wait for room as well.
 * The thread is there while a place is in use.
 *
 * Stray: the clock has let go of an alarm, but before it rings the task was claimed. The timer
 * waits for that ring before it is used for another task. There can be one of them.
 *
 * Lock: guards the timers and slot->timer, is held for a push; the clock's lock comes after it.
 * Callbacks are called without it.
 */
#include "pool/timers.h"

#include <errno.h>

#include "base/deadline.h"
#include "os/alloc.h"
#include "pool/pool.h"

/* Counters and slot->timer change under the lock. */
static void count_locked(atomic(uint64_t) *counter)
{
    add_seqcst(counter, 1);
}

static struct slot *slot_of(const weir_pool *pool, const struct timer *timer)
{
    return &pool->slab.slots[timer->slot - 1];
}

static uint32_t place_of(const struct timers *timers, const struct timer *timer)
{
    return (uint32_t)(timer - timers->all) + 1;
}

/* Places. */

static void on_ring(struct alarm *alarm);
static void on_over(struct alarm_clock *clock);

int weir__timers_init(weir_pool *pool, uint32_t places, uint32_t repeats)
{
    struct timers *timers = &pool->timers;
    lock_init(&timers->lock);
    weir__alarm_clock_init(&timers->clock, pool->name, false);
    timers->clock.on_over = on_over;
    list_init(&timers->waiting);
    list_init(&timers->due);
    timers->places = places;
    timers->all = weir__alloc_untouched((size_t)places + 1, sizeof *timers->all);
    timers->repeat_count = repeats;
    timers->repeats = weir__alloc_untouched(repeats, sizeof *timers->repeats);
    return timers->all != NULL && timers->repeats != NULL ? 0 : -ENOMEM;
}

void weir__timers_release(weir_pool *pool)
{
    weir__free(pool->timers.repeats);
    weir__free(pool->timers.all);
}

void weir__timers_join(weir_pool *pool)
{
    weir__timer_fence(pool); /* who pushed the last one may still give its place back */
    weir_assert(pool->timers.used == 0);
    weir__alarm_clock_destroy(&pool->timers.clock);
}

/* A free timer, and the clock's thread for as long as it is used. */
static int take_locked(weir_pool *pool, struct timer **ret)
{
    struct timers *timers = &pool->timers;
    if (timers->used == timers->places)
        return -EAGAIN;
    int err = weir__alarm_clock_hold(&timers->clock);
    if (err != 0)
        return err;
    struct timer *timer;
    if (timers->free != 0) {
        timer = &timers->all[timers->free - 1];
        timers->free = timer->next_free;
    } else {
        weir__slab_add(&pool->slab);
        timer = &timers->all[timers->fresh++];
        *timer = (struct timer){.pool = pool, .alarm.ring = on_ring};
    }
    timers->used++;
    *ret = timer;
    return 0;
}

static void free_locked(struct timers *timers, struct timer *timer)
{
    timer->next_free = timers->free;
    timers->free = place_of(timers, timer);
}

static void give_locked(struct timers *timers, struct timer *timer)
{
    timer->state = TIMER_FREE;
    timers->used--;
    if (!timer->stray)
        free_locked(timers, timer);
    weir__alarm_clock_release(&timers->clock);
}

uint32_t weir__repeat_keep(weir_pool *pool, const struct repeat *repeat, struct job *job)
{
    struct timers *timers = &pool->timers;
    lock_acquire(&timers->lock);
    uint32_t link = timers->free_repeat;
    if (link != 0)
        timers->free_repeat = timers->repeats[link - 1].next_free;
    else if (timers->fresh_repeat < timers->repeat_count)
        link = ++timers->fresh_repeat;
    lock_release(&timers->lock);
    if (link == 0)
        return 0;
    struct repeat *kept = &timers->repeats[link - 1];
    *kept = *repeat;
    job->fn = kept->run;
    job->arg = kept;
    return link | REPETITION_ON_FAILURE;
}

void weir__repetition_end(weir_pool *pool, uint32_t repetition)
{
    struct timers *timers = &pool->timers;
    uint32_t link = repetition & ~REPETITION_ON_FAILURE;
    lock_acquire(&timers->lock);
    if (link == repetition) {
        give_locked(timers, &timers->all[link - 1]);
    } else {
        timers->repeats[link - 1].next_free = timers->free_repeat;
        timers->free_repeat = link;
    }
    lock_release(&timers->lock);
}

/* Waiting. */

/* Puts the task into the slot and the slot into the timer. From here on others may claim the task;
 * they cannot end it before the lock is free. */
static void wait_locked(weir_pool *pool, struct timer *timer, uint32_t link, const struct job *job,
                        int64_t at)
{
    struct timers *timers = &pool->timers;
    struct slot *slot = &pool->slab.slots[link - 1];
    timer->slot = link;
    timer->state = TIMER_WAITING;
    list_append(&timers->waiting, &timer->link);
    count_locked(&timers->delayed);
    store_rlx(&slot->timer, place_of(timers, timer)); /* published by R11 */
    uint64_t claim = slot_fill(slot, job);
    weir__task_waits(owner_object(job->owner), claim, at);
    int err = weir__alarm_set(&timers->clock, &timer->alarm, at);
    weir_assert(err == 0); /* the clock is held */
    (void)err;
}

/* The clock's thread may wait for room: nothing is due any more. */
static void poke(weir_pool *pool)
{
    weir__eventcount_wake_all(&pool->room);
}

static uint32_t take_slot(weir_pool *pool)
{
    uint32_t link;
    while ((link = slab_take(&pool->slab, own_slots(pool))) == LINK_NONE)
        weir__thread_yield(); /* MARGIN slots are in the hands of threads inside a call */
    return link;
}

int weir__timer_add(weir_pool *pool, const struct job *job, int64_t at, bool repeats)
{
    struct timers *timers = &pool->timers;
    struct timer *timer;
    uint32_t link = take_slot(pool);
    lock_acquire(&timers->lock);
    int err = timers->closed ? -EPIPE : take_locked(pool, &timer);
    if (err == 0) {
        timer->repeats = repeats;
        if (repeats)
            weir__task_set_repetition(owner_object(job->owner), place_of(timers, timer));
        count_locked(&timers->accepted);
        wait_locked(pool, timer, link, job, at);
    }
    lock_release(&timers->lock);
    if (err != 0)
        slab_give(&pool->slab, own_slots(pool), link);
    return err;
}

/* The timer that the task waits in for its next run, or NULL. */
static struct timer *next_timer_locked(weir_pool *pool, uint32_t repetition)
{
    struct timer *timer;
    if ((repetition & REPETITION_ON_FAILURE) == 0)
        return &pool->timers.all[repetition - 1];
    if (take_locked(pool, &timer) != 0)
        return NULL;
    timer->repeats = false; /* it gives its place back before it runs */
    return timer;
}

/* When the task is to run next. False: not again. */
static bool next_run(weir_pool *pool, struct job *job, uint32_t repetition, int status,
                     int64_t *ret_at)
{
    void *task = owner_object(job->owner);
    if ((repetition & REPETITION_ON_FAILURE) == 0) {
        job->start_by = WEIR_FOREVER; /* it has started */
        *ret_at = weir__task_next_time(task);
        return true;
    }
    struct repeat *repeat = job->arg;
    weir__task_set_cause(task, status);
    return repeat->again(repeat, status,
                         earlier(job->start_by, weir_context_deadline(pool->context)), ret_at);
}

bool weir__timer_repeat(weir_pool *pool, const struct job *job, int status, weir_state *ret_end)
{
    struct timers *timers = &pool->timers;
    void *task = owner_object(job->owner);
    uint32_t repetition = weir__task_repetition(task);
    struct job next = *job;
    int64_t at;
    *ret_end = WEIR_TASK_FAILED;
    if (!next_run(pool, &next, repetition, status, &at))
        return false;
    uint32_t link = take_slot(pool);
    struct timer *timer = NULL;
    lock_acquire(&timers->lock);
    if (weir__task_cancelled(task) || (timers->closed && status == 0))
        *ret_end = WEIR_TASK_CANCELLED;
    else if (!timers->closed)
        timer = next_timer_locked(pool, repetition);
    if (timer != NULL)
        wait_locked(pool, timer, link, &next, at);
    lock_release(&timers->lock);
    if (timer == NULL)
        slab_give(&pool->slab, own_slots(pool), link);
    else
        weir__task_wake(task); /* who waits for it may run it */
    return timer != NULL;
}

void weir__timer_fence(weir_pool *pool)
{
    lock_acquire(&pool->timers.lock);
    lock_release(&pool->timers.lock);
}

/* Leaving. */

static void count_due_locked(struct timers *timers, struct timer *timer)
{
    if (!timer->counted)
        count_locked(&timers->due_in);
    timer->counted = true;
}

/* Before the task is pushed, or given to who claimed it: the counts are right when its end is seen.
 */
static void count_left_locked(struct timers *timers)
{
    sub_rlx(&timers->delayed, 1); /* a count by itself */
    count_locked(&timers->left);
}

static void count_back_locked(struct timers *timers)
{
    sub_rlx(&timers->left, 1); /* who reads it still acquires what was counted before */
    count_locked(&timers->delayed);
}

/* The task was pushed, or counted as off_ring: it is out of here. */
static void leave_locked(weir_pool *pool, struct timer *timer)
{
    list_remove(&timer->link);
    store_rlx(&slot_of(pool, timer)->timer, 0); /* read again under the lock */
    if (timer->counted)
        count_locked(&pool->timers.due_out);
    timer->counted = false;
    timer->state = TIMER_LEFT;
}

/* The task was claimed by this thread. */
static void take_out_locked(weir_pool *pool, struct timer *timer)
{
    if (timer->state == TIMER_WAITING && !weir__alarm_stop(&pool->timers.clock, &timer->alarm))
        timer->stray = true;
    count_left_locked(&pool->timers);
    COUNT(pool, off_ring);
    leave_locked(pool, timer);
}

bool weir__timer_left(weir_pool *pool, struct slot *slot, uint64_t claim)
{
    struct timers *timers = &pool->timers;
    lock_acquire(&timers->lock);
    uint32_t place = load_rlx(&slot->timer); /* changed under the lock */
    /* Under the lock no slot comes into a timer: if it is in one, the claim tells whose it is. */
    if (place == 0 || load_rlx(&slot->claim) != (claim | CLAIM_TAKEN)) {
        lock_release(&timers->lock);
        return false;
    }
    struct timer *timer = &timers->all[place - 1];
    uint32_t link = timer->slot;
    bool was_due = timer->state == TIMER_DUE;
    take_out_locked(pool, timer);
    if (!timer->repeats)
        give_locked(timers, timer);
    bool last = was_due && list_empty(&timers->due);
    lock_release(&timers->lock);
    slab_give(&pool->slab, own_slots(pool), link);
    if (last)
        poke(pool);
    return true;
}

/* Becoming due: on the clock's thread. */

static void note_due(struct alarm *alarm)
{
    struct timer *timer = container_of(alarm, struct timer, alarm);
    struct timers *timers = &timer->pool->timers;
    lock_acquire(&timers->lock);
    if (timer->stray) {
        timer->stray = false;
        if (timer->state == TIMER_FREE)
            free_locked(timers, timer);
    } else {
        weir_assert(timer->state == TIMER_WAITING);
        timer->state = TIMER_DUE;
        list_remove(&timer->link);
        list_append(&timers->due, &timer->link);
        count_due_locked(timers, timer);
    }
    lock_release(&timers->lock);
}

/* The first that is due and that nobody has claimed, or NULL. */
static struct timer *first_due_locked(const weir_pool *pool, uint64_t *ret_claim)
{
    const struct list *due = &pool->timers.due;
    for (struct list *at = due->next; at != due; at = at->next) {
        struct timer *timer = container_of(at, struct timer, link);
        /* Relaxed: it was filled under the lock. Whoever claims it meanwhile waits for the lock. */
        *ret_claim = load_rlx(&slot_of(pool, timer)->claim);
        if (!claim_taken(*ret_claim))
            return timer;
    }
    return NULL;
}

/* Ends the task if it has expired. */
static bool expire(weir_pool *pool, struct slot *slot, uint64_t claim, const struct job *job)
{
    if (job->start_by == WEIR_FOREVER || job->start_by > weir_now())
        return false;
    if (weir__take_out_of_turn(pool, slot, claim))
        weir__end_unstarted(pool, job, WEIR_TASK_EXPIRED);
    return true;
}

/* Pushes what is due. False: there is no room; `*ret_until` is when the first one will expire. */
static bool push_due(weir_pool *pool, int64_t *ret_until)
{
    struct timers *timers = &pool->timers;
    for (;;) {
        uint64_t claim;
        lock_acquire(&timers->lock);
        struct timer *timer = first_due_locked(pool, &claim);
        if (timer == NULL) {
            lock_release(&timers->lock);
            return true;
        }
        struct slot *slot = slot_of(pool, timer);
        struct job job;
        slot_read(slot, &job); /* it stays where it is while the lock is held */
        count_left_locked(timers);
        if (weir__push(pool, timer->slot - 1)) {
            leave_locked(pool, timer); /* if it was claimed meanwhile, the ticket is dead */
            if (!timer->repeats)
                give_locked(timers, timer);
            lock_release(&timers->lock);
            weir__wake_all(&pool->outside); /* a look before due_out grew saw no quiet */
            continue;
        }
        count_back_locked(timers);
        lock_release(&timers->lock);
        *ret_until = job.start_by;
        if (!expire(pool, slot, claim, &job))
            return false;
    }
}

/* Takes note of all that is due. Returns when the next one will be. */
static int64_t note_all_due(weir_pool *pool)
{
    struct alarm *alarm;
    int64_t next;
    while ((alarm = weir__alarm_take_due(&pool->timers.clock, &next)) != NULL)
        note_due(alarm);
    return next;
}

/* Until nothing is due. */
static void wait_for_room(weir_pool *pool)
{
    weir_context *watched = pool->timers.clock.watched;
    struct waiter watch = {
        .wake = weir__wake_submitters, .park = &pool->room.park, .contexts = {watched}};
    if (watched != NULL)
        weir__context_watch(&watch);
    bool woken = false;
    for (;;) {
        uint32_t key = eventcount_prepare(&pool->room);
        int64_t next = note_all_due(pool), first, head;
        if (weir_context_err(watched) != 0)
            weir__timers_close(pool, true);
        if (push_due(pool, &first))
            break;
        bool again = weir__clear_head(pool, INT64_MIN, &head);
        if (watched != NULL && waiter_woken(&watch)) {
            weir__waiter_add(&watch);
            again = true;
        }
        if (again)
            eventcount_cancel(&pool->room);
        else if (weir__eventcount_sleep(&pool->room, key, earlier(next, earlier(first, head))) == 0)
            woken = true;
    }
    eventcount_cancel(&pool->room);
    if (watched != NULL)
        weir__waiter_remove(&watch);
    if (woken) /* whatever became of what was due */
        eventcount_notify(&pool->room, load_rlx(&pool->ring.head));
}

static void on_ring(struct alarm *alarm)
{
    struct timer *timer = container_of(alarm, struct timer, alarm);
    weir_pool *pool = timer->pool;
    int64_t ignored;
    note_due(alarm);
    if (!push_due(pool, &ignored))
        wait_for_room(pool);
}

/* The end of all. */

/* Claims the task and moves its timer to `taken`. */
static void end_locked(weir_pool *pool, struct timer *timer, struct list *taken)
{
    struct slot *slot = slot_of(pool, timer);
    uint64_t claim = load_rlx(&slot->claim); /* filled under the lock; the CAS checks it */
    if (claim_taken(claim) || !slot_claim(slot, claim))
        return; /* whoever has it waits for the lock */
    take_out_locked(pool, timer);
    list_append(taken, &timer->link);
}

static void end_taken(weir_pool *pool, struct timer *timer)
{
    struct timers *timers = &pool->timers;
    uint32_t link = timer->slot;
    struct job job;
    slot_read(slot_of(pool, timer), &job);
    lock_acquire(&timers->lock);
    list_remove(&timer->link);
    if (!timer->repeats)
        give_locked(timers, timer);
    lock_release(&timers->lock);
    slab_give(&pool->slab, own_slots(pool), link);
    weir__end_unstarted(pool, &job, WEIR_TASK_CANCELLED);
}

void weir__timers_close(weir_pool *pool, bool all)
{
    struct timers *timers = &pool->timers;
    struct list taken, *at, *next;
    list_init(&taken);
    lock_acquire(&timers->lock);
    timers->closed = true;
    int64_t now = weir_now();
    for (at = timers->waiting.next; at != &timers->waiting; at = next) {
        struct timer *timer = container_of(at, struct timer, link);
        next = at->next;
        if (!all && timer->alarm.node.key <= now)
            count_due_locked(timers, timer); /* the clock's thread is a little late */
        else
            end_locked(pool, timer, &taken);
    }
    for (at = timers->due.next; all && at != &timers->due; at = next) {
        next = at->next;
        end_locked(pool, container_of(at, struct timer, link), &taken);
    }
    lock_release(&timers->lock);
    if (all)
        poke(pool);
    while (!list_empty(&taken))
        end_taken(pool, container_of(taken.next, struct timer, link));
}

static void on_over(struct alarm_clock *clock)
{
    struct timers *timers = container_of(clock, struct timers, clock);
    weir__timers_close(container_of(timers, weir_pool, timers), true);
}
