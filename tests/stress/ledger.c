/* SPDX-License-Identifier: MIT */
/* ledger.c - which tasks were submitted, and how each ended. */
#include "ledger.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const state_names[] = {"idle",   "queued",    "running", "done",
                                          "failed", "cancelled", "expired", "dropped"};

static entry entries[LEDGER_ROOM];
static atomic_uint next_entry;
static atomic_uint breaches;
static uint64_t accepted_in_all, ends_in_all[WEIR_TASK_DROPPED + 1], refused_in_all;

void broken(const char *promise)
{
    if (atomic_fetch_add(&breaches, 1) < 20)
        fprintf(stderr, "broken: %s\n", promise);
}

bool anything_broken(void)
{
    return atomic_load(&breaches) != 0;
}

unsigned ledger_used(void)
{
    unsigned n = atomic_load(&next_entry);
    return n < LEDGER_ROOM ? n : LEDGER_ROOM;
}

void ledger_clear(void)
{
    memset(entries, 0, ledger_used() * sizeof entries[0]);
    atomic_store(&next_entry, 0);
}

entry *ledger_take(void)
{
    if (atomic_load_explicit(&next_entry, memory_order_relaxed) >= LEDGER_ROOM)
        return NULL;
    unsigned i = atomic_fetch_add_explicit(&next_entry, 1, memory_order_relaxed);
    return i < LEDGER_ROOM ? &entries[i] : NULL;
}

void ledger_submitted(entry *e, int err)
{
    e->accepted = err == 0;
    e->refusal = err;
}

void ledger_run(entry *e)
{
    if (atomic_fetch_add(&e->runs, 1) != 0)
        broken("a task ran twice");
}

void ledger_ran(entry *e, int returned)
{
    e->returned = returned;
    atomic_store(&e->over, true);
}

void ledger_done(void *arg, weir_state end, int status)
{
    entry *e = arg;
    e->told = end;
    e->told_status = status;
    if (atomic_fetch_add(&e->dones, 1) != 0)
        broken("on_done was called twice");
    atomic_store(&e->over, true);
}

void ledger_drop(weir_task_fn *fn, void *arg, weir_state why, void *user)
{
    (void)fn;
    (void)user;
    entry *e = arg;
    e->told = why;
    if (atomic_fetch_add(&e->drops, 1) != 0)
        broken("on_drop was called twice");
    atomic_store(&e->over, true);
}

bool ledger_ended(const entry *e)
{
    if (e->has_handle)
        return atomic_load(&e->dones) == 1;
    return atomic_load(&e->runs) + atomic_load(&e->drops) == 1 && atomic_load(&e->over);
}

/* How an accepted entry ended, or WEIR_TASK_IDLE if that makes no sense. */
static weir_state end_of(const entry *e)
{
    unsigned runs = atomic_load(&e->runs), drops = atomic_load(&e->drops);
    unsigned dones = atomic_load(&e->dones);
    weir_state ran = e->returned == 0 ? WEIR_TASK_DONE : WEIR_TASK_FAILED;
    if (runs > 1 || !atomic_load(&e->over))
        return WEIR_TASK_IDLE;
    if (!e->has_handle) {
        if (dones != 0 || runs + drops != 1)
            return WEIR_TASK_IDLE;
        if (runs == 1)
            return ran;
        return e->told >= WEIR_TASK_CANCELLED && e->told <= WEIR_TASK_DROPPED ? e->told
                                                                              : WEIR_TASK_IDLE;
    }
    if (drops != 0 || dones != 1)
        return WEIR_TASK_IDLE;
    static const int unstarted[] = {-ECANCELED, -ETIMEDOUT, -EPIPE};
    if (runs == 1)
        return e->told == ran && e->told_status == e->returned ? ran : WEIR_TASK_IDLE;
    if (e->told < WEIR_TASK_CANCELLED || e->told > WEIR_TASK_DROPPED ||
        e->told_status != unstarted[e->told - WEIR_TASK_CANCELLED])
        return WEIR_TASK_IDLE;
    return e->told;
}

static void print_entry(const entry *e)
{
    fprintf(stderr,
            "task %u: %s%s behaviour %d depth %u refusal %d; runs %u drops %u dones %u over %d "
            "returned %d told %s %d\n",
            (unsigned)(e - entries), e->accepted ? "accepted" : "refused",
            e->has_handle ? ", with a handle," : "", e->behaviour, e->depth, e->refusal,
            atomic_load(&e->runs), atomic_load(&e->drops), atomic_load(&e->dones),
            atomic_load(&e->over), e->returned, state_names[e->told], e->told_status);
}

static void expect(uint64_t is, uint64_t should_be, const char *what)
{
    if (is == should_be)
        return;
    fprintf(stderr, "%s: the pool says %" PRIu64 ", the ledger %" PRIu64 "\n", what, is, should_be);
    broken("the pool's counts are not what happened");
}

bool ledger_check(const weir_pool_counts *counts, weir_overflow overflow)
{
    uint64_t ends[WEIR_TASK_DROPPED + 1] = {0}, accepted = 0, refused = 0, by_group = 0;
    for (unsigned i = 0; i < ledger_used(); i++) {
        entry *e = &entries[i];
        weir_context_unref(e->kept);
        if (e->accepted) {
            weir_state end = end_of(e);
            accepted++;
            ends[end]++;
            if (end == WEIR_TASK_IDLE ||
                (end == WEIR_TASK_DROPPED && overflow != WEIR_OVERFLOW_DROP_OLDEST)) {
                print_entry(e);
                broken("an accepted task did not end exactly once, in a way that makes sense");
            }
        } else {
            if (e->refusal != 0)
                refused++;
            if (e->refusal != 0 && e->of_group)
                by_group++;
            if (atomic_load(&e->runs) + atomic_load(&e->drops) + atomic_load(&e->dones) != 0) {
                print_entry(e);
                broken("a refused task was touched");
            }
        }
    }
    expect(counts->submitted, accepted, "submitted");
    expect(counts->done, ends[WEIR_TASK_DONE], "done");
    expect(counts->failed, ends[WEIR_TASK_FAILED], "failed");
    expect(counts->cancelled, ends[WEIR_TASK_CANCELLED], "cancelled");
    expect(counts->expired, ends[WEIR_TASK_EXPIRED], "expired");
    expect(counts->dropped, ends[WEIR_TASK_DROPPED], "dropped");
    expect(counts->queued, 0, "queued");
    expect(counts->running, 0, "running");
    if (counts->rejected + by_group < refused || counts->rejected > refused) {
        fprintf(stderr,
                "rejected %" PRIu64 ", refusals %" PRIu64 ", of them by groups %" PRIu64 "\n",
                counts->rejected, refused, by_group);
        broken("the pool's count of refusals is not what happened");
    }
    accepted_in_all += accepted;
    refused_in_all += refused;
    for (unsigned i = 0; i <= WEIR_TASK_DROPPED; i++)
        ends_in_all[i] += ends[i];
    return !anything_broken();
}

void ledger_print_totals(void)
{
    printf("%" PRIu64 " tasks accepted, %" PRIu64 " refused;", accepted_in_all, refused_in_all);
    for (unsigned i = WEIR_TASK_DONE; i <= WEIR_TASK_DROPPED; i++)
        printf(" %" PRIu64 " %s%s", ends_in_all[i], state_names[i],
               i < WEIR_TASK_DROPPED ? "," : "\n");
}
