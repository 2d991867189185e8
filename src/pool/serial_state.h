/* SPDX-License-Identifier: MIT */
/* serial_state.h - a serial: tasks that run one after the other, or so many at once, in order.
 *
 * The tasks are listed by links in their handles (task.h). A thread that has a turn takes them from
 * the head, one by one, and runs each as any other job (run.h). Turns come to a serial by a ticket
 * in the queue of its pool, of which it has one at most (turn.h).
 *
 * place:
 *
 *   from           to           when
 *   NOWHERE        TICKET       a task comes, and the queue has room
 *   NOWHERE        LENT         a task comes, the queue is full, and the thread that brings it is
 *                               to run it in place
 *   TICKET         KEPT         a popper brings the ticket: its turn begins, if it may
 *   TICKET         NOWHERE      no task is left: the ticket is made a dead one
 *   KEPT           TICKET       tasks are left for another turn
 *   KEPT, LENT     NOWHERE      no task is left, and none runs
 *   LENT           TICKET       the queue has room meanwhile
 *
 * Invariants:
 *   I1  A serial with a task that is queued or runs is somewhere. While it is LENT, a thread runs
 *       tasks of it, and goes on until it is not.
 *   I2  running <= parallel. If tasks are queued and running < parallel, it has a TICKET.
 *   I3  A thread that will use the serial again, once it has let go of the mutex, is counted in
 *       `holders`, or brings the ticket. So one that is NOWHERE without holders is nobody's but
 *       its owner's, who may free it.
 *   I4  A task is in the list when, under the mutex, its owner is this serial, its claim is not 0,
 *       and its state is QUEUED: looked at in the order claim, owner, state.
 *
 * Who wakes whom. A task's end wakes its waiters, as ever. A place below the limit that becomes
 * free wakes one that waits under the address of `limit`. The last holder of a serial without tasks
 * wakes those that wait under its own (drain, destroy). A thread that could help, but finds that as
 * many as may are at work, sets `wanted`, and notes the task that it waits for, if it does: when
 * that is over and tasks are left, all that may help are woken, whatever they wait for. All of
 * these look under the mutex after they are entered as waiters, and are woken after a change under
 * the mutex.
 *
 * Lock: the mutex guards all but what is atomic, and the links of listed tasks. A ticket is put and
 * made dead under it; no callback of the user's is called. A thread stopped with the mutex holds up
 * this serial, and the workers that come to it.
 */
#ifndef WEIR_POOL_SERIAL_STATE_H
#define WEIR_POOL_SERIAL_STATE_H

#include "weir/serial.h"

#include "base/list.h"
#include "pool/pool.h"
#include "sync/mutex.h"

enum serial_place { NOWHERE, TICKET, KEPT, LENT };

enum { NOTED = 3, MOST_IN_A_BATCH = (1 << 28) - 1 };

struct __attribute__((may_alias)) serial {
    weir_pool *pool; /* constant, as the next five; NULL: it is none */
    uint32_t fork;   /* fork_count() when it was made */
    uint32_t parallel;
    uint32_t batch : 28, lane : 4; /* of its ticket, as it is numbered in jobs */
    struct mutex mutex;
    uint64_t limit;   /* of queued ones; UINT64_MAX: none */
    struct sink sink; /* of its turns */
    struct list tasks;
    atomic(uint64_t) queued; /* in the list; changed under the mutex */
    atomic(uint64_t) left;   /* accepted and not ended */
    uint32_t running;        /* threads that take tasks from the head */
    uint32_t holders;        /* those, and threads that end a task which they took out */
    uint64_t claim;          /* of its TICKET */
    uint8_t place;           /* enum serial_place */
    bool closed;
    bool wanted;
    uint8_t noted;                  /* of the next; more than NOTED: any task may be waited for */
    const void *tasks_noted[NOTED]; /* only addresses: they may be gone */
    void (*emptied)(struct serial *serial); /* called, under the mutex, when drained; or NULL */
};

_Static_assert(sizeof(struct serial) <= sizeof(weir_serial), "fits");

/* A serial that a thread is at work on, innermost first: also while it waits in a task. */
struct hold {
    struct hold *below;
    struct serial *serial;
};

static inline bool serial_stale(const struct serial *serial)
{
    return unlikely(serial->fork != fork_count());
}

/* Has it no task, and is nobody at work on it? */
static inline bool serial_drained_locked(const struct serial *serial)
{
    return serial->holders == 0 && list_empty(&serial->tasks);
}

static inline uint64_t serial_queued(const struct serial *serial)
{
    return load_rlx(&serial->queued); /* under the mutex, or a number to look at */
}

#endif
