/* SPDX-License-Identifier: MIT */
/* room.c - the loop of a thread that waits for room: prepare, look, enter again, sleep.
 *
 * It prepares before it looks: a place that becomes free after that look finds it prepared, and one
 * that became free before is seen (wait/eventcount.c). The contexts are watched in the same way as
 * in wait/wait.c, but a cancellation ends the sleep of all, since they sleep on one word.
 */
#include "pool/room.h"

#include <errno.h>

#include "base/deadline.h"
#include "base/pace.h"
#include "os/thread.h"

void weir__room_idle(struct room *room)
{
    if (unlikely(room_wanted(room)))
        weir__eventcount_wake_another(&room->waiting);
}

void weir__room_wake_all(struct room *room)
{
    weir__eventcount_wake_all(&room->waiting);
}

/* A context of one of them is over. */
static void wake_all(struct sleeper *sleeper)
{
    weir__eventcount_wake_all(container_of(sleeper->park, struct eventcount, park));
}

static void cancel(struct eventcount *ec, bool timed)
{
    if (timed)
        eventcount_cancel_timed(ec);
    else
        eventcount_cancel(ec);
}

static int sleep_until(struct eventcount *ec, bool timed, uint32_t key, int64_t until)
{
    bool begun = sleep_begin();
    int err = timed
                  ? weir__eventcount_sleep_timed(ec, key, earlier(until, weir_after(ROOM_TIMED_NS)))
                  : weir__eventcount_sleep(ec, key, until);
    sleep_end(begun);
    return err;
}

int weir__room_wait(struct room *room, const struct room_wait *wait)
{
    struct eventcount *ec = &room->waiting;
    struct watch watch;
    weir__watch_begin(&watch, wait->contexts, &ec->park, wake_all);
    bool woken = false, timed = wait->timed;
    int64_t passed = INT64_MIN; /* says the timer: the clock may stand still, or lag behind it */
    int err;
    note_block(wait->told);
    for (;; timed = false) {
        uint32_t key = timed ? eventcount_prepare_timed(ec) : eventcount_prepare(ec);
        int64_t until;
        err = wait->look(wait->arg, passed, &until);
        if (err != -EAGAIN)
            break;
        note_still_blocked(wait->told); /* the look may have called callbacks, which run tasks */
        if (weir__watch_again(&watch)) {
            cancel(ec, timed);
            continue;
        }
        int slept = sleep_until(ec, timed, key, until);
        if (slept == 0)
            woken = true;
        else if (slept == -ETIMEDOUT && !timed)
            passed = until;
    }
    note_unblock();
    cancel(ec, timed);
    weir__watch_end(&watch);
    if (woken && room_wanted(room)) /* this one may have left the place to it */
        weir__eventcount_wake(ec);
    return err;
}
