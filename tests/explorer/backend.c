/* SPDX-License-Identifier: MIT */
/* backend.c - locks, threads, memory and misuse, as the explorer has them. Sleeping and the clock
 * are part of the scheduler. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "model.h"
#include "os/alloc.h"
#include "os/fork.h"
#include "os/cpus.h"
#include "os/file.h"
#include "os/lock.h"
#include "os/notify.h"
#include "os/poll.h"
#include "os/poller.h"
#include "os/signals.h"
#include "os/symbol.h"
#include "psc.h"
#include "scheduler.h"
#include "weir/clock.h"

void virtual_lock_acquire(struct lock *lock, const char *site)
{
    point(lock, true, "lock", site);
    model_check_address(lock, site);
    while (lock->holder != 0) {
        trace("waits for T%u", lock->holder - 1);
        block(AT_LOCK, lock);
    }
    lock->holder = current->number + 1;
    model_take(&lock->history);
}

void virtual_lock_release(struct lock *lock, const char *site)
{
    model_check_address(lock, site);
    trace("unlocks %p  %s", (void *)lock, site);
    model_leave(&lock->history);
    lock->holder = 0;
    unblock(AT_LOCK, lock);
}

struct self *virtual_self(void)
{
    return &current->self;
}

pthread_t virtual_thread(void)
{
    return current->number;
}

int virtual_join(pthread_t number, void **ret_result)
{
    struct vthread *thread = vthread_get((unsigned)number);
    (void)ret_result;
    if (thread->joined)
        fail("T%u is joined twice", thread->number);
    while (thread->status != FINISHED)
        block(AT_JOIN, thread);
    thread->joined = true;
    clock_join(&current->clock, &thread->clock);
    psc_join(thread);
    return 0;
}

int virtual_detach(pthread_t number)
{
    vthread_get((unsigned)number)->joined = true;
    return 0;
}

int weir__thread_start(pthread_t *ret_thread, void *(*run)(void *), void *arg, size_t stack_size)
{
    (void)stack_size;
    *ret_thread = vthread_start(run, arg)->number;
    return 0;
}

void weir__thread_name(const char *name, unsigned index)
{
    (void)name;
    (void)index;
}

void weir__thread_ignore_cancel(void)
{
}

void weir__thread_name_manager(const char *name)
{
    (void)name;
}

void weir__thread_name_timer(const char *name)
{
    (void)name;
}

void weir__thread_name_signals(void)
{
}

void weir__thread_name_ready(void)
{
}

int weir__thread_id(void)
{
    return (int)pthread_self() + 1;
}

int64_t weir__thread_cpu_time(void)
{
    return 0;
}

int weir__process_id(void)
{
    return 1;
}

void weir__thread_read_name(char *ret, size_t size)
{
    memset(ret, 0, size);
}

void weir__symbol(uintptr_t address, char *ret, size_t size)
{
    (void)address;
    memset(ret, 0, size);
}

/* No scenario writes a file. */
int weir__file_create(const char *path)
{
    (void)path;
    return -ENOENT;
}

int weir__file_write(int fd, const char *text, size_t n)
{
    (void)fd;
    (void)text;
    (void)n;
    return -EBADF;
}

int weir__file_close(int fd)
{
    (void)fd;
    return -EBADF;
}

size_t weir__stack_minimum(void)
{
    return 0;
}

void weir__thread_yield(void)
{
    give_way("a yield");
}

/* No CPU to spare: workers park at once. */
unsigned weir__usable_cpus(void)
{
    return 0;
}

/* The one that was opened last. */
static struct notify *notifier;
static const struct notify *polled_beside; /* by weir__poll */

/* What weir__poll looks at has changed: its word. */
static struct park polled = PARK_INIT;
static atomic(uint32_t) descriptor; /* the only one: for what it is ready */

static void poll_again(void)
{
    add_seqcst(&polled.word, 1);
    (void)weir__park_wake(&polled, PARK_ALL);
}

void virtual_descriptor(unsigned events)
{
    (void)xchg_seqcst(&descriptor, events);
    poll_again();
}

int weir__notify_open(struct notify *notify)
{
    weir__park_init(&notify->level);
    notifier = notify;
    polled_beside = NULL;
    return 0;
}

void weir__notify_close(struct notify *notify)
{
    weir__park_destroy(&notify->level);
}

void weir__notify_raise(struct notify *notify)
{
    if (xchg_seqcst(&notify->level.word, 1) != 0)
        fail("raised twice");
    (void)weir__park_wake(&notify->level, PARK_ALL);
    if (notify == polled_beside)
        poll_again();
}

void weir__notify_lower(struct notify *notify)
{
    if (xchg_seqcst(&notify->level.word, 0) != 1)
        fail("lowered twice");
}

int weir__poll(int fd, unsigned events, const struct notify *also, int64_t deadline)
{
    (void)fd;
    polled_beside = also;
    for (;;) {
        uint32_t seen = load_seqcst(&polled.word);
        unsigned ready = load_seqcst(&descriptor) & events;
        if (ready != 0 || (also != NULL && load_seqcst(&also->level.word) != 0))
            return (int)ready;
        if (deadline != INT64_MAX && deadline <= weir_now())
            return -ETIMEDOUT;
        int err = weir__park_wait(&polled, seen, deadline);
        if (err == -EINTR)
            return err;
    }
}

/* The poller knows that descriptor only. */
static struct {
    unsigned events; /* armed for; 0: it is not */
    uint32_t tag;
    bool known;  /* the file that it names was armed before */
    bool raised; /* by weir__poller_wake */
} poller;

void virtual_descriptor_replaced(unsigned events)
{
    poller.known = false;
    poller.events = 0;
    virtual_descriptor(events);
}

int weir__poller_reserve(int64_t descriptors)
{
    (void)descriptors;
    return 0;
}

int weir__poller_open(void)
{
    memset(&poller, 0, sizeof poller);
    return 0;
}

void weir__poller_close(void)
{
}

void weir__poller_forget(void)
{
}

int weir__poller_arm(int fd, unsigned events, uint32_t tag)
{
    (void)fd;
    poller.events = events;
    poller.tag = tag;
    poller.known = true;
    poll_again();
    return 0;
}

int weir__poller_rearm(int fd, unsigned events, uint32_t tag)
{
    return poller.known ? weir__poller_arm(fd, events, tag) : -ENOENT;
}

void weir__poller_disarm(int fd)
{
    (void)fd;
    poller.events = 0;
    poller.known = false;
}

unsigned weir__poller_wait(struct poller_event *events, unsigned n, int64_t deadline)
{
    (void)n;
    for (;;) {
        uint32_t seen = load_seqcst(&polled.word);
        unsigned ready = load_seqcst(&descriptor) & poller.events;
        if (ready != 0) {
            *events = (struct poller_event){3, poller.tag, ready};
            poller.events = 0;
            return 1;
        }
        if (poller.raised || (deadline != INT64_MAX && deadline <= weir_now()))
            return 0;
        (void)weir__park_wait(&polled, seen, deadline);
    }
}

void weir__poller_wake(void)
{
    poller.raised = true;
    poll_again();
}

void weir__poller_calm(void)
{
    poller.raised = false;
}

void virtual_poll(void)
{
    while (load_seqcst(&notifier->level.word) == 0)
        (void)weir__park_wait(&notifier->level, 0, INT64_MAX);
}

static struct signals closing_set; /* only its address */
static atomic(struct signals *) taken_over;
static atomic(unsigned) handlers;

/* A run that failed has not closed its set. */
static void forget_signals(void)
{
    store_rlx(&taken_over, NULL);
    store_rlx(&handlers, 0);
}

__attribute__((constructor)) static void watch_for_failed_runs(void)
{
    (void)weir__at_fork_child(forget_signals);
}

int weir__signals_open(struct signals *signals, const int numbers[], unsigned n)
{
    struct signals *none = NULL;
    (void)numbers;
    (void)n;
    weir__park_init(&signals->wake);
    store_rlx(&signals->arrived, 0);
    return cas_seqcst(&taken_over, &none, signals) ? 0 : -EBUSY;
}

int weir__signals_wait(struct signals *signals)
{
    while (load_seqcst(&signals->wake.word) == 0)
        (void)weir__park_wait(&signals->wake, 0, INT64_MAX);
    return load_seqcst(&signals->arrived);
}

static void wake_signals(struct signals *signals)
{
    (void)xchg_seqcst(&signals->wake.word, 1);
    (void)weir__park_wake(&signals->wake, PARK_ALL);
}

bool virtual_signal(int number)
{
    int none = 0;
    add_seqcst(&handlers, 1);
    struct signals *signals = load_seqcst(&taken_over);
    bool set = signals != NULL && signals != &closing_set;
    bool first = set && cas_seqcst(&signals->arrived, &none, number);
    if (first)
        wake_signals(signals);
    sub_seqcst(&handlers, 1);
    return first;
}

void weir__signals_close(struct signals *signals)
{
    (void)xchg_seqcst(&taken_over, &closing_set);
    while (load_seqcst(&handlers) != 0)
        weir__thread_yield();
    (void)xchg_seqcst(&taken_over, NULL);
    wake_signals(signals);
}

void weir__signals_disown(const struct signals *signals)
{
    (void)signals;
}

void weir__signals_destroy(struct signals *signals)
{
    weir__park_destroy(&signals->wake);
}

void *weir__alloc_untouched(size_t count, size_t size)
{
    return arena_alloc(count * size);
}

void *weir__alloc(size_t count, size_t size)
{
    void *memory = arena_alloc(count * size);
    return memory != NULL ? memset(memory, 0, count * size) : NULL;
}

void *weir__alloc_unaligned(size_t size)
{
    return weir__alloc(1, size);
}

void *weir__alloc_unaligned_untouched(size_t size)
{
    return arena_alloc(size);
}

void weir__free(void *memory)
{
    if (memory == NULL)
        return;
    unsigned ignored;
    if (arena_place(memory, &ignored) != PLACE_LIVE)
        fail("%p is freed, but is not allocated", memory);
    model_free(memory, arena_object_size(memory));
    arena_free(memory);
}

/* The library's sources are compiled with these names for the C library's. */
void *explored_calloc(size_t count, size_t size);
void *explored_aligned_alloc(size_t alignment, size_t size);
void explored_free(void *memory);

void *explored_calloc(size_t count, size_t size)
{
    return weir__alloc(count, size);
}

void *explored_aligned_alloc(size_t alignment, size_t size)
{
    (void)alignment;
    return arena_alloc(size);
}

void explored_free(void *memory)
{
    weir__free(memory);
}

_Noreturn void weir__misuse(const char *call, const char *sentence)
{
    fail("misuse: %s: %s", call, sentence);
}

_Noreturn void weir__assert_failed(const char *condition, const char *file, int line);
_Noreturn void weir__assert_failed(const char *condition, const char *file, int line)
{
    fail("%s does not hold at %s:%d", condition, file, line);
}
