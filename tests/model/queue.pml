/* SPDX-License-Identifier: MIT */
/* queue.pml - leases of a job, their renewal, and what becomes of the job when they are over, for
 * spin.
 *
 * One job, and WORKERS workers that take it, call its handler, renew its lease and settle it. The
 * server does each script in one step. Time is not counted: a lease may be over at any moment; that
 * a worker has been suspended, is slow, or cannot reach the server is all the same. A worker's own
 * clock is early rather than late: it ends its handler before the lease is over (ON_TIME), or is
 * suspended, and learns of it later. Connections break at any moment: a command may be done without
 * its answer coming back, and is said again. Every order of steps is tried, and in each:
 *   - at most one worker owns the job, by its token; only an owner's result changes anything;
 *   - with ON_TIME no two handlers run at once, whatever is lost on the way;
 *   - the job ends once: done, or dead after RETRIES attempts or DEATHS deaths; and it does end;
 *   - only the owner's renewal counts;
 *   - the server knows of every handler that was called before its worker died, and counts as an
 *     attempt, or as a death, none that was not.
 *
 * From where:
 *   take, take_over     lend, take_over in queue/scripts/take.lua
 *   start               queue/scripts/start.lua, tell_start_locked in queue/serve_job.c
 *   renew               queue/scripts/renew.lua
 *   settle              queue/scripts/settle.lua, weir__line_settle_locked in queue/serve_say.c
 *   clock               end_leases in queue/serve.c
 *   LOSE                weir__line_broken in queue/serve_answer.c
 *
 * Defined on the command line, by the script `run` beside this file:
 *   WORKERS, RETRIES    how many
 *   ON_TIME             no worker is suspended beyond its lease
 *   DEATH               one worker may die at any moment
 *   BREAKS              how often an answer may be lost
 *   SLIPS               how often a renewal may come too late
 * and these, each of which puts a mistake in that must be found:
 *   SAME_TOKEN          a job that is taken over keeps its token
 *   NO_TOKEN            settle does not look at the token
 *   LATE_END            a handler goes on when its lease is over by its own clock
 *   RENEW_ANY           renew does not look at the token
 *   START_LATER         the start is told after the handler was called
 *   KEEP_STARTED        a job that is taken over still counts as started
 */
#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef RETRIES
#define RETRIES 2
#endif
#ifndef BREAKS
#define BREAKS 0
#endif
#ifndef SLIPS
#define SLIPS 2
#endif
#define DEATHS 3

mtype = {QUEUED, LEASED, DONE, DEAD};

/* The server. */
mtype state = QUEUED;
byte token;
byte owner;     /* WORKERS: none; only the assertions look at it */
bool valid;     /* the lease is not over */
bool started;
byte attempts, deaths, ends;

/* What really happened. */
byte calls;     /* of handlers */
byte running;   /* handlers now */
bool called;      /* the handler, under the present lease */
byte lost_starts; /* handlers of workers that died before the server knew of their call */
byte breaks = BREAKS, slips = SLIPS;

/* What a worker believes. */
byte mine[WORKERS];     /* its token; 0: none */
byte attempt[WORKERS];
bool lease[WORKERS];    /* by its own clock the lease is not over */
bool busy[WORKERS];     /* its handler runs */
bool dead[WORKERS];

/* Whether the server's lease may be over though nobody was suspended: then its owner is dead, or
 * has ended its handler, or, with that mistake, should have. */
#ifdef LATE_END
#define OVER (dead[owner] || !lease[owner])
#else
#define OVER (dead[owner] || (!lease[owner] && !busy[owner]))
#endif

/* An answer may be lost: what was done is done. */
#define LOSE                                                                                       \
    if                                                                                             \
    :: breaks > 0 -> breaks--; lost = true                                                         \
    :: lost = false                                                                                \
    fi

inline lend(w)
{
    state = LEASED;
    owner = w;
    called = false;
    valid = true;
#ifndef SAME_TOKEN
    token++;
#else
    if :: token == 0 -> token = 1 :: else fi;
#endif
#ifndef KEEP_STARTED
    started = false;
#endif
}

inline end_job(how)
{
    assert(state == LEASED);
    state = how;
    owner = WORKERS;
    valid = false;
    token = 0; /* a job that is over has none */
    ends++;
    assert(ends == 1);
}

inline fail_attempt()
{
    if
    :: attempts >= RETRIES -> end_job(DEAD)
    :: else -> state = QUEUED; owner = WORKERS; valid = false; started = false; token++
    fi
}

/* Gives the job to worker w if there is one: a queued one, or one whose lease is over. */
inline take(w)
{
    assert(state == QUEUED || !started || called);
    if
    :: state == LEASED && !valid && started && deaths + 1 >= DEATHS -> deaths++; end_job(DEAD)
    :: state == LEASED && !valid && started && deaths + 1 < DEATHS && attempts >= RETRIES ->
        deaths++;
        end_job(DEAD)
    :: state == LEASED && !valid && (!started || (deaths + 1 < DEATHS && attempts < RETRIES)) ->
        if :: started -> deaths++ :: else fi;
        lend(w);
        mine[w] = token; attempt[w] = attempts + 1; lease[w] = true
    :: state == QUEUED ->
        lend(w);
        mine[w] = token; attempt[w] = attempts + 1; lease[w] = true
    fi
}

proctype worker(byte w)
{
    bool lost, success;
    do
    :: dead[w] -> break
    :: else ->
        if
        :: atomic { mine[w] == 0 && (state == QUEUED || (state == LEASED && !valid)) && !dead[w] ->
            take(w) }
        :: atomic { mine[w] == 0 && (state == DONE || state == DEAD) -> break }
        :: atomic { mine[w] != 0 && !lease[w] && !dead[w] -> mine[w] = 0 } /* never started */
        :: atomic { dead[w] -> break }
        :: atomic { mine[w] != 0 && lease[w] && !dead[w] -> /* may_start_locked */
#ifndef START_LATER
            if
            :: token == mine[w] -> started = true; attempts = attempt[w]
            :: else
            fi;
#endif
            busy[w] = true; running++; calls++;
            if :: token == mine[w] -> called = true :: else fi }
#ifdef START_LATER
            atomic {
            if
            :: !dead[w] && token == mine[w] -> started = true; attempts = attempt[w]
            :: else
            fi }
#endif
            /* The handler runs; its lease is renewed, until it ends. */
            do
            :: atomic { busy[w] && !dead[w] && lease[w] -> /* renew */
                if
#ifdef RENEW_ANY
                :: state == LEASED -> valid = true; assert(owner == w)
#else
                :: token == mine[w] && state == LEASED -> valid = true; assert(owner == w)
#endif
                :: else -> lease[w] = false
                fi }
            :: atomic { busy[w] && !dead[w] && lease[w] -> success = true; break }
            :: atomic { busy[w] && !dead[w] && lease[w] -> success = false; break }
#ifndef LATE_END
            :: atomic { busy[w] && !dead[w] && !lease[w] -> success = false; break }
#else
            :: atomic { busy[w] && !dead[w] && !lease[w] -> success = true; break }
#endif
            :: atomic { dead[w] -> break }
            od;
            if
            :: atomic { !dead[w] -> busy[w] = false; running-- }
                /* settle, again and again until its answer comes */
                do
                :: atomic { !dead[w] ->
                    if
#ifdef NO_TOKEN
                    :: state == LEASED ->
#else
                    :: token == mine[w] && state == LEASED ->
#endif
                        assert(owner == w);
                        if
                        :: success -> attempts = attempt[w]; end_job(DONE)
                        :: else -> attempts = attempt[w]; fail_attempt()
                        fi
                    :: else /* lost, or said before: nothing changes */
                    fi;
                    LOSE;
                    if
                    :: lost
                    :: else -> mine[w] = 0; lease[w] = false; break
                    fi }
                :: atomic { dead[w] -> break }
                od
            :: atomic { dead[w] -> skip }
            fi
        fi
    od
}

/* The leases end, by each worker's clock and by the server's. */
proctype clock()
{
    byte w;
    do
    :: atomic { state == DONE || state == DEAD -> break }
    /* end_leases: a worker's clock is early rather than late. */
    :: atomic { state == LEASED && slips > 0 && lease[owner] && !dead[owner] ->
        slips--; lease[owner] = false }
    :: atomic { state == LEASED && valid && OVER -> valid = false }
#ifndef ON_TIME
    /* The owner is suspended. */
    :: atomic { state == LEASED && valid && slips > 0 -> slips--; valid = false }
#endif
    od
}

#ifdef DEATH
proctype reaper()
{
    byte w;
    if
    :: w = 0
    :: w = WORKERS - 1
    fi;
    atomic {
        dead[w] = true;
        if
        :: busy[w] -> busy[w] = false; running--;
            if :: mine[w] == token && !started -> lost_starts++ :: else fi
        :: else
        fi
    }
}
#endif

init {
    byte w;
    owner = WORKERS;
    atomic {
        w = 0;
        do
        :: w < WORKERS -> run worker(w); w++
        :: else -> break
        od;
        run clock();
#ifdef DEATH
        run reaper();
#endif
    }
    /* At the end: one end, and what the server counts did happen. */
    (_nr_pr == 1);
    assert(ends == 1);
    assert(attempts <= calls);
    assert(lost_starts == 0);
}

#ifdef ON_TIME
active proctype watch()
{
    assert(running <= 1)
}
#endif
