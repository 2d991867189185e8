/* SPDX-License-Identifier: MIT */
/* signals.c - the first thread waits for signals and does what they ask for; no code runs in a
 * handler.
 * The ladder: the first of INT, TERM and HUP stops what has not started, the second sends SIGTERM,
 * the third SIGKILL. With --grace the next step comes by itself.
 */
#include "signals.h"

#include "complain.h"
#include "family.h"
#include "status.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* After SIGKILL weir waits no longer than that for whoever does not read its output. */
#define LAST_WAIT WEIR_S(3)

/* Each job that ends sends SIGCHLD, also if it leaves no orphan: one look for many of them. */
#define REAP_EVERY WEIR_MS(10)

void signals_block(sigset_t *ret_mask, sigset_t *ret_waited_for)
{
    static const int all[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGTSTP, SIGCONT};
    sigemptyset(ret_waited_for);
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        struct sigaction action;
        if (sigaction(all[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
            sigaddset(ret_waited_for, all[i]);
    }
    /* signals_end sends it, also if nobody else may. */
    sigaddset(ret_waited_for, SIGUSR1);
    /* Were it ignored, the system would reap jobs before weir could ask how they ended. */
    signal(SIGCHLD, SIG_DFL);
    sigaddset(ret_waited_for, SIGCHLD);
    pthread_sigmask(SIG_BLOCK, ret_waited_for, ret_mask);
    /* A closed output is an error that write() returns. */
    signal(SIGPIPE, SIG_IGN);
}

static void pause_all(struct signals *signals)
{
    slots_signal(&signals->run->slots, SIGTSTP, false, false);
    kill(getpid(), SIGSTOP);
}

static void go_to(struct signals *signals, enum stop_level level, int signal)
{
    static const char *const said[] = {
        [STOP_SOON] = "no more jobs are started; those that run may end (once more: SIGTERM)",
        [STOP_TERM] = "SIGTERM was sent to the jobs (once more: SIGKILL)",
        [STOP_KILL] = "SIGKILL was sent to the jobs",
    };
    stop_to(&signals->run->stop, level, STOP_SIGNAL, signal);
    if (!signals->run->settings->quiet)
        complain("%s", said[level]);
}

struct ladder {
    enum stop_level level;
    int first; /* the first signal */
    int64_t since;
};

/* When the next step comes by itself. */
static int64_t next_step(const struct signals *signals, const struct ladder *ladder)
{
    int64_t grace = signals->run->settings->grace;
    if (ladder->level == STOP_KILL)
        return ladder->since + LAST_WAIT;
    if (ladder->level == STOP_NOT || grace == 0 || grace > WEIR_FOREVER - ladder->since)
        return WEIR_FOREVER;
    return ladder->since + grace;
}

static int wait_for_signal(const struct signals *signals, bool for_children, int64_t until)
{
    sigset_t set = signals->waited_for;
    if (!for_children)
        sigdelset(&set, SIGCHLD);
    if (until == WEIR_FOREVER)
        return sigwaitinfo(&set, NULL);
    int64_t left = until - weir_now();
    if (left < 0)
        left = 0;
    struct timespec wait = {left / 1000000000, left % 1000000000};
    return sigtimedwait(&set, NULL, &wait);
}

static bool is_done(struct signals *signals)
{
    pthread_mutex_lock(&signals->lock);
    bool done = signals->done;
    pthread_mutex_unlock(&signals->lock);
    return done;
}

static void climb(struct signals *signals, struct ladder *ladder, int signal)
{
    if (ladder->level == STOP_KILL && signal <= 0)
        _exit(128 + ladder->first); /* what was printed and logged is there; the jobs are dead */
    ladder->first = ladder->first == 0 ? signal : ladder->first;
    ladder->level = ladder->level == STOP_KILL ? STOP_KILL : ladder->level + 1;
    ladder->since = weir_now();
    go_to(signals, ladder->level, ladder->first);
}

void signals_wait(struct signals *signals)
{
    struct ladder ladder = {STOP_NOT, 0, 0};
    bool is_reaping = true;
    for (;;) {
        int64_t until = next_step(signals, &ladder);
        int64_t soon = weir_after(REAP_EVERY);
        bool pauses = !is_reaping && soon < until;
        int signal = wait_for_signal(signals, is_reaping, pauses ? soon : until);
        if (is_done(signals))
            return;
        is_reaping = signal != SIGCHLD;
        if (signal == SIGCHLD || (pauses && signal < 0))
            family_reap_orphans();
        else if (signal == SIGUSR1)
            status_say(signals->run);
        else if (signal == SIGTSTP)
            pause_all(signals);
        else if (signal == SIGCONT)
            slots_signal(&signals->run->slots, SIGCONT, false, false);
        else if (signal > 0 || errno == EAGAIN)
            climb(signals, &ladder, signal);
    }
}

void signals_end(struct signals *signals)
{
    pthread_mutex_lock(&signals->lock);
    signals->done = true;
    pthread_mutex_unlock(&signals->lock);
    pthread_kill(signals->thread, SIGUSR1);
}
