/* SPDX-License-Identifier: MIT */
/* pool.pml - how tasks get from submitters to workers: the ring and the two event counts, for spin.
 *
 * SUBMITTERS submit PUSHES tasks each to a pool that has room for two; WORKERS run them; each
 * sleeps when there is nothing to do. Every order of their steps is tried, and in each:
 *   - pushes and pops happen at consecutive positions: no task is lost or comes out twice, and they
 *     come out in the order in which they went in;
 *   - "full" is found only when exactly CAPACITY tasks are queued, "empty" only when none is;
 *   - when no thread can continue, every task has run: no worker sleeps beside a queued task, and
 *     no submitter sleeps beside a free place.
 *
 * A step is one operation on a word of memory, in one order that all threads agree on, as the
 * source asks for (seqcst). What is one word, or one system call, is an `atomic` here. From where:
 *   push, pop, more_queued       ring_push, ring_pop_from, ring_peek in src/ring/algorithm.h
 *   prepare, cancel, sleep_on    eventcount_prepare, eventcount_cancel, weir__eventcount_sleep
 *   notify, wake_another         eventcount_notify with ..._wake, weir__eventcount_wake_another
 *                                in src/wait/eventcount.h and eventcount.c: its head has the steps
 *   submitter, wait_for_room     enqueue, wait_for_room in src/pool/submit.c
 *   worker                       serve, park in src/pool/worker.c
 *
 * A look at a ring word and the CAS that follows it are one step: if the CAS fails, nothing has
 * happened but a look. A scan goes on by one position, where ring_skip may jump over others that it
 * has seen passed. A pop stores the hint `head` or leaves it; the source does so now and then.
 * Not in the model: capacities that are not the number of words; slots and claims; cancelling,
 * expiry, closing; deadlines; memory that is weaker than one order for all.
 *
 * Defined on the command line, by the script `run` beside this file:
 *   MEET               a task waits until its neighbour has started: so both workers must run
 *   SPURIOUS           how many sleeps may end for no reason
 *   RING_IN_ONE_STEP   a push or a pop is one step: that this is what they are, the others show
 *   WORK_IS_SEEN       workers need no event count to know that there is work
 *   ROOM_IS_SEEN       nor submitters that there is room
 * and these, each of which puts a mistake in that must be found:
 *   EARLY_HINT         the tail is stored before the position is filled
 *   NO_RECHECK         a worker sleeps without a look, NO_RECHECK_ROOM: a submitter
 *   LATE_KEY           a sleeper reads its key after it has announced itself
 *   VAIN_FOR_EVER      a wake in vain holds others back also after a further prepare
 *   NO_ADVANCE         a woken thread does not change the epoch
 *   NO_CHAIN           a woken worker wakes no other
 */
#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef SUBMITTERS
#define SUBMITTERS 2
#endif
#ifndef PUSHES
#define PUSHES 2
#endif
#ifndef SPURIOUS
#define SPURIOUS 0
#endif
#define CAPACITY 2
#define RELY 2
#define NO_EPOCH 255

/* The word of position p is at p % CAPACITY. Its item needs no place here: the position says which
 * one it is. */
byte sequence[CAPACITY];
byte tail, head; /* hints */

/* What is true, whether a thread knows it or not. */
byte pushed, popped, started, finished;
byte spurious = SPURIOUS;

typedef eventcount {
    byte epoch;
    byte sleepers, prepares;            /* one word */
    byte flight_epoch, flight_position; /* one word */
    byte vain_epoch, vain_prepares;     /* one word */
    bool asleep[2]                      /* in the kernel's queue */
}
eventcount work; /* workers sleep here */
eventcount room; /* submitters sleep here */

#ifdef RING_IN_ONE_STEP
#define tail_hint pushed
#define head_hint popped

inline push(ret_done, ret_position)
{
    atomic {
        ret_done = (pushed - popped < CAPACITY);
        if
        :: ret_done ->
           ret_position = pushed;
           pushed++
        :: else
        fi
    }
}

inline pop(h, ret_done)
{
    atomic {
        ret_done = (popped < pushed);
        if
        :: ret_done ->
           popped++;
           h = popped
        :: else ->
           h = 0
        fi
    }
}

inline more_queued(ret_more)
{
    ret_more = (popped < pushed)
}
#else
#define tail_hint tail
#define head_hint head

inline push(ret_done, ret_position)
{
    t = tail; /* the hint */
#ifdef EARLY_HINT
    tail = t + 1;
#endif
    do
    :: atomic {
           sequence[t % CAPACITY] < t -> /* a look */
           assert(pushed - popped == CAPACITY);
           ret_done = false;
           break
       }
    :: atomic {
           sequence[t % CAPACITY] > t ->
           t++
       }
    :: atomic {
           sequence[t % CAPACITY] == t ->
           assert(t == pushed);
           sequence[t % CAPACITY] = t + 1; /* word_fill */
           pushed++;
           ret_position = t
       };
       tail = t + 1; /* the hint */
       ret_done = true;
       break
    od;
    t = 0
}

inline pop(h, ret_done)
{
    do
    :: atomic {
           sequence[h % CAPACITY] < h + 1 -> /* a look */
           assert(pushed == popped);
           ret_done = false;
           break
       }
    :: atomic {
           sequence[h % CAPACITY] > h + 1 ->
           h++
       }
    :: atomic {
           sequence[h % CAPACITY] == h + 1 ->
           assert(h == popped);
           sequence[h % CAPACITY] = h + CAPACITY; /* word_drain */
           popped++;
           h++
       };
       if
       :: head = h /* the hint */
       :: skip
       fi;
       ret_done = true;
       break
    od
}

inline more_queued(ret_more)
{
    p = head; /* the hint */
    do
    :: atomic {
           sequence[p % CAPACITY] < p + 1 -> /* a look */
           assert(pushed == popped);
           ret_more = false;
           break
       }
    :: atomic {
           sequence[p % CAPACITY] > p + 1 ->
           p++
       }
    :: atomic {
           sequence[p % CAPACITY] == p + 1 ->
           ret_more = true;
           break
       }
    od;
    p = 0
}
#endif

/* The event count. */

/* What a thread does not need any more shall not tell states apart. */
inline forget()
{
    atomic {
        seen = 0;
        epoch = 0;
        reached = false;
        position = 0
    }
}

inline prepare(ec)
{
#ifndef LATE_KEY
    key = ec.epoch; /* key */
#endif
    atomic {
        ec.sleepers++; /* announce */
        ec.prepares++
    };
#ifdef LATE_KEY
    key = ec.epoch;
#endif
    skip
}

inline cancel(ec)
{
    ec.sleepers--;
    key = 0
}

inline sleep_on(ec, ret_woken)
{
    ret_woken = false;
    if
    :: atomic {
           ec.epoch != key -> skip
       }
    :: atomic {
           ec.epoch == key -> /* sleep */
           ec.asleep[me] = true
       };
       if
       :: atomic {
              !ec.asleep[me] -> /* it was woken */
              ret_woken = true
          };
#ifndef NO_ADVANCE
          ec.epoch++ /* advance */
#endif
       :: atomic {
              ec.asleep[me] && spurious > 0 ->
              ec.asleep[me] = false;
              spurious--
          }
       fi
    fi;
    cancel(ec)
}

/* Which sleeper is woken is up to the kernel. */
inline wake_another(ec, position)
{
    seen = ec.prepares;
    atomic {
        ec.epoch++; /* advance */
        epoch = ec.epoch
    };
    atomic { /* wake */
        if
        :: ec.asleep[0] ->
           ec.asleep[0] = false;
           reached = true
        :: ec.asleep[1] ->
           ec.asleep[1] = false;
           reached = true
        :: else ->
           reached = false
        fi
    };
    if
    :: reached ->
       atomic {
           ec.flight_epoch = epoch;
           ec.flight_position = position
       }
    :: else ->
       atomic {
           ec.vain_epoch = epoch;
           ec.vain_prepares = seen
       }
    fi
}

inline notify(ec, position)
{
    if
    :: ec.sleepers == 0 /* count */
    :: else ->
       seen = ec.prepares;
       epoch = ec.epoch;
       if
       :: atomic {
              ec.flight_epoch == epoch && position >= ec.flight_position &&
              position - ec.flight_position < RELY ->
              skip
          }
       :: else ->
          if
#ifdef VAIN_FOR_EVER
          :: atomic { ec.vain_epoch == epoch -> skip }
#else
          :: atomic { ec.vain_epoch == epoch && ec.vain_prepares == seen -> skip }
#endif
          :: else ->
             wake_another(ec, position)
          fi
       fi
    fi;
    forget()
}

/* The threads. */

inline run_task()
{
    atomic {
        started++;
#ifdef MEET
        mine = started
#endif
    };
#ifdef MEET
    started >= (mine + 1) / 2 * 2;
#endif
    atomic {
        finished++;
        mine = 0
    }
}

proctype worker(byte me)
{
    byte h, p, key, epoch, seen, position, mine;
    bool done, woken, more, reached;
    do
    :: pop(h, done);
       if
       :: done ->
#ifndef ROOM_IS_SEEN
          position = h - 1;
          notify(room, position);
#endif
#ifndef NO_CHAIN
          if
          :: woken ->
             more_queued(more);
             if
             :: more ->
                position = tail_hint;
                notify(work, position)
             :: else
             fi
          :: else
          fi;
#endif
          atomic {
              woken = false;
              more = false;
              done = false
          };
          run_task()
       :: else ->
#ifdef WORK_IS_SEEN
          pushed > popped
#else
          prepare(work);
#ifdef NO_RECHECK
          more = false;
#else
          more_queued(more); /* look */
#endif
          if
          :: more ->
             cancel(work)
          :: else ->
#ifndef ROOM_IS_SEEN
             if
             :: room.sleepers != 0 ->
                position = head_hint;
                wake_another(room, position);
                forget()
             :: else
             fi;
#endif
             sleep_on(work, woken)
          fi
#endif
       fi
    od
}

inline tell_worker()
{
#ifndef WORK_IS_SEEN
    notify(work, position);
#endif
    skip
}

/* Full beside an idle worker: the thread that is to wake it is held up. */
inline wake_idle_worker()
{
#ifndef WORK_IS_SEEN
    if
    :: work.sleepers != 0 ->
       position = tail_hint;
       wake_another(work, position);
       forget()
    :: else
    fi;
#endif
    skip
}

#ifdef ROOM_IS_SEEN
inline wait_for_room()
{
    do
    :: done ->
       break
    :: else ->
       pushed - popped < CAPACITY;
       push(done, position)
    od;
    tell_worker()
}
#else
inline wait_for_room()
{
    do
    :: prepare(room);
#ifdef NO_RECHECK_ROOM
       done = false;
#else
       push(done, position); /* look */
#endif
       if
       :: done ->
          break
       :: else ->
          wake_idle_worker();
          sleep_on(room, woken);
          was_woken = was_woken || woken;
#ifdef NO_RECHECK_ROOM
          push(done, position);
          if
          :: done ->
             prepare(room);
             break
          :: else
          fi
#endif
       fi
    od;
    tell_worker();
    cancel(room);
    if
    :: was_woken ->
       position = head_hint;
       notify(room, position)
    :: else
    fi;
    was_woken = false;
    woken = false
}
#endif

proctype submitter(byte me)
{
    byte t, key, epoch, seen, position, count;
    bool done, woken, was_woken, reached;
    do
    :: count < PUSHES ->
       count++;
       push(done, position);
       if
       :: done ->
          tell_worker()
       :: else ->
          wake_idle_worker();
          wait_for_room()
       fi
    :: else ->
       break
    od
}

init
{
    atomic {
        sequence[1] = 1;
        work.flight_epoch = NO_EPOCH;
        work.vain_epoch = NO_EPOCH;
        room.flight_epoch = NO_EPOCH;
        room.vain_epoch = NO_EPOCH;
        run worker(0);
#if WORKERS > 1
        run worker(1);
#endif
#if SUBMITTERS > 1
        run submitter(1);
#endif
        run submitter(0)
    };
    timeout; /* nobody else can go on */
    assert(finished == SUBMITTERS * PUSHES)
}
