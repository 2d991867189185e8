/* SPDX-License-Identifier: MIT */
/* interrupt.c - SIGINT and SIGTERM turned into a cancelled context.
 *
 * A thread that waits for signals, instead of a handler: it may take locks, print, and call weir,
 * and no other thread's system call is ever interrupted. */
#include "interrupt.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <unistd.h>

static void *watch(void *arg)
{
    struct interrupt *interrupt = arg;
    for (;;) {
        int signal_number;
        if (sigwait(&interrupt->signals, &signal_number) != 0)
            continue;
        if (atomic_load(&interrupt->finished))
            return NULL;
        if (atomic_load(&interrupt->signal) != 0) {
            sigset_t again;
            sigemptyset(&again);
            sigaddset(&again, signal_number);
            signal(signal_number, SIG_DFL);
            pthread_sigmask(SIG_UNBLOCK, &again, NULL);
            raise(signal_number);
        }
        atomic_store(&interrupt->signal, signal_number);
        weir_context_cancel(interrupt->ctx, -EINTR);
        close(interrupt->pipe[1]);
        complain(interrupt->terminal, signal_number == SIGINT ? "SIGINT" : "SIGTERM",
                 "finishing the files that are being read; once more to end at once", NULL);
    }
}

int interrupt_start(struct interrupt *interrupt, weir_context *ctx, struct terminal *terminal)
{
    *interrupt = (struct interrupt){.ctx = ctx, .terminal = terminal};
    struct sigaction before;
    sigemptyset(&interrupt->signals);
    sigaddset(&interrupt->signals, SIGTERM);
    /* A shell starts background jobs with SIGINT ignored, and so it should stay. */
    if (sigaction(SIGINT, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
        sigaddset(&interrupt->signals, SIGINT);
    if (pipe2(interrupt->pipe, O_CLOEXEC) != 0)
        return -errno;
    pthread_sigmask(SIG_BLOCK, &interrupt->signals, NULL);
    int err = pthread_create(&interrupt->thread, NULL, watch, interrupt);
    if (err != 0) {
        close(interrupt->pipe[0]);
        close(interrupt->pipe[1]);
    }
    return -err;
}

void interrupt_stop(struct interrupt *interrupt)
{
    atomic_store(&interrupt->finished, true);
    /* To that thread only, which waits for it: nothing else ever sees this one. */
    pthread_kill(interrupt->thread, SIGTERM);
    pthread_join(interrupt->thread, NULL);
    close(interrupt->pipe[0]);
    if (atomic_load(&interrupt->signal) == 0)
        close(interrupt->pipe[1]);
}

int interrupt_fd(const struct interrupt *interrupt)
{
    return interrupt->pipe[0];
}

int interrupt_signal(struct interrupt *interrupt)
{
    return atomic_load(&interrupt->signal);
}
