/* SPDX-License-Identifier: MIT */
/* descriptor.c - jobs that wait until a descriptor is ready.
 *
 * Such a job is a delayed one whose time is when it expires, mostly never. The thread that is told
 * of its descriptor (sync/reactor.h) pushes it, under the lock of the places. Where there is no
 * room, or others are due before it, it makes the alarm ring, and the clock's thread does what it
 * does for any job that is due. The end of the job's context makes the alarm ring too: then the job
 * is queued, and ends as CANCELLED or EXPIRED when its turn comes.
 *
 * The clock is held from the first such job until the pool is joined: its thread is seldom needed,
 * but must not be started for each of them, nor fail to start.
 *
 * A call that comes late, when the place was left, finds another `use` in it.
 *
 * Locks: that of the places comes first; then the reactor's, the clock's, and those of hooks and
 * waits, in which none of the others is taken. A hook is stopped before its place is left, under
 * the lock of the places. If its call is under way, that is waited for: the call (on_over) takes
 * the clock's lock, those of a wake, and no other. So it never waits for the thread that waits for
 * it, and place and pool are there until it returns.
 */
#include "pool/descriptor.h"

#include <errno.h>

#include "os/alloc.h"
#include "pool/due.h"
#include "pool/places.h"
#include "sync/hook.h"
#include "sync/reactor.h"

struct descriptor {
    struct interest interest;
    struct delay_place *place;
    weir_context_hook hook; /* of the job's context */
    bool hooked;
};

static struct descriptor *descriptor_of(const struct delay *delay, const struct delay_place *place)
{
    return &delay->of_descriptors[place - delay->all - delay->descriptors.begin];
}

static int init(struct delay *delay)
{
    uint32_t places = delay->descriptors.places;
    if (places == 0)
        return 0;
    struct descriptor *all = weir__alloc_untouched((size_t)places + 1, sizeof *all);
    if (all == NULL || weir__reactor_hold(places) != 0) {
        weir__free(all);
        return -ENOMEM;
    }
    delay->of_descriptors = all;
    return 0;
}

/* The job's descriptor was closed, and what its number names now is another file. */
static void cancel(struct delay *delay, struct slot *slot, uint64_t claim, const struct job *job)
{
    if (weir__delay_claim(delay, slot, claim))
        weir__end_unstarted(delay->host, job, WEIR_TASK_CANCELLED);
}

static void on_ready(struct interest *interest, uint64_t use, unsigned ready)
{
    struct delay_place *place = container_of(interest, struct descriptor, interest)->place;
    struct delay *delay = place->delay;
    struct queue *queue = delay->host->queue;
    struct slot *slot = NULL;
    struct job job;
    uint64_t claim = CLAIM_TAKEN;
    bool pushed = false;
    lock_acquire(&delay->lock);
    if (interest->use == use && place->state == PLACE_WAITING) {
        slot = slot_in(delay, place);
        claim = load_rlx(&slot->claim); /* filled under the lock, as is the job */
        slot_read(slot, &job);
    }
    if (!claim_taken(claim) && ready != 0) /* a thread that claims it waits for the lock */
        pushed = weir__due_let_in_locked(delay, place);
    lock_release(&delay->lock);
    if (pushed)
        quiet_out(&queue->quiet, own_tally(queue)); /* of its wait */
    else if (!claim_taken(claim) && ready == 0)
        cancel(delay, slot, claim, &job);
}

static void on_over(void *arg)
{
    struct delay_place *place = arg;
    (void)place_move_alarm(place->delay, place, weir_now());
}

static int keep_clock_locked(struct delay *delay)
{
    int err = delay->keeps_clock ? 0 : weir__alarm_clock_hold(&delay->clock);
    if (err == 0)
        delay->keeps_clock = true;
    return err;
}

static void unhook_locked(struct descriptor *descriptor)
{
    if (descriptor->hooked)
        (void)weir_context_hook_stop(&descriptor->hook);
    descriptor->hooked = false;
}

static void release(struct delay *delay, bool inherited)
{
    if (!inherited)
        weir__reactor_release(delay->descriptors.places);
    for (uint32_t i = 0; inherited && i < delay->descriptors.fresh; i++)
        unhook_locked(&delay->of_descriptors[i]); /* only gives the context back, in a child */
    weir__free(delay->of_descriptors);
}

/* What is constant from here on, a late call reads without the lock. */
static void make_locked(struct delay *delay, struct delay_place *place)
{
    *descriptor_of(delay, place) = (struct descriptor){.place = place, .interest.ready = on_ready};
}

static int enter_locked(struct delay *delay, struct delay_place *place,
                        const struct wait_for_time *wait)
{
    struct descriptor *descriptor = descriptor_of(delay, place);
    weir_context *ctx = wait->job->context;
    int err = keep_clock_locked(delay);
    if (err == 0 && ctx != NULL) {
        err = weir__context_on_cancel(ctx, &descriptor->hook, on_over, place);
        descriptor->hooked = err == 0;
    }
    if (err == 0)
        err = weir__reactor_add(&descriptor->interest, wait->fd, wait->events);
    if (err != 0)
        unhook_locked(descriptor);
    return err;
}

static void entered_locked(struct delay *delay, struct delay_place *place, const struct job *job)
{
    /* The hook may have found the alarm not yet set. */
    if (job->context != NULL && weir_context_err(job->context) != 0)
        (void)place_move_alarm(delay, place, weir_now());
}

static void leave_locked(struct delay *delay, const struct delay_place *place)
{
    struct descriptor *descriptor = descriptor_of(delay, place);
    weir__reactor_remove(&descriptor->interest);
    unhook_locked(descriptor);
}

const struct descriptor_ops weir__descriptor_ops = {
    .init = init,
    .release = release,
    .make_locked = make_locked,
    .enter_locked = enter_locked,
    .entered_locked = entered_locked,
    .leave_locked = leave_locked,
};
