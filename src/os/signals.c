/* SPDX-License-Identifier: MIT */
/* signals.c - taking signals over.
 *
 * The handler finds the set in `active`. The first signal of the set to arrive wins `arrived`; from
 * then on all of them do again what they did before, which `before` remembers. `arrived` is OPENING
 * while that is read and the handlers are installed: a signal that comes so early (it was meant for
 * the set before) is the first of this one.
 *
 * A handler that is not the first does what the signal did before: it came second, or late, or our
 * handler is called although nothing is taken over. A program may do that: it saved our handler
 * while it was installed, and calls or installs it again.
 *
 * Only our own handler is replaced: if the program has set another one meanwhile, that stays.
 *
 * `inside` counts handlers. A close puts CLOSING in the place of the set, so that no other is
 * opened, waits until no handler is inside, and only then lets the next one in. A handler counts
 * itself, then reads `active`. All are sequentially consistent: a handler that was not waited for
 * does not find the set. So the set can be freed, and no handler of it touches the next one.
 *
 * `before` is written by an open, for the signals of its set, while no handler reads those: one
 * that finds the set takes the signal, and none that found another set is inside.
 *
 * fork: the child puts back what the signals did before it returns from fork(), and has no set. A
 * handler that runs there before that does the same.
 */
#include "os/signals.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "os/fork.h"
#include "os/thread.h"

enum { OPENING = -1, NUMBERS = 128 };

static struct signals closing; /* only its address */
static atomic(struct signals *) active;
static atomic(unsigned) inside;
static struct sigaction before[NUMBERS];

static void handle(int number, siginfo_t *info, void *context);

static bool is_ours(const struct sigaction *action)
{
    return (action->sa_flags & SA_SIGINFO) != 0 && action->sa_sigaction == handle;
}

static void put_back(const struct signals *signals)
{
    for (unsigned i = 0; i < signals->n; i++) {
        struct sigaction now;
        int number = signals->numbers[i];
        if (sigaction(number, NULL, &now) == 0 && is_ours(&now))
            (void)sigaction(number, &before[number], NULL);
    }
}

/* What a signal does that no handler was set for. */
static void act_by_default(int number)
{
    static const int nothing[] = {SIGCHLD, SIGCONT, SIGURG, SIGWINCH};
    static const int stops[] = {SIGTSTP, SIGTTIN, SIGTTOU};
    struct sigaction by_default = {.sa_handler = SIG_DFL};
    for (size_t i = 0; i < sizeof nothing / sizeof nothing[0]; i++)
        if (nothing[i] == number)
            return;
    for (size_t i = 0; i < sizeof stops / sizeof stops[0]; i++)
        if (stops[i] == number)
            number = SIGSTOP;
    if (number != SIGSTOP)
        (void)sigaction(number, &by_default, NULL);
    (void)raise(number); /* ends or stops the process as soon as the handler has returned */
}

static void act_as_before(int number, siginfo_t *info, void *context)
{
    const struct sigaction *action = &before[number];
    if ((action->sa_flags & SA_SIGINFO) != 0)
        action->sa_sigaction(number, info, context);
    else if (action->sa_handler == SIG_DFL)
        act_by_default(number);
    else if (action->sa_handler != SIG_IGN)
        action->sa_handler(number);
}

static bool has(const struct signals *signals, int number)
{
    for (unsigned i = 0; i < signals->n; i++)
        if (signals->numbers[i] == number)
            return true;
    return false;
}

/* True: the signal is the first of the set. */
static bool take(struct signals *signals, int number)
{
    int arrived = load_seqcst(&signals->arrived); /* pairs with weir__signals_open */
    do
        if (arrived > 0)
            return false;
    while (!cas_seqcst(&signals->arrived, &arrived, number)); /* pairs with weir__signals_wait */
    if (arrived != OPENING)                                   /* else the open puts back */
        put_back(signals);
    return true;
}

static void handle(int number, siginfo_t *info, void *context)
{
    int saved = errno;
    add_seqcst(&inside, 1); /* pairs with weir__signals_close */
    struct signals *signals =
        load_seqcst(&active); /* pairs with weir__signals_open, weir__signals_close */
    bool set = signals != NULL && signals != &closing;
    if (set && signals->process != getpid())
        put_back(signals);
    if (set && signals->process == getpid() && has(signals, number) && take(signals, number))
        (void)sem_post(&signals->wake);
    else
        act_as_before(number, info, context);
    sub_seqcst(&inside, 1); /* pairs with weir__signals_close; from here on the set may be gone */
    errno = saved;
}

static void leave_to_parent(void)
{
    const struct signals *inherited = load_rlx(&active); /* the child has one thread */
    if (inherited != NULL && inherited != &closing)
        put_back(inherited);
    store_rlx(&active, NULL);
    store_rlx(&inside, 0);
}

__attribute__((constructor)) static void watch_forks(void)
{
    (void)weir__at_fork_child(leave_to_parent); /* fails only if memory ends as the program loads */
}

/* Remembers what the signals do. Of one that does what our handler does, that is known. */
static int read_before(const struct signals *signals)
{
    for (unsigned i = 0; i < signals->n; i++) {
        struct sigaction now;
        int number = signals->numbers[i];
        if (number <= 0 || number >= NUMBERS || weir__signal_is_synchronous(number) ||
            sigaction(number, NULL, &now) != 0)
            return -EINVAL;
        if (!is_ours(&now))
            before[number] = now;
    }
    return 0;
}

static int install(const struct signals *signals)
{
    struct sigaction action = {.sa_sigaction = handle,
                               .sa_flags = SA_RESTART | SA_SIGINFO | SA_ONSTACK};
    (void)sigemptyset(&action.sa_mask);
    for (unsigned i = 0; i < signals->n; i++) {
        const struct sigaction *was = &before[signals->numbers[i]];
        bool ignored = (was->sa_flags & SA_SIGINFO) == 0 && was->sa_handler == SIG_IGN;
        if (!ignored && sigaction(signals->numbers[i], &action, NULL) != 0)
            return -EINVAL;
    }
    return 0;
}

int weir__signals_open(struct signals *signals, const int numbers[], unsigned n)
{
    struct signals *none = NULL;
    int opening = OPENING;
    signals->process = getpid();
    signals->n = n;
    for (unsigned i = 0; i < n; i++)
        signals->numbers[i] = numbers[i];
    store_rlx(&signals->arrived, OPENING); /* published by the CAS */
    if (sem_init(&signals->wake, 0, 0) != 0)
        return -errno;
    int err = 0;
    if (!cas_seqcst(&active, &none, signals)) { /* pairs with handle, weir__signals_close */
        weir__signals_destroy(signals);
        return -EBUSY;
    }
    if ((err = read_before(signals)) != 0 || (err = install(signals)) != 0) {
        weir__signals_close(signals);
        weir__signals_destroy(signals);
        weir__signals_disown(signals);
    } else if (!cas_seqcst(&signals->arrived, &opening, 0)) { /* pairs with take */
        put_back(signals);
    }
    return err;
}

static void change_mask(int how, const struct signals *signals)
{
    sigset_t set;
    (void)sigemptyset(&set);
    for (unsigned i = 0; i < signals->n; i++)
        (void)sigaddset(&set, signals->numbers[i]);
    (void)pthread_sigmask(how, &set, NULL);
}

/* Blocks them again: ThreadSanitizer loses a signal that it has put off in a thread that ends. */
int weir__signals_wait(struct signals *signals)
{
    change_mask(SIG_UNBLOCK, signals);
    while (sem_wait(&signals->wake) != 0) /* interrupted */
        ;
    change_mask(SIG_BLOCK, signals);
    return load_seqcst(&signals->arrived); /* pairs with take */
}

void weir__signals_close(struct signals *signals)
{
    put_back(signals);
    (void)xchg_seqcst(&active, &closing); /* pairs with handle */
    /* A handler may have interrupted a thread of lower priority: sleep, so that it has the core. */
    while (load_seqcst(&inside) != 0) { /* pairs with handle */
        struct timespec moment = {.tv_nsec = 50000};
        (void)nanosleep(&moment, NULL);
    }
    (void)xchg_seqcst(&active, NULL); /* pairs with handle, weir__signals_open */
    (void)sem_post(&signals->wake);
}

void weir__signals_destroy(struct signals *signals)
{
    (void)sem_destroy(&signals->wake);
}

void weir__signals_disown(const struct signals *signals)
{
    int arrived = load_rlx(&signals->arrived); /* no handler is inside any more */
    if (arrived > 0)
        (void)raise(arrived);
}
