/* SPDX-License-Identifier: MIT */
/* due.c - jobs that have waited long enough: from their places into the queue.
 *
 * The clock's thread moves what is due, in order of time, to `due` and from there into the ring of
 * its lane: that of the most urgent lane first, and with a look at the alarms after each PUSHES
 * jobs. If lanes are full it waits for room in all of them at once, apart from the submitters
 * (clock_room), and wakes also for the next alarm and when nothing is due any more. An earlier
 * alarm may be for another lane, or ring at a gate, and so need no room: the first thread that sets
 * one wakes it (place_call_clock).
 *
 * It is not woken for each place. It says which lanes are full, and looks once more after it has
 * said that of another one: so a place that becomes free there before it is seen, and one that
 * does so later wakes it. And once it has pushed something and there is more, it makes a timed wait
 * (room.h), in which room for many comes together; after one that has brought no room, it waits
 * until it is woken. So the workers wake it some times for a burst of jobs, and nothing is polled.
 * A worker that runs out of jobs ends a timed wait.
 *
 * A job with a gate is not due when its time has come: it enters the gate then. There its alarm
 * stays set, for the time at which it expires, for the gate's own purposes, or because its context
 * is over: then the clock's thread ends it. The thread that finds that it is its turn pushes it.
 * Where there is no room, or others are due before it, the clock's thread does that.
 *
 * Nothing is called under the lock but what says that it is (gate.h, job.h).
 */
#include "pool/due.h"

#include <errno.h>

#include "base/deadline.h"
#include "base/pace.h"
#include "pool/places.h"

/* When the job in the place expires. */
static int64_t expiry_of(const struct delay *delay, const struct delay_place *place)
{
    return load_rlx(&slot_in(delay, place)->start_by); /* filled under the lock */
}

/* The job may start: a thread that waits for it may run it. */
static void tell_let_in_locked(struct delay *delay, struct delay_place *place, int64_t now)
{
    struct slot *slot = slot_in(delay, place);
    struct sink *sink = load_rlx(&slot->sink); /* filled under the lock */
    if (place_for_descriptor(place))
        delay->descriptor_ops->leave_locked(delay, place);
    place->let_in = true;
    store_rlx(&slot->stamp, queue_stamp_at(delay->host->queue, now)); /* published by the push */
    sink_ops(sink)->let_in(sink, now);
}

/* Those that are due before the job in the place, or will be behind it. */
static struct list *due_of(struct delay *delay, const struct delay_place *place)
{
    return &delay->due[slot_lane(slot_in(delay, place))];
}

/* To `due`, in order of time. */
static void fall_due_locked(struct delay *delay, struct delay_place *place)
{
    weir__place_leave_gate_locked(place);
    place_arrive_locked(delay, place);
    place->state = PLACE_DUE;
    list_remove(&place->link);
    list_append(due_of(delay, place), &place->link);
}

/* The alarm of a place rang in which the job waits, or is at its gate. Returns the gate to look at,
 * or NULL. */
static struct job_gate *ring_locked(struct delay *delay, struct delay_place *place, int64_t now)
{
    weir_assert(place->state == PLACE_WAITING || place->state == PLACE_GATED);
    int64_t expires = expiry_of(delay, place);
    struct job_gate *gate = place->pass != NULL && !place->let_in ? place->pass->gate : NULL;
    if (gate != NULL && expires > now)
        return place_enter_locked(delay, place, expires) ? gate : NULL;
    if (place_for_descriptor(place) && !place->let_in)
        tell_let_in_locked(delay, place, weir_now());
    fall_due_locked(delay, place);
    return NULL;
}

static bool has_expired(const struct job *job, int64_t now)
{
    return job->start_by != WEIR_FOREVER && job->start_by <= now;
}

/* Unless another thread has it. No lock is held. */
static void end_waiting(struct delay *delay, struct slot *slot, uint64_t claim,
                        const struct job *job, weir_state why)
{
    if (weir__delay_claim(delay, slot, claim))
        weir__end_unstarted(delay->host, job, why);
}

/* The alarm of the place rings. Has the job expired before its gate or at it, or was its context
 * cancelled? Then it ends at once, whatever else is due. Returns how, and the job; or IDLE. */
static weir_state over_locked(const struct delay *delay, const struct delay_place *place,
                              int64_t now, uint64_t *ret_claim, struct job *ret)
{
    if (place->pass == NULL || place->let_in)
        return WEIR_TASK_IDLE;
    slot_read(slot_in(delay, place), ret); /* filled under the lock, as is the claim */
    *ret_claim = load_rlx(&slot_in(delay, place)->claim);
    if (claim_taken(*ret_claim)) /* that thread waits for the lock */
        return WEIR_TASK_IDLE;
    if (has_expired(ret, now))
        return WEIR_TASK_EXPIRED;
    return weir_context_err(ret->context) == -ECANCELED ? WEIR_TASK_CANCELLED : WEIR_TASK_IDLE;
}

/* On the clock's thread, for each alarm that has come. A gate is not rung for a job that ends: the
 * job's leave makes it look, and on_done may wait until no thread owes it a look. */
static void note_due(struct alarm *alarm)
{
    struct delay_place *place = container_of(alarm, struct delay_place, alarm);
    struct delay *delay = place->delay;
    struct job_gate *gate = NULL;
    weir_state over = WEIR_TASK_IDLE;
    struct slot *slot = NULL;
    struct job job;
    uint64_t claim;
    int64_t now = weir_now(); /* one time for both: the gate of a job that has not expired rings */
    lock_acquire(&delay->lock);
    if (place->stray) {
        place->stray = false;
        if (place->state == PLACE_FREE)
            place_free_locked(delay, place);
    } else {
        slot = slot_in(delay, place);
        over = over_locked(delay, place, now, &claim, &job);
        if (over != WEIR_TASK_IDLE)
            place_set_alarm_locked(delay, place, WEIR_FOREVER); /* till a claim */
        else
            gate = ring_locked(delay, place, now);
    }
    lock_release(&delay->lock);
    if (over != WEIR_TASK_IDLE)
        end_waiting(delay, slot, claim, &job, over);
    if (gate != NULL)
        gate->ops->look(gate);
}

/* The first in the list that no thread has claimed, or NULL. */
static struct delay_place *first_due_locked(const struct delay *delay, const struct list *due,
                                            uint64_t *ret_claim)
{
    for (struct list *at = due->next; at != due; at = at->next) {
        struct delay_place *place = container_of(at, struct delay_place, link);
        /* Relaxed: it was filled under the lock. A thread that claims it waits for the lock. */
        *ret_claim = load_rlx(&slot_in(delay, place)->claim);
        if (!claim_taken(*ret_claim))
            return place;
    }
    return NULL;
}

/* False: there is no room. */
static bool push_locked(struct delay *delay, struct delay_place *place)
{
    struct queue *queue = delay->host->queue;
    sub_rlx(&delay->delayed, 1); /* before the end of the job can be seen */
    COUNT(queue, besides, -1);   /* the push counts it */
    if (!weir__queue_put_slot(queue, place->slot)) {
        COUNT(queue, besides, 1);
        add_rlx(&delay->delayed, 1);
        return false;
    }
    place_leave_locked(delay, place); /* if it was claimed meanwhile, the ticket is dead */
    if (!place_kept(place))
        place_give_locked(delay, place);
    return true;
}

/* Pushes what is due in one lane, or ends it if it has expired, as far as `*looks` goes. False:
 * there is no room; `*ret_until` is when the first one will expire. */
static bool push_list(struct delay *delay, const struct list *due, unsigned *looks,
                      int64_t *ret_until)
{
    struct queue *queue = delay->host->queue;
    for (; *looks > 0; --*looks) {
        uint64_t claim;
        lock_acquire(&delay->lock);
        struct delay_place *place = first_due_locked(delay, due, &claim);
        if (place == NULL) {
            lock_release(&delay->lock);
            return true;
        }
        struct slot *slot = slot_in(delay, place);
        struct job job;
        slot_read(slot, &job); /* it stays where it is while the lock is held */
        bool periodic = place->periodic, expired = has_expired(&job, weir_now());
        bool pushed = !expired && push_locked(delay, place);
        lock_release(&delay->lock);
        if (pushed && !periodic)
            quiet_out(&queue->quiet, own_tally(queue)); /* of its wait */
        *ret_until = job.start_by;
        if (expired)
            end_waiting(delay, slot, claim, &job, WEIR_TASK_EXPIRED);
        else if (!pushed)
            return false;
    }
    return true;
}

/* So many jobs are pushed, or ended, at once. Then something more urgent may be due. */
enum { PUSHES = 64 };

struct pushed {
    bool any, more; /* more: it stopped after PUSHES */
    bool in_long;   /* all lanes that have no room are long enough for timed waits */
    uint32_t full;  /* their bits */
    int64_t until;  /* when the first job there will expire */
};

/* In each lane, the most urgent first. False: nothing is due any more. */
static bool push_due(struct delay *delay, struct pushed *ret)
{
    const struct queue *queue = delay->host->queue;
    unsigned looks = PUSHES;
    *ret = (struct pushed){.until = WEIR_FOREVER, .in_long = true};
    for (unsigned k = 0; k < queue->lane_count; k++) {
        const struct lane *lane = queue_lane(queue, k);
        int64_t until;
        if (push_list(delay, &delay->due[lane->number], &looks, &until))
            continue;
        ret->full |= lane_bit(lane);
        ret->in_long = ret->in_long && lane->ring.capacity >= DUE_TIMED_FROM;
        ret->until = earlier(ret->until, until);
    }
    ret->any = looks < PUSHES;
    ret->more = looks == 0;
    return ret->full != 0 || ret->more;
}

/* Says which lanes it waits for. False: another one than before; then it has to look again. */
static bool says_wanted(struct queue *queue, uint32_t full)
{
    uint32_t before = load_rlx(&queue->clock_wants); /* this thread alone writes it */
    if (before != full)
        (void)xchg_seqcst(&queue->clock_wants, full); /* pairs with clock_wants_room */
    return (full & ~before) == 0;
}

/* weir__clear_head of each of these lanes. */
static bool clear_heads(struct delay *delay, uint32_t full, int64_t passed, int64_t *ret_until)
{
    bool cleared = false;
    *ret_until = WEIR_FOREVER;
    for (uint32_t n = 0; n < delay->host->queue->lane_count; n++) {
        int64_t until;
        if ((full >> n & 1) == 0)
            continue;
        cleared |= weir__clear_head(delay->host, n, passed, &until);
        *ret_until = earlier(*ret_until, until);
    }
    return cleared;
}

struct due_wait {
    struct delay *delay;
    bool timed; /* it is about to make a timed wait */
};

/* The clock's thread looks for room, and at everything else that it has to do. -EINPROGRESS: it has
 * pushed something, and a timed wait shall follow. */
static int look(void *arg, int64_t passed, int64_t *ret_until)
{
    struct due_wait *wait = arg;
    struct delay *delay = wait->delay;
    struct pushed pushed;
    struct alarm *alarm;
    int64_t next, head;
    bool any = false;
    do {
        while ((alarm = weir__alarm_take_due(&delay->clock, &next)) != NULL)
            note_due(alarm);
        if (weir_context_err(delay->clock.watched) != 0)
            weir__delay_close(delay, true);
        if (!push_due(delay, &pushed))
            return 0;
        any |= pushed.any;
    } while (pushed.more || !says_wanted(delay->host->queue, pushed.full) ||
             clear_heads(delay, pushed.full, passed, &head));
    if (any && pushed.in_long && !wait->timed)
        return -EINPROGRESS;
    wait->timed = false;
    *ret_until = earlier(next, earlier(pushed.until, head));
    return -EAGAIN;
}

/* Until nothing is due any more. */
static void wait_for_room(struct delay *delay)
{
    struct due_wait due = {.delay = delay};
    struct room_wait wait = {.look = look, .arg = &due, .contexts = {delay->clock.watched}};
    while (weir__room_wait(&delay->host->queue->clock_room, &wait) == -EINPROGRESS)
        wait.timed = due.timed = true;
}

void weir__due_ring(struct alarm *alarm)
{
    struct delay *delay = container_of(alarm, struct delay_place, alarm)->delay;
    struct pushed pushed;
    note_due(alarm);
    if (push_due(delay, &pushed))
        wait_for_room(delay);
}

/* Gates and descriptors. */

static struct delay_place *place_of(const struct pass *pass)
{
    return &pass->delay->all[pass - pass->delay->passes];
}

/* The job is at the gate, and no thread has claimed it. One that does from here on waits for the
 * lock. */
static bool at_gate_locked(const struct delay *delay, const struct delay_place *place)
{
    /* Relaxed: it was filled under the lock. */
    return place->state == PLACE_GATED && !claim_taken(load_rlx(&slot_in(delay, place)->claim));
}

bool weir__due_ring_at(struct pass *pass, int64_t at)
{
    struct delay *delay = pass->delay;
    struct delay_place *place = place_of(pass);
    lock_acquire(&delay->lock);
    bool there = at_gate_locked(delay, place);
    if (there) { /* false: it is about to ring */
        int64_t first = earlier(at, expiry_of(delay, place));
        (void)place_move_alarm(delay, place, first);
        place_heed_context_locked(delay, place);
    }
    lock_release(&delay->lock);
    return there;
}

bool weir__due_let_in_locked(struct delay *delay, struct delay_place *place)
{
    int64_t now = weir_now();
    weir__place_leave_gate_locked(place);
    place->state = PLACE_WAITING;
    tell_let_in_locked(delay, place, now);
    uint32_t lane = slot_lane(slot_in(delay, place));
    bool first = delay->on_way[lane] == 0 && list_empty(&delay->due[lane]);
    if (!first || !weir__alarm_stop(&delay->clock, &place->alarm)) {
        (void)place_move_alarm(delay, place, now); /* false: it is about to ring */
    } else {
        if (push_locked(delay, place))
            return true;
        place_set_alarm_locked(delay, place, now);
    }
    place->on_way = true;
    delay->on_way[lane]++; /* so that none that is let in later goes before it */
    return false;
}

bool weir__due_let_in(struct pass *pass)
{
    struct delay *delay = pass->delay;
    struct queue *queue = delay->host->queue;
    struct delay_place *place = place_of(pass);
    lock_acquire(&delay->lock);
    bool there = at_gate_locked(delay, place);
    bool pushed = there && weir__due_let_in_locked(delay, place);
    lock_release(&delay->lock);
    if (pushed)
        quiet_out(&queue->quiet, own_tally(queue)); /* of its wait */
    return there;
}
