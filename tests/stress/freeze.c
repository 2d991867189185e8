/* SPDX-License-Identifier: MIT */
/* freeze.c - a thread is stopped at every single instruction of an operation, in the machine code
 * as it is shipped; the others must make progress, and must not see a false "full" or "empty".
 *
 * Two processes. The subject has a victim thread, which makes one operation, and its main thread,
 * the witness. The tracer has the victim make the first k instructions of the operation, leaves it
 * there, and has the witness make its 1000 pushes and pops; then the victim may end, and
 * all that went in must have come out once. Then again, with k + 1.
 *
 * Victims: push and pop of a weir_ring, from every fill; try_submit to a pool, when its workers
 * sleep and when they are busy; the pop of a pool's worker, from the moment it is woken, while the
 * other worker sleeps; what a worker does between two tasks, of which the second has a name; and in
 * a pool of local order, a task that submits others, and the same worker's taking of these.
 *
 * While a thread of a pool stands still, the witness also reads the stats of the pool, and at one
 * point of eight dumps it: that has a line for each worker, and no part of a name.
 *
 * "Blocked" is what the witness has not ended within PATIENCE seconds; all else is independent of
 * time.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "breakpoint.h"
#include "weir.h"

enum {
    SKIPPED = 77, /* for meson */
    PATIENCE = 20,
    MUCH = 1000, /* pushes and pops while the victim stands still */
    QUEUE = 128, /* capacity of the pools; more than one wake may be relied upon for */
    MOST_POINTS = 20000,
    CHILDREN = 3, /* that the victim's task submits, of which two have room in its deque */
};

enum kind {
    RING_PUSH,
    RING_POP,
    SUBMIT_TO_SLEEPERS,
    SUBMIT_TO_BUSY,
    WORKER_POP,
    WORKER_NEXT,
    WORKER_LOCAL,
};

static const char *const kind_names[] = {
    "ring push",    "ring pop",           "submit, workers asleep", "submit, workers busy",
    "worker's pop", "worker's next task", "worker's own tasks"};

/* What the witness is asked to do. */
enum command { SET_UP, HOLD_OTHER, SUBMIT_ONE, GET_ON, VERIFY, FINISH };

enum phase { BEFORE, INSIDE, AFTER };

/* Memory of both processes. */
static struct {
    sem_t asked, answered;
    enum command command;
    sem_t victim_may, victim_has;
    atomic_int phase;              /* of the victim's operation */
    atomic_int victim, workers[2]; /* thread numbers */
    atomic_uint false_full, false_empty, wrong;
    atomic_uint relied_upon; /* the most submits that made do with a wake on its way */
    char what[100];          /* the first thing that went wrong */
} * shared;

static void went_wrong(const char *what)
{
    if (atomic_fetch_add(&shared->wrong, 1) == 0)
        (void)snprintf(shared->what, sizeof shared->what, "%s", what);
}

/* The subject: rings. */

/* Has more bytes than a word, and a sign that is nowhere else in a dump. */
#define SECOND_NAME "# the name of the second task of the victim"

enum { VICTIMS_VALUE = 1, MOST_VALUES = 8 * MUCH };

static struct {
    enum kind kind;
    unsigned lanes, turn; /* of the pool; of the witness, which submits to each of them in turn */
    size_t capacity, fill;
    weir_ring *ring;
    unsigned char pushed[MOST_VALUES], popped[MOST_VALUES]; /* by value */
    unsigned next_value, last_popped;
    int victim_err;
    void *victim_item;
    weir_pool *pool;
    atomic_uint ran, victims_ran;
    sem_t batch_over, held, gate;
    unsigned batch_end;
    weir_task second;
    unsigned lines; /* of a dump */
    unsigned looks;
} the;

static bool push(void)
{
    unsigned value = the.next_value;
    int err = weir_ring_push(the.ring, (void *)(uintptr_t)value);
    if (err != 0)
        return false;
    the.pushed[value]++;
    the.next_value++;
    return true;
}

static bool pop(void)
{
    void *item;
    if (weir_ring_pop(the.ring, &item) != 0)
        return false;
    unsigned value = (unsigned)(uintptr_t)item;
    if (value >= MOST_VALUES) {
        went_wrong("something was popped that nobody pushed");
        return true;
    }
    the.popped[value]++;
    if (value != VICTIMS_VALUE) {
        if (value <= the.last_popped)
            went_wrong("elements came out in the wrong order");
        the.last_popped = value;
    }
    return true;
}

/* Fills the ring, empties it, until enough was done. There may be from `least` to `most` elements
 * in it at first. One is left in it. */
static void fill_and_empty(size_t least, size_t most)
{
    for (unsigned done = 0; done < MUCH;) {
        size_t n = 0;
        while (n <= the.capacity && push())
            n++;
        if (n + most < the.capacity)
            atomic_fetch_add(&shared->false_full, 1);
        if (n + least > the.capacity)
            went_wrong("more was pushed than there is room for");
        for (n = 0; n <= the.capacity && pop(); n++)
            done++;
        if (n < the.capacity)
            atomic_fetch_add(&shared->false_empty, 1);
        if (n > the.capacity)
            went_wrong("more was popped than was pushed");
        least = most = 0;
    }
    if (!push())
        atomic_fetch_add(&shared->false_full, 1);
}

static void set_up_ring(void)
{
    weir_ring_free(the.ring);
    if (weir_ring_new(&the.ring, the.capacity) != 0)
        abort();
    memset(the.pushed, 0, sizeof the.pushed);
    memset(the.popped, 0, sizeof the.popped);
    the.next_value = VICTIMS_VALUE + 1;
    the.last_popped = 0;
    /* Two laps, so that the victim does not meet words in their first state. */
    for (size_t i = 0; i < 2 * the.capacity; i++)
        if (!push() || !pop())
            abort();
    for (size_t i = 0; i < the.fill; i++)
        if (!push())
            abort();
}

static void get_on_with_ring(void)
{
    if (the.kind == RING_PUSH)
        fill_and_empty(the.fill, the.fill < the.capacity ? the.fill + 1 : the.fill);
    else
        fill_and_empty(the.fill > 0 ? the.fill - 1 : 0, the.fill);
}

/* The victim has ended: everything is known exactly now. */
static void verify_ring(void)
{
    bool succeeded = the.victim_err == 0;
    size_t queued = 1;
    if (the.kind == RING_PUSH) {
        if (!succeeded && the.fill < the.capacity)
            atomic_fetch_add(&shared->false_full, 1);
        the.pushed[VICTIMS_VALUE] = succeeded;
        queued += succeeded && the.popped[VICTIMS_VALUE] == 0;
    } else {
        if (!succeeded && the.fill > 0)
            atomic_fetch_add(&shared->false_empty, 1);
        if (succeeded) {
            the.popped[(uintptr_t)the.victim_item % MOST_VALUES]++;
            queued -= (uintptr_t)the.victim_item == the.next_value - 1;
        }
    }
    fill_and_empty(queued, queued); /* once more, with whatever hints the victim left behind */
    while (pop())
        continue;
    if (memcmp(the.pushed, the.popped, sizeof the.pushed) != 0)
        went_wrong("what was popped is not what was pushed");
}

static void use_ring(void)
{
    if (the.kind == RING_PUSH)
        the.victim_err = weir_ring_push(the.ring, (void *)(uintptr_t)VICTIMS_VALUE);
    else
        the.victim_err = weir_ring_pop(the.ring, &the.victim_item);
}

/* The subject: pools. */

static char state_of(pid_t thread)
{
    char path[64], text[256];
    (void)snprintf(path, sizeof path, "/proc/%d/stat", (int)thread);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
    if (fd >= 0)
        (void)close(fd);
    if (n <= 0)
        return '?';
    text[n] = '\0';
    const char *name_end = strrchr(text, ')');
    return name_end != NULL && name_end[1] == ' ' ? name_end[2] : '?';
}

static void await_asleep(pid_t thread)
{
    while (state_of(thread) != 'S')
        (void)sched_yield();
}

static void await(sem_t *s)
{
    while (sem_wait(s) != 0)
        continue;
}

static int note_worker(unsigned index, void *user)
{
    (void)user;
    atomic_store(&shared->workers[index], (int)syscall(SYS_gettid));
    return 0;
}

static int count(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    if (atomic_fetch_add(&the.ran, 1) + 1 == the.batch_end)
        (void)sem_post(&the.batch_over);
    return 0;
}

static unsigned victims_tasks(void)
{
    switch (the.kind) {
    case WORKER_NEXT:
        return 2;
    case WORKER_LOCAL:
        return 1 + CHILDREN;
    default:
        return the.victim_err == 0;
    }
}

/* The tasks that the victim submits or pops. */
static int be_victims(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    unsigned before = atomic_fetch_add(&the.victims_ran, 1);
    if (the.kind < WORKER_POP || (int)syscall(SYS_gettid) != atomic_load(&shared->workers[0]))
        return 0;
    bool first = the.kind >= WORKER_NEXT && before == 0;
    if (first)
        (void)raise(SIGSTOP); /* the tracer takes over here */
    if (first || before == victims_tasks() - 1)
        atomic_store(&shared->phase, first ? INSIDE : AFTER);
    for (unsigned i = 0; the.kind == WORKER_LOCAL && first && i < CHILDREN; i++)
        if (weir_pool_try_submit(the.pool, be_victims, NULL) != 0)
            atomic_fetch_add(&shared->false_full, 1);
    return 0;
}

static int hold(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    (void)sem_post(&the.held);
    await(&the.gate);
    return 0;
}

static void hold_worker(void)
{
    if (weir_pool_submit(the.pool, hold, NULL) != 0)
        abort();
    await(&the.held);
}

/* Waits until that many tasks have run. */
static void await_ran(unsigned n)
{
    while (atomic_load(&the.ran) < n)
        (void)sched_yield();
}

static int submit_in_turn(void)
{
    return weir_pool_try_submit_lane(the.pool, the.turn++ % the.lanes, count, NULL);
}

/* Submits n tasks, all of which must start though the victim stands still. */
static void submit_batch(unsigned n)
{
    the.batch_end = atomic_load(&the.ran) + n;
    for (unsigned i = 0; i < n; i++) {
        if (submit_in_turn() != 0) {
            atomic_fetch_add(&shared->false_full, 1);
            the.batch_end = 0;
            return;
        }
    }
    await(&the.batch_over);
}

/* The other worker sleeps, the victim was woken and stands still: how many submits rely on it? */
static void submit_until_other_is_woken(void)
{
    pid_t other = atomic_load(&shared->workers[1]);
    (void)sem_post(&the.gate);
    await_asleep(other);
    unsigned submitted = 0;
    the.batch_end = 0;
    do {
        if (submit_in_turn() != 0) {
            atomic_fetch_add(&shared->false_full, 1);
            break;
        }
        submitted++;
    } while (submitted < QUEUE - 1 && state_of(other) == 'S' && atomic_load(&the.ran) == 0);
    if (submitted - 1 > atomic_load(&shared->relied_upon))
        atomic_store(&shared->relied_upon, submitted - 1);
    await_ran(submitted); /* all of them start, the first ones too */
    await_asleep(other);
}

/* What the victim is to run, once it is awake. */
static void submit_for_victim(void)
{
    if (weir_pool_try_submit(the.pool, be_victims, NULL) != 0)
        abort();
    if (the.kind == WORKER_NEXT &&
        weir_pool_try_submit_task(the.pool, &the.second, be_victims, NULL,
                                  WEIR_TASK_OPTIONS(.name = SECOND_NAME)) != 0)
        abort();
}

static int collect(const char *text, size_t n, void *arg)
{
    (void)arg;
    for (size_t i = 0; i < n; i++)
        the.lines += text[i] == '\n';
    const char *name = memchr(text, '#', n);
    size_t left = name != NULL ? n - (size_t)(name - text) : 0;
    if (name != NULL &&
        (left < sizeof SECOND_NAME || memcmp(name, SECOND_NAME "\"", sizeof SECOND_NAME) != 0))
        went_wrong("a part of a name was told");
    return 0;
}

/* Reads all that there is to read. At one point of eight also what has to look up the names of
 * functions, which reads files and takes longer than all the rest. */
static void look_inside(void)
{
    weir_pool_stats stats = {.size = sizeof stats};
    if (weir_pool_read_stats(the.pool, &stats) != 0 || stats.workers_busy > 2)
        went_wrong("the stats cannot be read");
    if (the.looks++ % 8 != 0)
        return;
    the.lines = 0;
    if (weir_pool_dump(the.pool, collect, NULL) != 0 || the.lines < 4)
        went_wrong("there is no line for each worker");
    weir_name_times names[4];
    if (weir_pool_read_names(the.pool, names, 4) < 0)
        went_wrong("the times by name cannot be read");
}

static void get_on_with_pool(void)
{
    unsigned rest = MUCH;
    look_inside();
    if (the.kind == SUBMIT_TO_BUSY) {
        unsigned n = 0;
        the.batch_end = 0;
        while (n <= QUEUE && weir_pool_try_submit(the.pool, count, NULL) == 0)
            n++;
        if (n < QUEUE - 1)
            atomic_fetch_add(&shared->false_full, 1);
        if (n > QUEUE)
            went_wrong("more was submitted than there is room for");
        (void)sem_post(&the.gate);
        (void)sem_post(&the.gate);
        await_ran(n);
    }
    if (the.kind >= WORKER_POP)
        submit_until_other_is_woken();
    for (; rest > MUCH - 20; rest--)
        submit_batch(1);
    for (; rest >= 98; rest -= 98)
        submit_batch(98);
}

static void set_up_pool(void)
{
    if (the.pool == NULL) {
        bool local = the.kind == WORKER_LOCAL;
        int err = weir_pool_new(
            &the.pool,
            WEIR_POOL_OPTIONS(.workers = 2, .capacity = QUEUE, .lanes = the.lanes,
                              .lane_burst = the.lanes > 1 ? 4 : 0,
                              .order = local ? WEIR_ORDER_LOCAL : WEIR_ORDER_FIFO,
                              .local = local ? CHILDREN - 1 : 0, .on_worker_start = note_worker));
        if (err != 0)
            abort();
    }
    atomic_store(&the.ran, 0);
    atomic_store(&the.victims_ran, 0);
    the.victim_err = 0;
    await_asleep(atomic_load(&shared->workers[0]));
    await_asleep(atomic_load(&shared->workers[1]));
    if (the.kind == SUBMIT_TO_BUSY) {
        hold_worker();
        hold_worker();
    }
}

static void verify_pool(void)
{
    if (the.victim_err != 0)
        atomic_fetch_add(&shared->false_full, 1);
    if (weir_pool_drain(the.pool) != 0)
        abort();
    if (atomic_load(&the.victims_ran) != victims_tasks())
        went_wrong("the victim's tasks did not run exactly once");
}

/* The subject: its two threads. */

static void *be_victim(void *unused)
{
    (void)unused;
    atomic_store(&shared->victim, (int)syscall(SYS_gettid));
    for (;;) {
        await(&shared->victim_may);
        (void)raise(SIGSTOP); /* the tracer takes over here */
        atomic_store(&shared->phase, INSIDE);
        if (the.kind <= RING_POP)
            use_ring();
        else
            the.victim_err = weir_pool_try_submit(the.pool, be_victims, NULL);
        atomic_store(&shared->phase, AFTER);
        (void)sem_post(&shared->victim_has);
    }
    return NULL;
}

static void obey(enum command command)
{
    bool ring = the.kind <= RING_POP;
    switch (command) {
    case SET_UP:
        atomic_store(&shared->phase, the.kind == WORKER_POP ? INSIDE : BEFORE);
        if (ring)
            set_up_ring();
        else
            set_up_pool();
        if (the.kind < WORKER_POP)
            (void)sem_post(&shared->victim_may);
        break;
    case HOLD_OTHER:
        hold_worker();
        break;
    case SUBMIT_ONE:
        submit_for_victim();
        break;
    case GET_ON:
        if (ring)
            get_on_with_ring();
        else
            get_on_with_pool();
        break;
    case VERIFY:
        if (the.kind < WORKER_POP)
            await(&shared->victim_has);
        if (ring)
            verify_ring();
        else
            verify_pool();
        break;
    case FINISH:
        weir_ring_free(the.ring);
        weir_pool_free(the.pool);
        break;
    }
}

static _Noreturn void be_subject(void)
{
    pthread_t thread;
    if (sem_init(&the.batch_over, 0, 0) != 0 || sem_init(&the.held, 0, 0) != 0 ||
        sem_init(&the.gate, 0, 0) != 0)
        abort();
    if (the.kind >= WORKER_POP)
        set_up_pool();
    else if (pthread_create(&thread, NULL, be_victim, NULL) != 0)
        abort();
    while (the.kind < WORKER_POP && atomic_load(&shared->victim) == 0)
        (void)sched_yield();
    (void)sem_post(&shared->answered);
    for (;;) {
        await(&shared->asked);
        enum command command = shared->command;
        obey(command);
        (void)sem_post(&shared->answered);
        if (command == FINISH)
            _exit(0);
    }
}

/* The tracer. */

static unsigned long points, blocked;

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "%s: %s (%s)\n", kind_names[the.kind], what, strerror(errno));
    exit(1);
}

/* False: there is no answer, though there was plenty of time. */
static bool answered(void)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += PATIENCE;
    while (sem_timedwait(&shared->answered, &until) != 0)
        if (errno == ETIMEDOUT)
            return false;
    return true;
}

static void ask_for(enum command command)
{
    shared->command = command;
    (void)sem_post(&shared->asked);
}

static void ask(enum command command)
{
    ask_for(command);
    if (!answered())
        fail("the subject does not answer");
}

static void resume(int how, pid_t victim)
{
    if (ptrace((enum __ptrace_request)how, victim, NULL, NULL) != 0)
        fail("the victim cannot be resumed");
}

static void await_stop(pid_t victim)
{
    int status;
    while (waitpid(victim, &status, __WALL) != victim)
        if (errno != EINTR)
            fail("the victim cannot be waited for");
    if (!WIFSTOPPED(status))
        fail("the victim has died");
}

/* Lets the woken worker fall asleep while the other one is held, and wakes it: it stands where the
 * system call returns. */
static void wake_worker(pid_t victim)
{
    resume(PTRACE_INTERRUPT, victim);
    await_stop(victim);
    ask(HOLD_OTHER);
    bool in_wait = false;
    resume(PTRACE_SYSCALL, victim);
    for (;;) {
        int status;
        pid_t stopped = waitpid(victim, &status, __WALL | WNOHANG);
        if (stopped == 0) {
            if (in_wait && state_of(victim) == 'S')
                break;
            (void)sched_yield();
            continue;
        }
        struct __ptrace_syscall_info info;
        if (stopped != victim || !WIFSTOPPED(status) ||
            ptrace(PTRACE_GET_SYSCALL_INFO, victim, (void *)sizeof info, &info) < 0)
            fail("the victim cannot be followed into its sleep");
        in_wait = info.op == PTRACE_SYSCALL_INFO_ENTRY && info.entry.nr == SYS_futex;
        resume(PTRACE_SYSCALL, victim);
    }
    ask(SUBMIT_ONE);
    await_stop(victim);
    if (the.kind >= WORKER_NEXT) { /* its first task stops it again */
        resume(PTRACE_CONT, victim);
        await_stop(victim);
    }
}

static void step(pid_t victim)
{
    resume(PTRACE_SINGLESTEP, victim);
    await_stop(victim);
}

static bool is_inside(void)
{
    return atomic_load(&shared->phase) == INSIDE;
}

/* Where the operation goes through: the address of each instruction, as the victim made it once.
 * The marks are those to which it seems to come each time, and as often. */
struct way {
    uintptr_t at[MOST_POINTS];
    bool mark[MOST_POINTS];
    unsigned length;
};

static struct way way, other_way;

static void learn_way(pid_t victim, struct way *ret_way)
{
    unsigned n = 0;
    for (; n < MOST_POINTS && is_inside(); n++) {
        ret_way->at[n] = breakpoint_place(victim);
        step(victim);
    }
    if (n == MOST_POINTS)
        fail("the operation does not end");
    ret_way->length = n;
}

static unsigned times_at(uintptr_t place, const struct way *in)
{
    unsigned n = 0;
    for (unsigned i = 0; i < in->length; i++)
        n += in->at[i] == place;
    return n;
}

static void mark_way(void)
{
    enum { OFTEN = 10 }; /* as in a loop */
    for (unsigned i = 0; i < way.length; i++) {
        unsigned times = times_at(way.at[i], &way);
        way.mark[i] = times < OFTEN && times == times_at(way.at[i], &other_way);
    }
}

/* The mark to go to next on the way to point k: a near one, but not each; 0: there is none. */
static unsigned next_mark(unsigned from, unsigned k)
{
    enum { NEAR = 100 };
    unsigned next = 0;
    for (unsigned i = from + 1; i <= k && i < way.length; i++)
        if (way.mark[i] && (next == 0 || i <= from + NEAR))
            next = i;
    return next;
}

/* False: it has run for a second. */
static bool stops_soon(pid_t victim)
{
    int status;
    struct timespec begin, now;
    (void)clock_gettime(CLOCK_MONOTONIC, &begin);
    while (waitpid(victim, &status, __WALL | WNOHANG) != victim) {
        (void)clock_gettime(CLOCK_MONOTONIC, &now);
        if (now.tv_sec - begin.tv_sec > 1)
            return false;
        (void)sched_yield();
    }
    if (!WIFSTOPPED(status))
        fail("the victim has died");
    return true;
}

/* How often a breakpoint at the mark stops the victim on its way there. Where it stands already it
 * is stopped only if no breakpoint has brought it there. */
static unsigned stops_before(unsigned mark, unsigned from)
{
    unsigned stops = from == 0 && way.at[0] == way.at[mark];
    for (unsigned i = from + 1; i <= mark; i++)
        stops += way.at[i] == way.at[mark];
    return stops;
}

static void forget_marks(void)
{
    memset(way.mark, 0, sizeof way.mark);
}

/* Lets the victim run from one mark to another one. If it does not come there, its operation may be
 * over: the mark is none. */
static void run_to(unsigned mark, unsigned from, pid_t victim)
{
    if (!breakpoint_set(victim, way.at[mark], &shared->phase))
        forget_marks();
    for (unsigned stops = stops_before(mark, from); way.mark[mark] && stops > 0; stops--) {
        resume(PTRACE_CONT, victim);
        if (!stops_soon(victim)) {
            forget_marks();
            resume(PTRACE_INTERRUPT, victim);
            await_stop(victim);
        } else if (!is_inside()) {
            way.mark[mark] = false;
        }
    }
    breakpoint_clear(victim);
}

/* Has the victim make the first k instructions of its operation. It runs from mark to mark, and
 * steps from the last one on: a step takes as long as ten thousand instructions. It halts at marks
 * on its way, too, as what it does may depend on how fast it is. False: it has come to the end, or
 * takes another way. */
static bool advance(unsigned k, pid_t victim)
{
    unsigned at = 0;
    for (unsigned mark; (mark = next_mark(at, k)) != 0; at = mark) {
        run_to(mark, at, victim);
        if (!way.mark[mark])
            return false;
    }
    for (; at < k && is_inside(); at++)
        step(victim);
    return is_inside();
}

/* Brings the victim to the start of its operation. */
static void set_out(pid_t victim)
{
    ask(SET_UP);
    if (the.kind >= WORKER_POP)
        wake_worker(victim);
    else
        await_stop(victim);
    while (atomic_load(&shared->phase) == BEFORE)
        step(victim);
}

/* The others get on, while the victim stands still; then it does. */
static void get_on(pid_t victim)
{
    ask_for(GET_ON);
    bool free = answered();
    if (!free)
        blocked++;
    resume(PTRACE_CONT, victim);
    if (!free && !answered())
        fail("the subject does not get on after the victim was let go");
    ask(VERIFY);
}

static void learn_ways(pid_t victim)
{
    set_out(victim);
    learn_way(victim, &other_way);
    get_on(victim);
    set_out(victim);
    learn_way(victim, &way);
    get_on(victim);
    mark_way();
}

/* Freezes the victim after k instructions of its operation, also if it first takes other ways: what
 * it does depends on chance, on the time and on how far the others have come. False: it has fewer,
 * as far as that shows. */
static bool freeze_after(unsigned k, pid_t victim)
{
    enum { TRIES = 3 };
    bool inside = false;
    for (unsigned i = 0; i < TRIES && !inside && blocked == 0; i++) {
        set_out(victim);
        inside = advance(k, victim);
        get_on(victim);
    }
    return inside;
}

static void trace(pid_t subject, bool *ret_permitted)
{
    *ret_permitted = true;
    if (!answered())
        fail("the subject does not start");
    pid_t victim = atomic_load(the.kind >= WORKER_POP ? &shared->workers[0] : &shared->victim);
    if (ptrace((enum __ptrace_request)PTRACE_SEIZE, victim, NULL,
               (void *)(uintptr_t)(PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD)) != 0) {
        *ret_permitted = false;
        (void)kill(subject, SIGKILL);
        return;
    }
    /* Each point is gone to from the start: of the longest ways each fourth, or eighth. */
    unsigned stride = the.kind == WORKER_LOCAL                   ? 8
                      : the.kind == WORKER_NEXT || the.lanes > 1 ? 4
                                                                 : 1;
    unsigned frozen = 0, tried = 0;
    learn_ways(victim);
    for (unsigned k = 0; k < way.length && blocked == 0; k += stride, tried++)
        frozen += freeze_after(k, victim);
    if (blocked == 0 && 4 * frozen < tried)
        fail("the victim takes another way each time");
    points += frozen;
    if (the.kind < WORKER_POP)
        (void)kill(subject, SIGKILL); /* its victim thread never ends */
    else
        ask_for(FINISH);
}

/* One scenario in processes of its own. Returns false if tracing is not permitted. */
static bool play(enum kind kind, unsigned lanes, size_t capacity, size_t fill)
{
    memset(shared, 0, sizeof *shared);
    if (sem_init(&shared->asked, 1, 0) != 0 || sem_init(&shared->answered, 1, 0) != 0 ||
        sem_init(&shared->victim_may, 1, 0) != 0 || sem_init(&shared->victim_has, 1, 0) != 0)
        fail("no semaphore could be made");
    the.kind = kind;
    the.lanes = lanes;
    the.capacity = capacity;
    the.fill = fill;
    (void)fflush(stdout);
    pid_t subject = fork();
    if (subject == 0)
        be_subject();
    if (subject < 0)
        fail("no process could be made");
    unsigned long before = points;
    bool permitted;
    trace(subject, &permitted);
    /* The traced thread is a child of ours too, and ends before its process does. */
    while (waitpid(-1, NULL, __WALL) > 0 || errno == EINTR)
        continue;
    if (!permitted)
        return false;
    unsigned full = atomic_load(&shared->false_full), empty = atomic_load(&shared->false_empty);
    printf("%s", kind_names[kind]);
    if (kind <= RING_POP)
        printf(" (%zu of %zu queued)", fill, capacity);
    if (lanes > 1)
        printf(" (%u lanes)", lanes);
    printf(": %lu instruction points, %lu blocked, %u false full, %u false empty\n",
           points - before, blocked, full, empty);
    if (kind >= WORKER_POP)
        printf("a wake on its way was relied upon for at most %u submits\n",
               atomic_load(&shared->relied_upon));
    if (atomic_load(&shared->wrong) != 0)
        fail(shared->what);
    if (blocked + full + empty != 0)
        exit(1);
    return true;
}

/* Sanitizers and valgrind add threads, locks and instructions of their own. */
static bool instrumented(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
    return true;
#endif
#endif
    const char *preloaded = getenv("LD_PRELOAD");
    return preloaded != NULL && strstr(preloaded, "vgpreload") != NULL;
}

static bool play_all(void)
{
    for (size_t capacity = 2; capacity <= 4; capacity *= 2)
        for (size_t fill = 0; fill <= capacity; fill++)
            if (!play(RING_PUSH, 1, capacity, fill) || !play(RING_POP, 1, capacity, fill))
                return false;
#if LOCK_FREE_PARK
    return play(SUBMIT_TO_SLEEPERS, 1, QUEUE, 0) && play(SUBMIT_TO_BUSY, 1, QUEUE, 0) &&
           play(WORKER_POP, 1, QUEUE, 0) && play(WORKER_NEXT, 1, QUEUE, 0) &&
           play(WORKER_LOCAL, 1, QUEUE, 0) && play(WORKER_POP, 2, QUEUE, 0);
#else
    return true; /* sleeping and waking by a mutex can be held up by its holder */
#endif
}

int main(void)
{
    if (instrumented()) {
        printf("left out: an instrumented program is not the one that is shipped\n");
        return SKIPPED;
    }
    void *memory =
        mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        fail("no shared memory");
    shared = memory;
    if (!play_all()) {
        printf("left out: this system does not permit to trace\n");
        return SKIPPED;
    }
    printf("%lu instruction points, 0 blocked, 0 false full, 0 false empty\n", points);
    return 0;
}
