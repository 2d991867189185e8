/* SPDX-License-Identifier: MIT */
/* signals.c - taking signals over.
 *
 * The handler finds the set in `active`. `arrived` is OPENING while what the signals did is read,
 * so that nothing can be put back; then 0; then the first signal to arrive. From then on all
 * signals of the set do again what they did before. A handler that finds no set, one that is not
 * open yet, or one whose signal has arrived, raises its signal again, which is delivered when the
 * handler returns. (A signal that came for the set before may be so late.)
 *
 * Only the handler's own disposition is put back: if the program has set another one meanwhile,
 * that stays.
 *
 * `inside` counts handlers. A close takes the set out of `active`, then waits until no handler is
 * inside; a handler counts itself, then reads `active`. All are sequentially consistent: a handler
 * that was not waited for finds no set. So the set can be freed.
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

enum { OPENING = -1 };

static atomic(struct signals *) active;
static atomic(unsigned) inside;

static void handle(int number);

static void put_back(const struct signals *signals)
{
    for (unsigned i = 0; i < signals->n; i++) {
        struct sigaction now;
        if (sigaction(signals->numbers[i], NULL, &now) == 0 && now.sa_handler == handle)
            (void)sigaction(signals->numbers[i], &signals->before[i], NULL);
    }
}

static bool has(const struct signals *signals, int number)
{
    for (unsigned i = 0; i < signals->n; i++)
        if (signals->numbers[i] == number)
            return true;
    return false;
}

static void handle(int number)
{
    int saved = errno, arrived = 0;
    bool first = false;
    add_seqcst(&inside, 1); /* pairs with weir__signals_close */
    struct signals *signals =
        load_seqcst(&active); /* pairs with weir__signals_open, weir__signals_close */
    if (signals != NULL && signals->process != getpid()) {
        put_back(signals);
    } else if (signals != NULL && has(signals, number)) {
        /* Pairs with read_before, weir__signals_wait. */
        first = cas_seqcst(&signals->arrived, &arrived, number);
        if (arrived != OPENING)
            put_back(signals);
    }
    if (first)
        (void)sem_post(&signals->wake);
    else
        (void)raise(number);
    sub_seqcst(&inside, 1); /* pairs with weir__signals_close; from here on the set may be gone */
    errno = saved;
}

static void leave_to_parent(void)
{
    const struct signals *inherited = load_rlx(&active); /* the child has one thread */
    if (inherited != NULL)
        put_back(inherited);
    store_rlx(&active, NULL);
    store_rlx(&inside, 0);
}

__attribute__((constructor)) static void watch_forks(void)
{
    (void)weir__at_fork_child(leave_to_parent); /* fails only if memory ends as the program loads */
}

/* What the set replaces, and whether it can. */
static int read_before(struct signals *signals)
{
    for (unsigned i = 0; i < signals->n; i++)
        if (weir__signal_is_synchronous(signals->numbers[i]) ||
            sigaction(signals->numbers[i], NULL, &signals->before[i]) != 0)
            return -EINVAL;
    (void)xchg_seqcst(&signals->arrived, 0); /* pairs with handle */
    return 0;
}

static int install(const struct signals *signals)
{
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_RESTART};
    (void)sigemptyset(&action.sa_mask);
    for (unsigned i = 0; i < signals->n; i++) {
        const struct sigaction *before = &signals->before[i];
        bool ignored = (before->sa_flags & SA_SIGINFO) == 0 && before->sa_handler == SIG_IGN;
        if (!ignored && sigaction(signals->numbers[i], &action, NULL) != 0)
            return -EINVAL;
    }
    return 0;
}

int weir__signals_open(struct signals *signals, const int numbers[], unsigned n)
{
    struct signals *none = NULL;
    signals->process = getpid();
    signals->n = n;
    for (unsigned i = 0; i < n; i++)
        signals->numbers[i] = numbers[i];
    store_rlx(&signals->arrived, OPENING); /* published by the CAS */
    if (sem_init(&signals->wake, 0, 0) != 0)
        return -errno;
    int err = 0;
    if (!cas_seqcst(&active, &none, signals)) /* pairs with handle, weir__signals_close */
        err = -EBUSY;
    else if ((err = read_before(signals)) != 0 || (err = install(signals)) != 0)
        weir__signals_close(signals);
    if (err != 0)
        weir__signals_destroy(signals);
    return err;
}

void weir__signals_unblock(const struct signals *signals)
{
    sigset_t set;
    (void)sigemptyset(&set);
    for (unsigned i = 0; i < signals->n; i++)
        (void)sigaddset(&set, signals->numbers[i]);
    (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

int weir__signals_wait(struct signals *signals)
{
    while (sem_wait(&signals->wake) != 0) /* interrupted */
        ;
    return load_seqcst(&signals->arrived); /* pairs with handle */
}

void weir__signals_close(struct signals *signals)
{
    put_back(signals);
    (void)xchg_seqcst(&active, NULL); /* pairs with handle, weir__signals_open */
    /* A handler may have interrupted a thread of lower priority: sleep, so that it gets the core.
     */
    while (load_seqcst(&inside) != 0) { /* pairs with handle */
        struct timespec moment = {.tv_nsec = 50000};
        (void)nanosleep(&moment, NULL);
    }
    (void)sem_post(&signals->wake);
}

void weir__signals_destroy(struct signals *signals)
{
    (void)sem_destroy(&signals->wake);
}
