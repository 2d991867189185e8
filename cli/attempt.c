/* SPDX-License-Identifier: MIT */
/* attempt.c - starts a process and sleeps until there is something to do for it: output to read,
 * its end, a time-out, an order to end it. Nothing else wakes the worker.
 *
 * The end of the process is the end of the job, whoever still has its pipes open. If weir ended it,
 * it is reaped only after all that descends from it is gone: until then no other process can have
 * its number.
 */
#include "attempt.h"

#include "complain.h"
#include "family.h"
#include "results.h"
#include "temporary.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define GIVE_UP_AFTER WEIR_S(10)
#define TRY_AGAIN_MS 100

/* Who closes its output is about to end, and closes its errors before: to sleep through that saves
 * a wake a job. */
#define CLOSING_MS 1

enum { ON_END, ON_OUT, ON_ERR, ON_NUDGE, N_WATCHED };

struct watch {
    struct run *run;
    struct slot *slot;
    struct job *job;
    struct process process;
    int64_t begun;
    int64_t kill_at; /* WEIR_FOREVER: not told to end yet, or KILL comes as an order */
    bool timed_out, ordered, killed;
    int lost; /* the error by which output was lost; 0: none */
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* When the time-out is, by the clock of deadlines. */
static int64_t timeout_at(const struct watch *watch)
{
    const struct settings *settings = watch->run->settings;
    int64_t timeout = settings->timeout;
    if (watch->timed_out || watch->ordered)
        return WEIR_FOREVER;
    if (settings->timeout_percent > 0)
        timeout =
            (int64_t)((double)tally_median(&watch->run->tally) * settings->timeout_percent / 100);
    return timeout == 0 || timeout > WEIR_FOREVER - watch->begun ? WEIR_FOREVER
                                                                 : watch->begun + timeout;
}

/* Takes up an order to end the job. Whoever gave it has set it first, and then sent the signal. */
static void obey(struct watch *watch)
{
    pthread_mutex_lock(&watch->slot->lock);
    int order = watch->slot->order;
    bool no_kill = watch->slot->no_kill;
    bool lost = watch->slot->lost;
    pthread_mutex_unlock(&watch->slot->lock);
    watch->ordered |= (order != 0 || lost) && !watch->timed_out;
    bool term = lost || (order == SIGTERM && !no_kill);
    if (term && watch->kill_at == WEIR_FOREVER)
        watch->kill_at = weir_after(watch->run->settings->kill_after);
    if (order == SIGKILL)
        watch->kill_at = 0;
}

static void take_nudge(struct watch *watch)
{
    uint64_t count;
    struct output *output = &watch->run->output;
    if (read(watch->slot->nudge, &count, sizeof(count)) != sizeof(count))
        return;
    obey(watch);
    if (watch->run->settings->output != OUTPUT_LINES)
        return;
    output_lines_again(output, watch->job, &watch->slot->out, STDOUT_FILENO);
    output_lines_again(output, watch->job, &watch->slot->err, STDERR_FILENO);
}

/* Does what is due: a time-out, SIGKILL after SIGTERM. */
static void see_to_end(struct watch *watch)
{
    if (weir_now() >= timeout_at(watch)) {
        watch->timed_out = true;
        watch->kill_at = weir_after(watch->run->settings->kill_after);
        kill(-watch->process.pid, SIGTERM);
        kill(-watch->process.pid, SIGCONT); /* stopped, it would not see the other */
    }
    if (watch->kill_at != WEIR_FOREVER && !watch->killed && weir_now() >= watch->kill_at) {
        watch->killed = true;
        family_kill(watch->process.pid, watch->job->seq);
    }
}

static void read_output(struct watch *watch, int which, size_t most)
{
    struct slot *slot = watch->slot;
    bool is_out = which == ON_OUT;
    struct capture *capture = is_out ? &slot->out : &slot->err;
    int *pipe = is_out ? &watch->process.out : &watch->process.err;
    int64_t got;
    if (watch->run->settings->output == OUTPUT_LINES) {
        char data[64 * 1024];
        got = read(*pipe, data, most < sizeof(data) ? most : sizeof(data));
        if (got > 0) {
            results_tee(slot, is_out, data, (size_t)got);
            if (!is_out && watch->run->keeps_tail)
                buffer_keep_tail(&slot->tail, data, (size_t)got, TAIL_SIZE);
            output_lines(&watch->run->output, watch->job, capture, is_out ? 1 : 2,
                         (struct bytes){data, (size_t)got});
        }
    } else {
        got = capture_from_pipe(capture, *pipe, most);
        if (got < 0)
            watch->lost = (int)got;
    }
    if (got > 0) {
        watch->job->result.bytes += (uint64_t)got;
        return;
    }
    close(*pipe);
    *pipe = -1;
}

/* What was in the pipe when the process ended. More may come from what it left behind. */
static void read_rest(struct watch *watch, int which)
{
    int *pipe = which == ON_OUT ? &watch->process.out : &watch->process.err;
    int left = 0;
    if (*pipe < 0 || ioctl(*pipe, FIONREAD, &left) < 0)
        return;
    uint64_t end = watch->job->result.bytes + (uint64_t)left;
    while (left > 0 && *pipe >= 0) {
        read_output(watch, which, (size_t)left);
        left = (int)(end - watch->job->result.bytes);
    }
}

static int wait_ms(const struct watch *watch)
{
    int64_t until = timeout_at(watch);
    if (!watch->killed && watch->kill_at < until)
        until = watch->kill_at;
    if (until == WEIR_FOREVER)
        return -1;
    int64_t left = until - weir_now();
    if (left <= 0)
        return 0;
    return left > WEIR_S(86400) ? 86400000 : (int)((left + WEIR_MS(1) - 1) / WEIR_MS(1));
}

static void watch_process(struct watch *watch)
{
    struct pollfd on[N_WATCHED] = {[ON_END] = {.fd = watch->process.handle, .events = POLLIN},
                                   [ON_NUDGE] = {.fd = watch->slot->nudge, .events = POLLIN}};
    bool closing = false;
    do {
        int ms = wait_ms(watch);
        on[ON_OUT] = (struct pollfd){.fd = closing ? -1 : watch->process.out, .events = POLLIN};
        on[ON_ERR] = (struct pollfd){.fd = closing ? -1 : watch->process.err, .events = POLLIN};
        if (poll(on, N_WATCHED, closing && ms != 0 ? CLOSING_MS : ms) < 0)
            continue;
        bool ended = on[ON_END].revents != 0;
        closing = false;
        for (int i = ON_OUT; i <= ON_ERR; i++) {
            if ((on[i].revents & POLLIN) != 0 && !ended) {
                read_output(watch, i, (size_t)1 << 20);
            } else if ((on[i].revents & (POLLHUP | POLLERR)) != 0 && !ended) {
                int *pipe = i == ON_OUT ? &watch->process.out : &watch->process.err;
                close(*pipe);
                *pipe = -1;
                closing = true;
            }
        }
        if (on[ON_NUDGE].revents != 0)
            take_nudge(watch);
        if (!ended)
            see_to_end(watch);
    } while (on[ON_END].revents == 0);
    read_rest(watch, ON_OUT);
    read_rest(watch, ON_ERR);
}

/* Tells the slot whom signals are for, unless an order came before. */
static void announce(struct watch *watch)
{
    struct slot *slot = watch->slot;
    pthread_mutex_lock(&slot->lock);
    slot->pid = watch->process.pid;
    if (slot->order != 0 || slot->lost)
        kill(-slot->pid, slot->order != 0 ? slot->order : SIGTERM);
    pthread_mutex_unlock(&slot->lock);
    obey(watch);
}

/* The job is gone, by weir's doing: what it has left gets no longer than --kill-after. */
static void end_family(struct watch *watch)
{
    pid_t pid = watch->process.pid;
    uint64_t seq = watch->job->seq;
    int64_t kill_at = weir_after(watch->run->settings->kill_after);
    int64_t give_up = WEIR_FOREVER;
    size_t left;
    for (;;) {
        if (watch->kill_at < kill_at)
            kill_at = watch->kill_at;
        int64_t until = give_up == WEIR_FOREVER ? kill_at : weir_after(WEIR_MS(20));
        left = family_wait(pid, seq, until, watch->slot->nudge);
        if (left == 0)
            return;
        take_nudge(watch);
        if (weir_now() < kill_at && watch->kill_at != 0)
            continue;
        family_kill(pid, seq);
        if (give_up == WEIR_FOREVER)
            give_up = weir_after(GIVE_UP_AFTER);
        if (weir_now() < give_up)
            continue;
        complain("job %llu: %zu of its processes cannot be killed", (unsigned long long)seq, left);
        return;
    }
}

static void reap(struct watch *watch)
{
    struct result *result = &watch->job->result;
    int status = 0;
    /* The process may have ended by an order of which this thread has not heard yet. */
    bool heard = watch->ordered;
    obey(watch);
    if (watch->timed_out || watch->ordered)
        end_family(watch);
    pthread_mutex_lock(&watch->slot->lock);
    watch->slot->pid = 0;
    while (wait4(watch->process.pid, &status, 0, &result->use) < 0 && errno == EINTR)
        continue;
    pthread_mutex_unlock(&watch->slot->lock);
    close(watch->process.handle);
    if (watch->process.out >= 0)
        close(watch->process.out);
    if (watch->process.err >= 0)
        close(watch->process.err);
    result->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
    result->signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    if (watch->timed_out) {
        result->state = JOB_TIMED_OUT;
        result->exit_code = 0;
        result->signal = result->signal == 0 ? SIGTERM : result->signal;
    } else if (heard || (watch->ordered && status != 0)) {
        result->state = JOB_NOT_RUN;
    } else if (result->signal != 0) {
        result->state = JOB_SIGNALLED;
    } else {
        result->state = result->exit_code == 0 ? JOB_OK : JOB_FAILED;
    }
}

static bool is_scarce(int err)
{
    return err == -EAGAIN || err == -ENOMEM || err == -EMFILE || err == -ENFILE;
}

/* `prepared`: the start itself has failed; else it has been said already what did. */
static void not_started(struct watch *watch, int err, bool prepared)
{
    struct result *result = &watch->job->result;
    const char *program = watch->slot->argv.words[0];
    result->state = watch->ordered ? JOB_NOT_RUN : JOB_FAILED;
    if (watch->ordered)
        return;
    result->exit_code = err == -ENOENT ? 127 : 126;
    result->lost = !prepared || is_scarce(err);
    if (!prepared)
        return;
    result->hopeless = err == -E2BIG;
    if (result->hopeless)
        snprintf(watch->slot->argv.why, sizeof(watch->slot->argv.why), "its command is too long");
    if (result->hopeless)
        complain("job %llu: %s", (unsigned long long)watch->job->seq, watch->slot->argv.why);
    else
        complain("job %llu: '%.200s' cannot be started: %s", (unsigned long long)watch->job->seq,
                 program, strerror(-err));
    if (err == -EMFILE) /* weir's own files: no other job could start either */
        stop_to(&watch->run->stop, STOP_SOON, STOP_OUTPUT, 0);
}

/* There is no room for one more process. While others of this run are there, they may end and leave
 * some; the processes of others only for a while, and the files of weir are its own. False: no use,
 * or the job is not to start any more. */
static bool wait_for_room(struct watch *watch, int err, int64_t *give_up)
{
    struct run *run = watch->run;
    struct pollfd nudge = {.fd = watch->slot->nudge, .events = POLLIN};
    if (slots_running(&run->slots) > 0)
        *give_up = weir_after(GIVE_UP_AFTER);
    else if (err == -EMFILE)
        return false;
    if (poll(&nudge, 1, TRY_AGAIN_MS) > 0)
        take_nudge(watch);
    watch->ordered |= weir_context_err(run->stop.ctx) != 0;
    return !watch->ordered && weir_now() < *give_up;
}

static int start_process(struct watch *watch, char *const environment[])
{
    struct run *run = watch->run;
    int64_t give_up = weir_after(GIVE_UP_AFTER);
    int err;
    do
        err = process_start(&watch->process, &run->launcher, watch->slot->argv.words, environment,
                            watch->job->input, run->settings->output != OUTPUT_RAW);
    while (is_scarce(err) && wait_for_room(watch, err, &give_up));
    watch->begun = weir_now();
    return err;
}

void attempt_run(struct run *run, struct slot *slot, struct job *job)
{
    struct watch watch = {.run = run, .slot = slot, .job = job, .kill_at = WEIR_FOREVER};
    struct result *result = &job->result;
    char **environment = slot_environment(slot, job->seq, job->attempt, job->id);
    *result = (struct result){.queued = job->queued, .start = now_ms()};
    watch.begun = weir_now();
    int err = results_open(run, slot, job);
    bool prepared = err == 0;
    if (prepared && environment == NULL)
        err = -ENOMEM;
    if (err == 0)
        err = start_process(&watch, environment);
    restraint_started(&run->restraint);
    if (err == 0) {
        result->started = true;
        announce(&watch);
        watch_process(&watch);
        reap(&watch);
    } else {
        not_started(&watch, err, prepared);
    }
    result->end = now_ms();
    result->run_time = weir_now() - watch.begun;
    result->lost |= watch.lost != 0;
    results_close(run, slot, job);
    if (watch.lost != 0) {
        complain("job %llu: its output cannot be kept in %.200s: %s", (unsigned long long)job->seq,
                 run->settings->results != NULL ? run->settings->results : temporary_folder(),
                 strerror(-watch.lost));
        stop_to(&run->stop, STOP_SOON, STOP_OUTPUT, 0);
    }
}
