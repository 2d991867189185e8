/* SPDX-License-Identifier: MIT */
/* tally.c - counts jobs. */
#include "tally.h"

void tally_init(struct tally *tally)
{
    *tally = (struct tally){.lock = PTHREAD_MUTEX_INITIALIZER, .counts.total = -1};
}

void tally_add_read(struct tally *tally, uint64_t read, uint64_t skipped)
{
    pthread_mutex_lock(&tally->lock);
    tally->counts.read += read;
    tally->counts.skipped += skipped;
    pthread_mutex_unlock(&tally->lock);
}

void tally_set_total(struct tally *tally, int64_t total)
{
    pthread_mutex_lock(&tally->lock);
    tally->counts.total = total;
    pthread_mutex_unlock(&tally->lock);
}

void tally_add_not_run(struct tally *tally, uint64_t n)
{
    pthread_mutex_lock(&tally->lock);
    tally->counts.not_run += n;
    pthread_mutex_unlock(&tally->lock);
}

/* The highest bit says which doubling, the five below it which step. */
static unsigned step_of(int64_t ns)
{
    uint64_t value = ns < 32 ? 32 : (uint64_t)ns;
    unsigned high = 63 - (unsigned)__builtin_clzll(value);
    return high * 32 + (unsigned)((value >> (high - 5)) & 31);
}

static int64_t middle_of(unsigned step)
{
    unsigned high = step / 32;
    uint64_t least = (UINT64_C(32) + step % 32) << (high - 5);
    return (int64_t)(least + (UINT64_C(1) << (high - 5)) / 2);
}

static int64_t median_locked(const struct tally *tally)
{
    uint64_t seen = 0;
    if (tally->n_run_times < 3)
        return 0;
    for (unsigned i = 0; i < TALLY_STEPS; i++) {
        seen += tally->run_times[i];
        if (2 * seen >= tally->n_run_times)
            return middle_of(i);
    }
    return 0;
}

int64_t tally_median(struct tally *tally)
{
    pthread_mutex_lock(&tally->lock);
    int64_t median = median_locked(tally);
    pthread_mutex_unlock(&tally->lock);
    return median;
}

uint64_t tally_below(struct tally *tally, int64_t ns, double *ret_sum)
{
    uint64_t n = 0;
    unsigned last = ns == INT64_MAX ? TALLY_STEPS - 1 : step_of(ns);
    pthread_mutex_lock(&tally->lock);
    for (unsigned i = 0; i <= last; i++)
        n += tally->run_times[i];
    if (ret_sum != NULL)
        *ret_sum = tally->run_time_sum;
    pthread_mutex_unlock(&tally->lock);
    return n;
}

static bool is_halt_locked(const struct tally *tally, const struct settings *settings)
{
    const struct counts *counts = &tally->counts;
    uint64_t failed = counts->failed + counts->timed_out;
    uint64_t n = settings->halt_what == HALT_FAIL      ? failed
                 : settings->halt_what == HALT_SUCCESS ? counts->ok
                                                       : failed + counts->ok;
    if (settings->halt_when == HALT_NEVER || n == 0)
        return false;
    if (settings->halt_count > 0)
        return n >= (uint64_t)settings->halt_count;
    /* A percentage is one of all jobs: before they are known there is none. */
    int64_t total = counts->total - (int64_t)counts->skipped;
    return counts->total >= 0 && (double)n * 100 >= settings->halt_percent * (double)total;
}

bool tally_add(struct tally *tally, const struct settings *settings, const struct job *job)
{
    const struct result *result = &job->result;
    pthread_mutex_lock(&tally->lock);
    struct counts *counts = &tally->counts;
    counts->ok += result->state == JOB_OK;
    counts->failed += result->state == JOB_FAILED || result->state == JOB_SIGNALLED;
    counts->timed_out += result->state == JOB_TIMED_OUT;
    counts->not_run += result->state == JOB_NOT_RUN;
    if (result->state == JOB_OK) {
        tally->run_times[step_of(result->run_time)]++;
        tally->n_run_times++;
        tally->run_time_sum += (double)result->run_time / 1e9;
    }
    /* Not when a job makes the difference: that may be the total, once it is known. */
    bool is_halt = !tally->halted && is_halt_locked(tally, settings);
    tally->halted |= is_halt;
    pthread_mutex_unlock(&tally->lock);
    return is_halt;
}

struct counts tally_read(struct tally *tally)
{
    pthread_mutex_lock(&tally->lock);
    struct counts counts = tally->counts;
    pthread_mutex_unlock(&tally->lock);
    return counts;
}
