/* SPDX-License-Identifier: MIT */
/* wait.h - how anything in weir blocks: the page to read before writing a new blocking object.
 *
 * A thread blocks in weir__wait_until, or on an event count (eventcount.h: idle workers, and
 * submitters that wait for room). There is no third way, but for the thread that a signal handler
 * has to wake (os/signals.c). Both can be ended by a context and by a deadline, and leave nothing
 * behind.
 *
 * The object holds only its state; it has no list of waiters, no lock and no condition variable.
 * Waiters are found in a table by the object's address (waiter.h). So the change of state can be
 * the last access to the object: its memory may be freed by the thread that this change releases.
 *
 * A new blocking object takes three functions. This one is a latch: closed at first, opened once.
 *
 *     struct latch {
 *         atomic(uint32_t) open;
 *     };
 *
 *     static bool latch_is_open(void *arg)
 *     {
 *         struct latch *latch = arg;
 *         return load_seqcst(&latch->open) != 0; // pairs with latch_open
 *     }
 *
 *     static int latch_wait_until(struct latch *latch, weir_context *ctx, int64_t deadline)
 *     {
 *         struct told told = TELL("latch_wait", latch);
 *         return weir__wait_until(told, latch, latch_is_open, latch, ctx, NULL, deadline);
 *     }
 *
 *     static void latch_open(struct latch *latch)
 *     {
 *         (void)xchg_seqcst(&latch->open, 1); // pairs with latch_is_open; the last access
 *         weir__wake_all(latch);              // uses the address only
 *     }
 *
 * Why no wake-up is lost. The waiter enters the table and then looks (latch_is_open); the waker
 * changes the state and then looks whether somebody is in the table (weir__wake_all). All four are
 * sequentially consistent: one of the two sees the other. So
 *   - the look must be a seq_cst load, or a seq_cst read-modify-write;
 *   - the change must be a seq_cst read-modify-write, not a plain store;
 *   - change first, wake second.
 *
 * Why nothing is used after it was freed. After the change the waiter may return and free the
 * object. So the change comes last; whatever else the waker has to do with the object comes before.
 * weir__wake_all reads the address, not what is there. If the memory has become another object by
 * then, a thread that waits for the new one looks once more, for nothing.
 *
 * What ready() may do. It may take what it finds (a permit, a place), by a CAS: once it has
 * returned true it is not asked again. It is asked at any time, also for no reason, with no lock
 * held. It must not block.
 *
 * Who is woken. weir__wake_all when every waiter can go on, as here. weir__wake_one when the change
 * lets one go on: then a thread that gives up, by its deadline or its context, may have swallowed a
 * wake. It cannot know, so it wakes the next one whenever it returns an error. A change that lets n
 * go on wakes n times. An object that serves in the order of arrival hands over under the table's
 * lock instead: see semaphore.c, weir__waiters_lock.
 *
 * A wait inside a task keeps its worker. If what is waited for are tasks, use pool/help.h, which
 * runs those that have not started.
 *
 * To do for a new object: the code above in one file; public calls in the three forms of base.h;
 * scenarios in tests/explorer/scenarios (wait against change, against a cancel, against a time-out,
 * freed by the waiter), after the example of latch.c there, which explores this very code; a suite
 * in tests/suites; a row in the reference.
 */
#ifndef WEIR_WAIT_WAIT_H
#define WEIR_WAIT_WAIT_H

#include "record/notes.h"
#include "wait/context.h"

/* Blocks until ready(arg), which is asked again after each weir__wake_* of `key`. Returns 0: ready;
 * else ctx's err, or -ETIMEDOUT. A context that is over fails first; then ready() is asked even if
 * the deadline has passed. It is asked also when a context in `also` (may be NULL, and so may its
 * elements) is cancelled, which in itself ends nothing. A NULL key: nobody wakes by address; the
 * thread that makes it ready, if any, wakes this thread's park (as channel_call.h does).
 * weir__wake_matching finds `arg` in the waiter, so what it points to must stay meanwhile. `told`
 * is for those who look what this thread does (weir/dump.h). */
int weir__wait_until(struct told told, const void *key, bool (*ready)(void *arg), void *arg,
                     weir_context *ctx, const weir_context *const also[2], int64_t deadline);

#endif
