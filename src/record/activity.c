/* SPDX-License-Identifier: MIT */
/* activity.c - see activity.h; and the table for threads that are not workers.
 *
 * A place in the table is taken by a CAS and given back by a store. It is taken again mostly by the
 * thread that had it before, so that the CAS is on a line of its own.
 *
 * fork: the child has none of the threads in the table, and its own thread is in nothing that it
 * may still end (a task that forked must not return).
 */
#include "record/activity.h"

#include "os/fork.h"
#include "weir/clock.h"

struct activity weir__other_activities[ACTIVITY_OTHERS];
static atomic(unsigned) used; /* places that were ever taken */

static void reset_after_fork(void)
{
    for (unsigned i = 0; i < load_rlx(&used); i++) /* one thread */
        store_rlx(&weir__other_activities[i].taken, 0);
    this_thread()->activity = NULL;
    this_thread()->id = 0;
}

__attribute__((constructor)) static void watch_forks(void)
{
    (void)weir__at_fork_child(reset_after_fork); /* fails only if memory ends while loading */
}

/* The place of a thread. */

static bool take(struct activity *activity)
{
    uint32_t free = 0;
    /* Pairs with weir__activity_give: what the last owner noted comes before what this one does. */
    return load_rlx(&activity->taken) == 0 && cas_acq(&activity->taken, &free, 1);
}

static void begin(struct self *self, struct activity *activity, uint64_t flags)
{
    uint64_t state = load_rlx(&activity->state) & ~(ACTIVITY_CHANGE - 1); /* ours */
    store_rel(&activity->thread, weir__thread_id()); /* pairs with weir__activity_read */
    /* pairs with weir__activity_read */
    store_rel(&activity->state, state + ACTIVITY_CHANGE + flags);
    self->activity = activity;
}

COLD struct activity *weir__activity_take(struct self *self)
{
    unsigned i = self->place;
    if (!take(&weir__other_activities[i]))
        for (i = 0; i < ACTIVITY_OTHERS && !take(&weir__other_activities[i]);)
            i++;
    if (i == ACTIVITY_OTHERS)
        return NULL;
    unsigned most = load_rlx(&used);
    while (i >= most && !cas_rlx(&used, &most, i + 1)) /* a hint: readers look at `taken` too */
        continue;
    self->place = i;
    begin(self, &weir__other_activities[i], ACTIVITY_OTHER);
    return self->activity;
}

void weir__activity_give(struct self *self)
{
    struct activity *activity = self->activity;
    self->activity = NULL;
    store_rel(&activity->taken, 0); /* pairs with take */
}

void weir__activity_begin(struct self *self, struct activity *activity)
{
    int64_t now = weir_now();
    store_rlx(&activity->stamp, now); /* a number by itself, as the next one */
    if (load_rlx(&activity->begun) == 0)
        store_rlx(&activity->begun, now);
    if ((load_rlx(&activity->state) & ACTIVITY_PARKED) != 0) /* the thread before it has left */
        stopwatch_stop(&activity->idle, now);
    begin(self, activity, 0);
}

void weir__activity_end(struct self *self)
{
    weir__activity_unblock(self); /* it may have died between weir_blocking_begin and _end */
    weir__activity_park(self);
    self->activity = NULL;
}

/* What the thread does. */

COLD void weir__activity_tell_name(struct activity_level *level, const char *name)
{
    uint64_t words[ACTIVITY_NAME / sizeof(uint64_t)] = {0};
    size_t length = strnlen(name, ACTIVITY_NAME - 1);
    memcpy(words, name, length);
    for (size_t i = 0; i <= length / sizeof(uint64_t); i++)
        store_rel(&level->name[i], words[i]); /* pairs with read_level */
}

static void change(struct activity *activity, uint64_t flag)
{
    uint64_t state = load_rlx(&activity->state) ^ flag;   /* ours */
    store_rel(&activity->state, state + ACTIVITY_CHANGE); /* pairs with weir__activity_read */
}

void weir__activity_block(struct self *self, struct told told)
{
    struct activity *activity = self->activity;
    if (told.call == NULL || (activity == NULL && (activity = weir__activity_take(self)) == NULL))
        return;
    if ((load_rlx(&activity->state) & ACTIVITY_BLOCKED) != 0) /* ours: within another one */
        return;
    int64_t now = weir_now();
    store_rel(&activity->call, told.call);     /* pairs with weir__activity_read */
    store_rel(&activity->object, told.object); /* pairs with weir__activity_read */
    store_rel(&activity->awaited, told.sink);  /* pairs with weir__activity_read */
    store_rel(&activity->since, now);          /* pairs with weir__activity_read */
    stopwatch_start(&activity->blocked, now);
    change(activity, ACTIVITY_BLOCKED);
}

void weir__activity_unblock(struct self *self)
{
    struct activity *activity = self->activity;
    if (self->blocking != 0 && self->seat != NULL) /* the wait was inside of that */
        return;
    if (activity == NULL || (load_rlx(&activity->state) & ACTIVITY_BLOCKED) == 0) /* ours */
        return;
    stopwatch_stop(&activity->blocked, weir_now());
    change(activity, ACTIVITY_BLOCKED);
    uint64_t state = load_rlx(&activity->state); /* ours */
    if ((state & ACTIVITY_OTHER) != 0 && activity_levels(state) == 0)
        weir__activity_give(self);
}

void weir__activity_park(struct self *self)
{
    struct activity *activity = self->activity;
    if (activity == NULL)
        return;
    int64_t now = weir_now();
    store_rel(&activity->since, now); /* pairs with weir__activity_read */
    stopwatch_start(&activity->idle, now);
    change(activity, ACTIVITY_PARKED);
}

void weir__activity_unpark(struct self *self, bool woken)
{
    struct activity *activity = self->activity;
    if (activity == NULL)
        return;
    int64_t now = weir_now();
    stopwatch_stop(&activity->idle, now);
    store_rlx(&activity->stamp, now); /* a number by itself, as the next two */
    store_rlx(&activity->parks, load_rlx(&activity->parks) + 1);
    if (woken)
        store_rlx(&activity->wakes, load_rlx(&activity->wakes) + 1);
    change(activity, ACTIVITY_PARKED);
}

void weir__activity_own_name(const struct self *self, uintptr_t *ret_fn, uint64_t ret[], size_t n)
{
    const struct activity *activity = self->activity;
    /* All of this is the caller's own. */
    unsigned depth = activity != NULL ? activity_levels(load_rlx(&activity->state)) : 0;
    *ret_fn = 0;
    memset(ret, 0, n * sizeof ret[0]);
    if (depth == 0 || depth > ACTIVITY_LEVELS)
        return;
    const struct activity_level *level = &activity->levels[depth - 1];
    *ret_fn = load_rlx(&level->fn);
    if ((load_rlx(&level->began) & 1) == 0)
        return;
    for (size_t i = 0; i < n; i++) {
        ret[i] = load_rlx(&level->name[i]);
        if (memchr(&ret[i], '\0', sizeof ret[i]) != NULL)
            return;
    }
    ((char *)ret)[n * sizeof ret[0] - 1] = '\0';
}

/* Reading. */

static void read_level(const struct activity_level *level, struct activity_view_level *ret)
{
    uint64_t words[ACTIVITY_NAME / sizeof(uint64_t)] = {0};
    uint64_t began = load_acq(&level->began); /* pairs with activity_run */
    ret->fn = load_acq(&level->fn);           /* pairs with activity_run */
    ret->since = (int64_t)(began >> 1);
    ret->sink = ret->owner = NULL;
    if ((began & 1) != 0) {
        ret->sink = load_acq(&level->sink);   /* pairs with activity_tell_more */
        ret->owner = load_acq(&level->owner); /* pairs with activity_tell_more */
        for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
            /* Pairs with activity_tell_more, weir__activity_tell_name. */
            words[i] = load_acq(&level->name[i]);
            if (memchr(&words[i], '\0', sizeof words[i]) != NULL)
                break;
        }
    }
    memcpy(ret->name, words, ACTIVITY_NAME);
    ret->name[ACTIVITY_NAME - 1] = '\0'; /* it is there already if nothing moved */
}

bool weir__activity_read(const struct activity *activity, struct activity_view *ret)
{
    enum { TRIES = 100 };
    for (unsigned i = 0; i < TRIES; i++) {
        /* Pairs with activity_run, activity_ran, change, begin. */
        ret->state = load_acq(&activity->state);
        ret->stamp = load_rlx(&activity->stamp);     /* a number by itself */
        ret->thread = load_acq(&activity->thread);   /* pairs with begin */
        ret->call = load_acq(&activity->call);       /* pairs with weir__activity_block */
        ret->object = load_acq(&activity->object);   /* pairs with weir__activity_block */
        ret->awaited = load_acq(&activity->awaited); /* pairs with weir__activity_block */
        /* Pairs with weir__activity_block, weir__activity_park. */
        ret->since = load_acq(&activity->since);
        ret->levels = activity_levels(ret->state);
        if (ret->levels > ACTIVITY_LEVELS)
            ret->levels = ACTIVITY_LEVELS;
        for (unsigned k = 0; k < ret->levels; k++)
            read_level(&activity->levels[k], &ret->level[k]);
        if (load_rlx(&activity->state) == ret->state) /* a later one is seen: activity.h */
            return true;
    }
    ret->levels = 0;
    return false;
}
