/* SPDX-License-Identifier: MIT */
#include "scheduler.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include "choices.h"
#include "future.h"
#include "laps.h"
#include "model.h"
#include "os/fork.h"
#include "psc.h"
#include "weir/clock.h"

enum {
    MAX_SHARED = 1 << 12, /* words that more than one thread may use */
    START_TIME = 1000,
};

struct vthread *current;

unsigned thread_count;
static jmp_buf outside; /* where a run ends */
static char failure[1024];
static bool failed, given_up;
bool explores, traced;
static uint32_t step, sleeps;
static unsigned points;
static int64_t now, next_instant;
static void (*fork_handlers[8])(void);
static unsigned fork_handler_count;

static unsigned freeze_point, freezable_points;
static struct vthread *freezable;
static bool frozen;

/* Words by address: who uses and who changes them, in any run so far. */
struct shared {
    const void *address;
    uint8_t users, writers;
    bool active; /* another thread may run before an operation on it */
};

static struct shared shared[MAX_SHARED];
static bool learned, assumed;

void fail(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(failure, sizeof failure, format, args);
    va_end(args);
    failed = true;
    given_up = future_is_open();
    _longjmp(outside, 1);
}

void give_up(void)
{
    failed = given_up = true;
    _longjmp(outside, 1);
}

void trace_line(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fprintf(stderr, "%6u T%u  ", step, current->number);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
}

uint32_t next_step(void)
{
    if (++step > MAX_STEPS)
        fail("no end in sight after %d steps", (int)MAX_STEPS);
    return step;
}

const char *failure_of_run(void)
{
    return failure;
}

uint32_t run_steps(void)
{
    return step;
}

unsigned run_points(void)
{
    return points;
}

bool run_froze(void)
{
    return frozen;
}

/* Shared words. */

static struct shared *shared_at(const void *address)
{
    size_t at = ((uintptr_t)address * UINT64_C(0x9E3779B97F4A7C15)) >> 52;
    while (shared[at].address != address) {
        if (shared[at].address == NULL) {
            shared[at].address = address;
            break;
        }
        at = (at + 1) % MAX_SHARED;
    }
    return &shared[at];
}

static bool conflicts(const struct shared *word)
{
    return word->writers != 0 && (word->users & (word->users - 1)) != 0;
}

static bool note(const void *address, bool writes)
{
    struct shared *word = shared_at(address);
    uint8_t me = (uint8_t)(1U << current->number);
    if ((word->users & me) == 0 || (writes && (word->writers & me) == 0)) {
        word->users |= me;
        word->writers |= writes ? me : 0;
        if (!word->active && conflicts(word))
            learned = true;
    }
    return word->active || assumed;
}

void conflicts_assume(bool everywhere)
{
    assumed = everywhere;
}

void conflicts_forget(void)
{
    memset(shared, 0, sizeof shared);
    learned = false;
    future_forget();
}

bool conflicts_use(void)
{
    future_use();
    if (!learned)
        return false;
    for (size_t i = 0; i < MAX_SHARED; i++)
        shared[i].active = conflicts(&shared[i]);
    learned = false;
    return true;
}

/* Switching. */

static void start_here(unsigned number)
{
    struct vthread *thread = vthread_get(number);
    (void)_setjmp(thread->base); /* comes back for each thread that is started with this number */
    current->run(current->arg);
    current->status = FINISHED;
    trace("ends");
    if (current->number == 0)
        _longjmp(outside, 1);
    unblock(AT_JOIN, current);
    block(FINISHED, NULL);
    abort(); /* a thread that is finished is not chosen */
}

static void switch_to(struct vthread *next)
{
    struct vthread *before = current;
    if (before != NULL) {
        before->stack_top = (uintptr_t)__builtin_frame_address(0);
        if (_setjmp(before->here) != 0)
            return;
    }
    current = next;
    if (next->stack_top != 0) {
        next->stack_top = 0;
        _longjmp(next->here, 1);
    }
    if (next->has_base)
        _longjmp(next->base, 1);
    next->has_base = true;
    static ucontext_t context;
    (void)getcontext(&context);
    context.uc_stack.ss_sp = arena_stack(next->number);
    context.uc_stack.ss_size = STACK_SIZE;
    context.uc_link = NULL;
    makecontext(&context, (void (*)(void))start_here, 1, next->number);
    (void)setcontext(&context);
}

static bool can_run(const struct vthread *thread)
{
    return thread->status == RUNNABLE || (thread->status == ASLEEP && thread->deadline <= now);
}

/* The next time at which something happens by itself, or WEIR_FOREVER. */
static int64_t next_time(bool sleepers_too)
{
    int64_t first = next_instant > now ? next_instant : WEIR_FOREVER;
    for (unsigned i = 0; i < thread_count && sleepers_too; i++) {
        const struct vthread *thread = vthread_get(i);
        if (thread->status == ASLEEP && thread->deadline < first && thread->deadline > now)
            first = thread->deadline;
    }
    return first;
}

static void pass_time(int64_t until)
{
    now = until;
    trace("the clock is at %lld", (long long)now);
}

static unsigned others(struct option options[], unsigned n)
{
    for (unsigned i = 1; i < thread_count; i++) {
        unsigned number = (current->number + i) % thread_count;
        if (can_run(vthread_get(number)))
            options[n++] = (struct option){KIND_THREAD, (uint8_t)number};
    }
    return n;
}

/* What may happen besides. */
static unsigned events(struct option options[], unsigned n)
{
    if (next_time(false) != WEIR_FOREVER)
        options[n++] = (struct option){KIND_CLOCK, 0};
    if (choices_allow(KIND_SPURIOUS))
        for (unsigned i = 0; i < thread_count; i++)
            if (vthread_get(i)->status == ASLEEP)
                options[n++] = (struct option){KIND_SPURIOUS, (uint8_t)i};
    return n;
}

static void wake_sleeper(struct vthread *thread, int result)
{
    thread->status = RUNNABLE;
    thread->sleep_result = result;
}

/* Does what was chosen; returns the thread that is to run, or NULL to choose again. */
static struct vthread *carry_out(struct option option)
{
    struct vthread *thread = vthread_get((unsigned)option.value);
    switch (option.kind) {
    case KIND_CLOCK:
        pass_time(next_time(false));
        return NULL;
    case KIND_SPURIOUS:
        trace("T%u wakes up for no reason", thread->number);
        wake_sleeper(thread, -EINTR);
        return NULL;
    default:
        if (thread->status == ASLEEP)
            wake_sleeper(thread, -ETIMEDOUT);
        return thread;
    }
}

static void describe_blocked(void)
{
    char text[768];
    size_t at = 0;
    static const char *const names[] = {
        "unused", "runs",     "waits for a lock", "waits for a thread",
        "sleeps", "settling", "frozen",           "finished"};
    text[0] = '\0';
    for (unsigned i = 0; i < thread_count && at < sizeof text; i++) {
        const struct vthread *thread = vthread_get(i);
        if (thread->status != FINISHED)
            at += (size_t)snprintf(text + at, sizeof text - at, " T%u %s after %s;", i,
                                   names[thread->status], thread->site);
    }
    fail("nothing can go on (a lost wake-up or a deadlock):%s", text);
}

static struct vthread *settling(void)
{
    for (unsigned i = 0; i < thread_count; i++)
        if (vthread_get(i)->status == SETTLING) {
            vthread_get(i)->status = RUNNABLE;
            return vthread_get(i);
        }
    return NULL;
}

/* The current thread cannot or does not want to go on: who does? */
static struct vthread *next_thread(bool yields)
{
    for (;;) {
        struct option options[MAX_OPTIONS];
        unsigned n = others(options, 0);
        if (can_run(current) && (n == 0 || !yields))
            options[n++] = (struct option){KIND_THREAD, (uint8_t)current->number};
        if (n == 0) {
            struct vthread *thread = settling();
            if (thread != NULL)
                return thread;
            int64_t time = next_time(true);
            if (time == WEIR_FOREVER)
                describe_blocked();
            pass_time(time);
            continue;
        }
        uint32_t at = next_step();
        if (!explores)
            return carry_out(options[0]);
        if (!choices_allow_turn())
            n = 1;
        n = events(options, n);
        struct vthread *thread = carry_out(options[choose(at, options, n, true)]);
        if (thread != NULL)
            return thread;
    }
}

void block(enum status status, const void *at)
{
    current->status = status;
    current->at = at;
    struct vthread *next = next_thread(false);
    if (next != current)
        switch_to(next);
}

void unblock(enum status status, const void *at)
{
    for (unsigned i = 0; i < thread_count; i++) {
        struct vthread *thread = vthread_get(i);
        if (thread->status == status && thread->at == at)
            thread->status = RUNNABLE;
    }
}

void give_way(const char *site)
{
    current->site = site;
    (void)next_step();
    trace("yields");
    struct vthread *next = next_thread(true);
    if (next != current)
        switch_to(next);
}

static void freeze_if_due(void)
{
    if (freezable != current || frozen || ++freezable_points != freeze_point)
        return;
    frozen = true;
    trace("is frozen");
    block(FROZEN, NULL);
}

void point(const void *address, bool writes, const char *operation, const char *site)
{
    uint32_t at = next_step();
    current->site = site;
    if (explores) {
        freeze_if_due();
        if (choices_everywhere() || note(address, writes)) {
            points++;
            for (;;) {
                struct option options[MAX_OPTIONS];
                unsigned n = 1;
                options[0] = (struct option){KIND_THREAD, (uint8_t)current->number};
                if (choices_allow(KIND_THREAD))
                    n = others(options, n);
                n = events(options, n);
                struct vthread *next = carry_out(options[choose(at, options, n, false)]);
                if (next == NULL) {
                    at = next_step();
                    continue;
                }
                if (next != current)
                    switch_to(next);
                break;
            }
        }
    }
    trace("%-11s %p  %s", operation, address, site);
}

/* Threads. */

struct vthread *vthread_start(void *(*run)(void *), void *arg)
{
    if (thread_count == MAX_THREADS)
        fail("the scenario has too many threads");
    struct vthread *thread = vthread_get(thread_count);
    bool has_base = thread->has_base;
    memset(&thread->self, 0, sizeof thread->self);
    thread->clock = (struct clock){{0}};
    thread->number = thread_count++;
    psc_begin_thread(thread);
    if (current != NULL) {
        thread->clock = current->clock;
        current->clock.at += times_only(current->number, 1);
    }
    thread->clock.at[thread->number] = 1;
    thread->status = RUNNABLE;
    thread->at = NULL;
    thread->deadline = WEIR_FOREVER;
    thread->joined = false;
    thread->site = "its start";
    thread->stack_top = 0;
    thread->run = run;
    thread->arg = arg;
    thread->has_base = has_base;
    return thread;
}

static void *run_body(void *body)
{
    void (*function)(void);
    memcpy(&function, body, sizeof function);
    function();
    return NULL;
}

static void check_end(void)
{
    for (unsigned i = 0; i < thread_count; i++)
        if (vthread_get(i)->status != FINISHED) {
            if (frozen)
                return; /* what a frozen thread holds is not given back */
            (void)snprintf(failure, sizeof failure, "T%u is left behind, after %s", i,
                           vthread_get(i)->site);
            failed = true;
            return;
        }
    if (arena_live_objects() != 0) {
        (void)snprintf(failure, sizeof failure, "%u allocations are not freed",
                       arena_live_objects());
        failed = true;
    }
}

const char *run_once(void (*body)(void), bool with_trace)
{
    static void (*function)(void);
    function = body;
    failed = given_up = false;
    traced = with_trace;
    explores = false;
    step = sleeps = 0;
    points = 0;
    now = START_TIME;
    next_instant = 0;
    thread_count = 0;
    current = NULL;
    freezable = NULL;
    freezable_points = 0;
    frozen = false;
    arena_reset();
    model_reset();
    laps_begin_run();
    struct vthread *first = vthread_start(run_body, &function);
    if (_setjmp(outside) == 0)
        switch_to(first);
    if (!failed)
        check_end();
    given_up = given_up || future_is_open();
    future_begin_run();
    traced = false;
    /* The tables of the library may still name threads that are gone. */
    if (failed || frozen || given_up) {
        thread_count = 0;
        step = 0;
        explores = false;
        current = NULL;
        current = vthread_start(run_body, &function);
        for (unsigned i = 0; i < fork_handler_count; i++)
            fork_handlers[i]();
    }
    return failed && !given_up ? failure : NULL;
}

int weir__at_fork_child(void (*handler)(void))
{
    fork_handlers[fork_handler_count++] = handler;
    return 0;
}

/* Scenarios. */

void explore_begin(void)
{
    explores = true;
}

/* Whoever looks at what is left when the exploring is over looks at all that was done. */
static void know_everything(void)
{
    for (unsigned i = 0; i < thread_count; i++)
        clock_join(&current->clock, &vthread_get(i)->clock);
    psc_know_everything();
}

void explore_end(void)
{
    explores = false;
    know_everything();
}

void settle(void)
{
    block(SETTLING, NULL);
    if (!explores)
        know_everything();
}

void instant(int64_t at)
{
    next_instant = at;
}

void freeze_at(unsigned n)
{
    freeze_point = n;
}

void freezable_begin(void)
{
    freezable = current;
}

void freezable_end(void)
{
    freezable = NULL;
}

bool froze(void)
{
    return frozen;
}

/* Sleeping and the clock: the back end of os/park.h and weir/clock.h. */

void weir__park_init(struct park *park)
{
    store_rlx(&park->word, 0);
}

void weir__park_destroy(struct park *park)
{
    (void)park;
}

int weir__park_wait(struct park *park, uint32_t expected, int64_t deadline)
{
    if (model_look(&park->word, sizeof park->word, "park_wait", SITE) != expected)
        return -EAGAIN;
    current->in_line = sleeps++;
    current->deadline = deadline;
    trace("sleeps");
    block(ASLEEP, park);
    trace("is awake (%d)", current->sleep_result);
    return current->sleep_result;
}

unsigned weir__park_wake(struct park *park, unsigned n)
{
    point(&park->word, true, "park_wake", SITE);
    model_check_address(park, SITE);
    unsigned woken = 0;
    while (woken < n) {
        struct vthread *first = NULL;
        for (unsigned i = 0; i < thread_count; i++) {
            struct vthread *thread = vthread_get(i);
            if (thread->status == ASLEEP && thread->at == park &&
                (first == NULL || thread->in_line < first->in_line))
                first = thread;
        }
        if (first == NULL)
            break;
        trace("wakes T%u", first->number);
        wake_sleeper(first, 0);
        woken++;
    }
    return woken;
}

int64_t weir_now(void)
{
    if (explores && next_instant != 0)
        psc_look_at_clock(now);
    return now;
}

int64_t weir_after(int64_t ns)
{
    return ns > WEIR_FOREVER - now ? WEIR_FOREVER : now + ns;
}
