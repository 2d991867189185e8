/* SPDX-License-Identifier: MIT */
/* names.c - times by name, added up over the threads of a pool. */
#include "weir/stats.h"

#include <errno.h>
#include <string.h>

#include "os/symbol.h"
#include "pool/pool.h"

_Static_assert(sizeof(((struct name_view *)0)->text) == sizeof(((weir_name_times *)0)->name),
               "a name is copied as it is");

enum { FUNCTIONS = 64 };

/* What has been found so far. The names of functions are slow to find (os/symbol.h), and most
 * threads have the same ones. */
struct summary {
    weir_name_times *all;
    size_t room, used;
    weir_name_times others;
    struct {
        uintptr_t fn; /* 0: none */
        weir_name_times *entry;
    } functions[FUNCTIONS]; /* those that share a place take turns in it */
};

/* How much of it was on a CPU, by the runs for which that was read. */
static uint64_t cpu_time(const struct name_view *view)
{
    double share = view->cpu_run > 0 ? (double)view->cpu / (double)view->cpu_run : 0;
    return (uint64_t)(share * (double)view->run);
}

static void add(weir_name_times *to, const struct name_view *view)
{
    to->count += view->count;
    to->wait_ns += view->wait;
    to->run_ns += view->run;
    to->cpu_ns += cpu_time(view);
}

/* The entry of that name, a new one if there is none yet, or else that of the rest. */
static weir_name_times *entry_of_name(struct summary *summary, const char *name)
{
    for (size_t i = 0; i < summary->used; i++)
        if (strcmp(summary->all[i].name, name) == 0)
            return &summary->all[i];
    if (summary->used == summary->room)
        return &summary->others;
    weir_name_times *entry = &summary->all[summary->used++];
    memset(entry, 0, sizeof *entry);
    memcpy(entry->name, name, strlen(name)); /* the rest of it is zero */
    return entry;
}

static weir_name_times *entry_of(struct summary *summary, const struct name_view *view)
{
    char name[sizeof summary->all->name];
    memcpy(name, view->text, sizeof name);
    if (name[0] != '\0')
        return entry_of_name(summary, name);
    size_t place = (uint64_t)view->fn * UINT64_C(0x9E3779B97F4A7C15) >> 32 & (FUNCTIONS - 1);
    if (summary->functions[place].fn != view->fn || view->fn == 0) {
        weir__symbol(view->fn, name, sizeof name);
        summary->functions[place].fn = view->fn;
        summary->functions[place].entry = entry_of_name(summary, name);
    }
    return summary->functions[place].entry;
}

static void add_names(struct summary *summary, const struct names *names)
{
    struct name_view view;
    for (unsigned i = 0; i < NAMES_SETS * NAMES_WAYS; i++)
        if (weir__names_read(&names->entries[i], &view))
            add(entry_of(summary, &view), &view);
    weir__names_read_sums(&names->others, &view);
    add(&summary->others, &view);
}

static void sort(weir_name_times all[], size_t n)
{
    for (size_t i = 1; i < n; i++) {
        weir_name_times moved = all[i];
        size_t at = i;
        for (; at > 0 && all[at - 1].run_ns < moved.run_ns; at--)
            all[at] = all[at - 1];
        all[at] = moved;
    }
}

int64_t weir_pool_read_names(const weir_pool *pool, weir_name_times ret[], size_t n)
{
    if (pool == NULL || ret == NULL || n == 0)
        return -EINVAL;
    if (pool_stale(pool))
        return -ESTALE;
    struct summary summary = {.all = ret, .room = n - 1};
    for (unsigned i = 0; i <= pool->host.workers; i++) /* the last is of all other threads */
        add_names(&summary, &pool->host.times[i].names);
    sort(summary.all, summary.used);
    if (summary.others.count > 0)
        ret[summary.used++] = summary.others;
    return (int64_t)summary.used;
}
