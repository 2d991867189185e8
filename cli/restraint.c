/* SPDX-License-Identifier: MIT */
/* restraint.c - waits of a worker that has a job and may not start it yet. It keeps its slot: no
 * other job could start there either.
 */
#include "restraint.h"

#include "complain.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOOK_EVERY WEIR_S(1)

static void wake_all(void *arg)
{
    struct restraint *restraint = arg;
    pthread_mutex_lock(&restraint->lock);
    restraint->is_over = true;
    pthread_cond_broadcast(&restraint->changed);
    pthread_mutex_unlock(&restraint->lock);
}

static void breaker_changed(weir_breaker_state from, weir_breaker_state to, void *user)
{
    struct restraint *restraint = user;
    pthread_mutex_lock(&restraint->lock);
    if (to == WEIR_BREAKER_OPEN)
        restraint->open_until = weir_after(restraint->settings->breaker_open);
    pthread_cond_broadcast(&restraint->changed);
    pthread_mutex_unlock(&restraint->lock);
    if (to == WEIR_BREAKER_OPEN && !restraint->settings->quiet)
        complain(from == WEIR_BREAKER_HALF_OPEN ? "the probe failed: no starts for another %.3g s"
                                                : "too many jobs fail: no starts for %.3g s",
                 (double)restraint->settings->breaker_open / 1e9);
    if (to == WEIR_BREAKER_CLOSED && !restraint->settings->quiet)
        complain("the probe succeeded: jobs start again");
}

static int init_breaker(struct restraint *restraint, weir_context *ctx)
{
    const struct settings *settings = restraint->settings;
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&restraint->lock, NULL);
    pthread_mutex_init(&restraint->probe_lock, NULL);
    pthread_cond_init(&restraint->changed, &attributes);
    pthread_condattr_destroy(&attributes);
    if (settings->breaker_ratio <= 0)
        return 0;
    uint32_t calls = (uint32_t)settings->breaker_calls;
    int err = weir_breaker_init(
        &restraint->breaker, WEIR_BREAKER_OPTIONS(.window = calls, .minimum_calls = calls,
                                                  .failure_ratio = settings->breaker_ratio,
                                                  .open_for = settings->breaker_open,
                                                  .on_change = breaker_changed, .user = restraint));
    return err != 0 ? err : weir_context_on_done(ctx, &restraint->hook, wake_all, restraint);
}

int restraint_init(struct restraint *restraint, const struct settings *settings, weir_context *ctx)
{
    *restraint = (struct restraint){.settings = settings};
    restraint->any = settings->delay > 0 || settings->rate > 0 || settings->load > 0 ||
                     settings->memfree > 0 || settings->breaker_ratio > 0;
    int err = weir_semaphore_init(&restraint->gate, 1);
    if (err == 0 && settings->rate > 0)
        err = weir_limiter_init(&restraint->rate, settings->rate, 1);
    return err != 0 ? err : init_breaker(restraint, ctx);
}

void restraint_destroy(struct restraint *restraint)
{
    (void)weir_context_hook_stop(&restraint->hook);
    weir_semaphore_destroy(&restraint->gate);
    pthread_mutex_destroy(&restraint->lock);
    pthread_mutex_destroy(&restraint->probe_lock);
    pthread_cond_destroy(&restraint->changed);
}

/* A probe may be out: its result, or the end of the run, wakes those who wait. */
static void wait_for_breaker(struct restraint *restraint)
{
    pthread_mutex_lock(&restraint->lock);
    int64_t until = restraint->open_until;
    if (weir_now() >= until)
        until = weir_after(restraint->settings->breaker_open);
    struct timespec at = {until / 1000000000, until % 1000000000};
    if (!restraint->is_over && weir_breaker_read_state(&restraint->breaker) != WEIR_BREAKER_CLOSED)
        pthread_cond_timedwait(&restraint->changed, &restraint->lock, &at);
    pthread_mutex_unlock(&restraint->lock);
}

/* The breaker lends a probe for a time; a job may take longer, and is still the only one. */
static int try_breaker(struct restraint *restraint, uint64_t *ret_ticket)
{
    int err = -EAGAIN;
    pthread_mutex_lock(&restraint->probe_lock);
    bool is_probe = weir_breaker_read_state(&restraint->breaker) != WEIR_BREAKER_CLOSED;
    if (!restraint->probe_is_out)
        err = weir_breaker_allow(&restraint->breaker, ret_ticket);
    if (err == 0 && is_probe) {
        restraint->probe_is_out = true;
        restraint->probe = *ret_ticket;
    }
    pthread_mutex_unlock(&restraint->probe_lock);
    return err;
}

static int pass_breaker(struct restraint *restraint, weir_context *ctx, uint64_t *ret_ticket)
{
    while (try_breaker(restraint, ret_ticket) != 0) {
        wait_for_breaker(restraint);
        if (weir_context_err(ctx) != 0)
            return weir_context_err(ctx);
    }
    return 0;
}

static double read_load_average(void)
{
    double load = 0;
    FILE *file = fopen("/proc/loadavg", "re");
    if (file != NULL && fscanf(file, "%lf", &load) != 1)
        load = 0;
    if (file != NULL)
        fclose(file);
    return load;
}

/* What could be had without swapping. */
static int64_t read_free_memory(void)
{
    char line[128];
    long long kilobytes = INT64_MAX / 1024;
    FILE *file = fopen("/proc/meminfo", "re");
    while (file != NULL && fgets(line, sizeof(line), file) != NULL)
        if (sscanf(line, "MemAvailable: %lld", &kilobytes) == 1)
            break;
    if (file != NULL)
        fclose(file);
    return kilobytes * 1024;
}

/* The load follows slowly what was started: until it is read again, each start counts for one. */
static bool has_room(struct restraint *restraint)
{
    const struct settings *settings = restraint->settings;
    int64_t now = weir_now();
    if (restraint->looked == 0 || now - restraint->looked >= LOOK_EVERY) {
        restraint->load = settings->load > 0 ? read_load_average() : 0;
        restraint->looked = now;
        restraint->since = 0;
    }
    if (settings->load > 0 && restraint->load + restraint->since >= settings->load)
        return false;
    if (settings->memfree > 0 && read_free_memory() < settings->memfree)
        return false;
    restraint->since++;
    return true;
}

static bool has_gate(const struct restraint *restraint)
{
    const struct settings *settings = restraint->settings;
    return settings->delay > 0 || settings->load > 0 || settings->memfree > 0;
}

/* Keeps the gate if it returns 0. A limiter would space permits to start; but a delay is one
 * between starts, of which the earlier may come late. */
static int enter_gate(struct restraint *restraint, weir_context *ctx)
{
    int err = weir_semaphore_acquire_until(&restraint->gate, 1, ctx, WEIR_FOREVER);
    if (err != 0)
        return err;
    if (restraint->started > 0 && restraint->settings->delay > 0)
        err = weir_sleep_until(ctx, restraint->started + restraint->settings->delay);
    while (err == 0 && !has_room(restraint))
        err = weir_sleep_until(ctx, weir_after(LOOK_EVERY));
    if (err != 0)
        weir_semaphore_release(&restraint->gate, 1);
    return err;
}

void restraint_started(struct restraint *restraint)
{
    if (!restraint->any || !has_gate(restraint))
        return;
    restraint->started = weir_now();
    weir_semaphore_release(&restraint->gate, 1);
}

int restraint_wait(struct restraint *restraint, weir_context *ctx, uint64_t *ret_ticket)
{
    const struct settings *settings = restraint->settings;
    int err = 0;
    *ret_ticket = 0;
    if (!restraint->any)
        return 0;
    if (settings->breaker_ratio > 0)
        err = pass_breaker(restraint, ctx, ret_ticket);
    if (err == 0 && settings->rate > 0)
        err = weir_limiter_wait_until(&restraint->rate, 1, ctx, WEIR_FOREVER);
    if (err == 0 && has_gate(restraint))
        err = enter_gate(restraint, ctx);
    if (err != 0 && settings->breaker_ratio > 0)
        restraint_record(restraint, *ret_ticket, -ECANCELED);
    return err;
}

void restraint_record(struct restraint *restraint, uint64_t ticket, int code)
{
    uint64_t again;
    if (restraint->settings->breaker_ratio <= 0)
        return;
    pthread_mutex_lock(&restraint->probe_lock);
    bool is_probe = restraint->probe_is_out && restraint->probe == ticket;
    weir_breaker_record(&restraint->breaker, ticket, code);
    /* If it took longer than it was lent for, that said nothing: say it with a new ticket. */
    if (is_probe && code != -ECANCELED &&
        weir_breaker_read_state(&restraint->breaker) == WEIR_BREAKER_HALF_OPEN &&
        weir_breaker_allow(&restraint->breaker, &again) == 0)
        weir_breaker_record(&restraint->breaker, again, code);
    restraint->probe_is_out &= !is_probe;
    pthread_mutex_unlock(&restraint->probe_lock);
    pthread_mutex_lock(&restraint->lock);
    pthread_cond_broadcast(&restraint->changed);
    pthread_mutex_unlock(&restraint->lock);
}
