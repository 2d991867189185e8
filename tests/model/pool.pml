/* SPDX-License-Identifier: MIT */
/* pool.pml - how tasks get from submitters to workers, and how a thread learns that all have ended:
 * the ring, the two event counts and quiet, for spin.
 *
 * SUBMITTERS submit PUSHES tasks each to a pool that has room for two; WORKERS run them; each
 * sleeps when there is nothing to do. With DRAIN one more thread waits until the pool is quiet.
 * Every order of their steps is tried, and in each:
 *   - pushes and pops happen at consecutive positions: no task is lost or comes out twice, and they
 *     come out in the order in which they went in;
 *   - "full" is found only when exactly CAPACITY tasks are queued, "empty" only when none is;
 *   - when no thread can continue, every task has run: no worker sleeps beside a queued task, and
 *     no submitter sleeps beside a free place;
 *   - a drain returns only if every accepted task had ended at some moment since it was called, and
 *     it does return once all have.
 *
 * A step is one operation on a word of memory, in one order that all threads agree on, as the
 * source asks for (seqcst). What is one word, or one system call, is an `atomic` here. From where:
 *   push, pop, more_queued       ring_push, ring_peek_from with ring_take_from, ring_peek
 *                                in src/ring/algorithm.h
 *   prepare, cancel, sleep_on    eventcount_prepare, eventcount_cancel, weir__eventcount_sleep
 *   notify, wake_another         eventcount_notify with ..._wake, weir__eventcount_wake_another
 *                                in src/wait/eventcount.h and eventcount.c: its head has the steps
 *   submitter                    enqueue, wait_for_room in src/pool/submit.c
 *   wait_for_room                weir__room_wait in src/pool/room.c; its look is enqueue
 *   wake_idle_worker             found_full in src/pool/queue.c
 *   worker                       serve, run_queued, park in src/pool/worker.c
 *   quiet_idle, quiet_out        weir__quiet_idle in src/pool/quiet.c, quiet_out in quiet.h
 *   wake_drainer                 weir__wake_all in src/wait/waiter.c
 *   drainer                      weir__wait_until in src/wait/wait.c, and in it
 *                                reached_or_stopped, weir__quiet_is_reached in src/pool/quiet.c
 *   claimer                      weir__queue_claim in src/pool/queue.c, then weir__end_unstarted
 *   clock                        weir__delay_wait in src/pool/delay.c, push_due in src/pool/due.c
 *
 * A look at a ring word and the CAS that follows it are one step: if the CAS fails, nothing has
 * happened but a look. A scan goes on by one position, where ring_skip may jump over others that it
 * has seen passed. A pop stores the hint `head` or leaves it; the source does so now and then.
 * What a worker counts as through is a plain store: a drain may read an earlier value. But if it
 * changes `meet` after the worker has, it reads what the worker had counted by then. That is the
 * one weakness of memory in the model.
 * Not in the model: capacities that are not the number of words; slots; claims before the push, and
 * a worker's own; timed waits; deadlines and expiry; closing; the stop of a pool.
 *
 * Defined on the command line, by the script `run` beside this file:
 *   MEET               a task waits until its neighbour has started: so both workers must run
 *   SPURIOUS           how many sleeps may end for no reason
 *   RING_IN_ONE_STEP   a push or a pop is one step: that this is what they are, the others show
 *   WORK_IS_SEEN       workers need no event count to know that there is work
 *   ROOM_IS_SEEN       nor submitters that there is room
 *   DRAIN              a thread waits until the pool is quiet
 *   CLAIM              a thread outside claims the first task and ends it, as a canceller does
 *   DELAY              one more task waits for its time first
 * and these, each of which puts a mistake in that must be found:
 *   EARLY_HINT         the tail is stored before the position is filled
 *   NO_RECHECK         a worker sleeps without a look, NO_RECHECK_ROOM: a submitter
 *   LATE_KEY           a sleeper reads its key after it has announced itself
 *   VAIN_FOR_EVER      a wake in vain holds others back also after a further prepare
 *   LOOK_FIRST         a drain looks before it is entered as a waiter
 *   NO_MEET            neither side changes `meet`
 *   NO_IDLE            a worker parks without waking a drain
 *   IN_FIRST           a drain reads what came in before what is through
 *   LATE_IN            a claim is counted after it was tried
 *   EARLY_OUT          the wait for a time is through before its task is pushed
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
#define NO_EPOCH 255

/* The word of position p is at p % CAPACITY. Its item needs no place here: the position says which
 * one it is. */
byte sequence[CAPACITY];
byte tail, head; /* hints */

/* What is true, whether a thread knows it or not. */
byte pushed, popped, started, finished;
byte spurious = SPURIOUS;

#ifdef DELAY
#define TASKS (SUBMITTERS * PUSHES + 1)
bool waiting; /* for its time: accepted and not pushed */
#define ACCEPTED (pushed + waiting)
#else
#define TASKS (SUBMITTERS * PUSHES)
#define ACCEPTED pushed
#endif

#ifdef CLAIM
bool claimed[TASKS]; /* by position */
#endif
#ifdef DRAIN
bool was_quiet, drained; /* what is true, as above */

byte out[2], in_meet[2];      /* work that is through, by worker; and what `meet` carries of it */
byte in_outside, out_outside; /* of other threads, which count by read-modify-writes */
byte park;                    /* the word that the drain sleeps on */
bool entered, sleeping;       /* in the table of waiters; in the kernel's queue */
#define NOTE_QUIET was_quiet = (was_quiet || finished == ACCEPTED)
#else
#define NOTE_QUIET skip
#endif

typedef eventcount {
    byte epoch;
    byte sleepers, prepares;        /* one word */
    byte vain_epoch, vain_prepares; /* one word */
    bool asleep[2]                  /* in the kernel's queue */
}
eventcount work; /* workers sleep here */
eventcount room; /* submitters sleep here */

#ifdef RING_IN_ONE_STEP
#define tail_hint pushed
#define head_hint popped

inline push(ret_done)
{
    atomic {
        ret_done = (pushed - popped < CAPACITY);
        if
        :: ret_done ->
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

inline push(ret_done)
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
           pushed++
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
        reached = false
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
          ec.epoch++ /* advance */
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
inline wake_another(ec)
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
    :: reached
    :: else ->
       atomic {
           ec.vain_epoch = epoch;
           ec.vain_prepares = seen
       }
    fi
}

inline notify(ec)
{
    if
    :: ec.sleepers == 0 /* count */
    :: else ->
       seen = ec.prepares;
       epoch = ec.epoch;
       if
#ifdef VAIN_FOR_EVER
       :: atomic { ec.vain_epoch == epoch -> skip }
#else
       :: atomic { ec.vain_epoch == epoch && ec.vain_prepares == seen -> skip }
#endif
       :: else ->
          wake_another(ec)
       fi
    fi;
    forget()
}

/* Quiet. */

#ifdef DRAIN
inline wake_drainer()
{
    if
    :: entered -> /* count */
       atomic {
           if
           :: entered ->
              entered = false;
              park++;
              sleeping = false
           :: else
           fi
       }
    :: else
    fi
}

inline quiet_idle()
{
#ifndef NO_MEET
    in_meet[me] = out[me];
#endif
#ifndef NO_IDLE
    wake_drainer();
#endif
    skip
}

inline quiet_out()
{
    out_outside++;
    wake_drainer()
}

inline read_in()
{
    came = pushed; /* ring_end */
    came = came + in_outside
}

/* Any value since the one that is known. */
inline read_old(i)
{
    atomic {
        went = went + known[i];
        do
        :: known[i] < out[i] ->
           known[i]++;
           went++
        :: break
        od
    }
}

inline read_out()
{
    read_old(0);
#if WORKERS > 1
    read_old(1);
#endif
    went = went + out_outside
}

inline read_both()
{
#ifndef NO_MEET
    atomic {
        known[0] = in_meet[0];
        known[1] = in_meet[1]
    };
#endif
#ifdef IN_FIRST
    read_in();
    read_out()
#else
    read_out();
    read_in()
#endif
}

proctype drainer()
{
    byte seen, came, went, known[2];
    bool again;
    NOTE_QUIET;
#ifndef LOOK_FIRST
    entered = true; /* announce */
#endif
    do
    :: seen = park;
       read_both(); /* look */
       if
       :: came == went ->
          break
       :: else
       fi;
       atomic {
           came = 0;
           went = 0;
           known[0] = 0;
           known[1] = 0
       };
#ifdef LOOK_FIRST
       entered = true;
       again = false;
#else
       again = !entered; /* it was woken: it enters again, and looks again */
       if
       :: again ->
          entered = true
       :: else
       fi;
#endif
       if
       :: again
       :: else ->
          if
          :: atomic { park != seen -> skip }
          :: atomic {
                 park == seen -> /* sleep */
                 sleeping = true
             };
             !sleeping
          fi
       fi;
       seen = 0
    od;
    atomic {
        entered = false;
        drained = true
    };
    assert(was_quiet)
}
#endif

#ifdef CLAIM
/* The push counts the task, this the claim; its end counts as one of the two, and the dead ticket
 * as the other. */
proctype claimer()
{
    bool lost;
    pushed > 0;
#ifndef LATE_IN
    in_outside++;
#endif
    atomic {
        lost = claimed[0];
        claimed[0] = true
    };
#ifdef LATE_IN
    in_outside++;
#endif
    if
    :: lost
    :: else ->
       atomic {
           finished++;
           NOTE_QUIET
       }
    fi;
    quiet_out()
}
#endif

#ifdef DELAY
/* The wait counts from before it is seen until after the push, which counts from then on. */
proctype clock()
{
    byte t;
    bool done;
    atomic {
        in_outside++;
        waiting = true
    };
#ifdef EARLY_OUT
    quiet_out();
#endif
    do
    :: done ->
       break
    :: else ->
       atomic {
           pushed - popped < CAPACITY;
           push(done);
           waiting = false
       }
    od;
#ifndef EARLY_OUT
    quiet_out();
#endif
    skip
}
#endif

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
        NOTE_QUIET;
        mine = 0
    }
}

proctype worker(byte me)
{
    byte h, p, key, epoch, seen, mine;
    bool done, woken, more, reached, lost;
    do
    :: pop(h, done);
       if
       :: done ->
#ifndef ROOM_IS_SEEN
          notify(room);
#endif
          if
          :: woken ->
             more_queued(more);
             if
             :: more ->
                notify(work)
             :: else
             fi
          :: else
          fi;
          atomic {
              woken = false;
              more = false;
              done = false
          };
#ifdef CLAIM
          atomic {
              lost = claimed[h - 1];
              claimed[h - 1] = true
          };
#endif
          if
          :: lost -> /* a dead ticket */
             lost = false
          :: else ->
             run_task()
          fi;
#ifdef DRAIN
          out[me]++;
#endif
#ifdef RING_IN_ONE_STEP
          h = 0;
#endif
          skip
       :: else ->
#ifdef WORK_IS_SEEN
#ifdef DRAIN
          quiet_idle();
#endif
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
                wake_another(room);
                forget()
             :: else
             fi;
#endif
#ifdef DRAIN
             quiet_idle();
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
    notify(work);
#endif
    skip
}

/* Full beside an idle worker: the thread that is to wake it is held up. If there is a job for it:
 * one look here, the same in each order of the steps of the ring. */
inline wake_idle_worker()
{
#ifndef WORK_IS_SEEN
    if
    :: work.sleepers != 0 && popped < pushed ->
       wake_another(work);
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
       push(done)
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
       push(done); /* look */
#endif
       if
       :: done ->
          break
       :: else ->
          wake_idle_worker();
          sleep_on(room, woken);
          was_woken = was_woken || woken;
#ifdef NO_RECHECK_ROOM
          push(done);
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
       notify(room)
    :: else
    fi;
    was_woken = false;
    woken = false
}
#endif

proctype submitter(byte me)
{
    byte t, key, epoch, seen, count;
    bool done, woken, was_woken, reached;
    do
    :: count < PUSHES ->
       count++;
       push(done);
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
        work.vain_epoch = NO_EPOCH;
        room.vain_epoch = NO_EPOCH;
        run worker(0);
#if WORKERS > 1
        run worker(1);
#endif
#if SUBMITTERS > 1
        run submitter(1);
#endif
#ifdef DRAIN
        run drainer();
#endif
#ifdef CLAIM
        run claimer();
#endif
#ifdef DELAY
        run clock();
#endif
        run submitter(0)
    };
    timeout; /* nobody else can go on */
    assert(finished == TASKS);
#ifdef DRAIN
    assert(drained);
#endif
    skip
}
