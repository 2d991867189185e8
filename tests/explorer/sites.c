/* SPDX-License-Identifier: MIT */
#include "sites.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/atomic.h"

enum { MAX_RECORDS = 4096, MAX_SITES = 512, MAX_MUTANTS = 4 * MAX_SITES + MAX_PAIRS };

/* Set by the linker: all records there are. */
extern struct site __start_weir_sites[], __stop_weir_sites[];

static struct {
    char name[96];
    const struct site *example;
} sites[MAX_SITES];
static unsigned site_count;

static struct mutant mutants[MAX_MUTANTS];
static unsigned mutant_count;

/* Records of the library, sorted; the site of each. */
static struct {
    struct site *record;
    unsigned site;
} records[MAX_RECORDS];
static unsigned record_count;

/* "pool/submit.c" of the path that the compiler was given; NULL: not of the library. */
static const char *library_file(const char *path)
{
    static const char folder[] = "src/";
    const char *found = strstr(path, folder);
    return found != NULL ? found + strlen(folder) : NULL;
}

/* By file, function and operation; within these by compiled file and place. */
static int compare_records(const void *left, const void *right)
{
    const struct site *a = *(struct site *const *)left, *b = *(struct site *const *)right;
    int order = strcmp(library_file(a->file), library_file(b->file));
    if (order == 0)
        order = strcmp(a->function, b->function);
    if (order == 0)
        order = strcmp(a->operation, b->operation);
    if (order == 0)
        order = strcmp(a->base, b->base);
    return order != 0 ? order : (a->number > b->number) - (a->number < b->number);
}

static unsigned site_named(const char *name, const struct site *example)
{
    for (unsigned i = 0; i < site_count; i++)
        if (strcmp(sites[i].name, name) == 0)
            return i;
    if (site_count == MAX_SITES) {
        (void)fprintf(stderr, "there are too many sites\n");
        exit(EXIT_FAILURE);
    }
    (void)snprintf(sites[site_count].name, sizeof sites[0].name, "%s", name);
    sites[site_count].example = example;
    return site_count++;
}

/* The weaker orders of an operation, the weakest first; returns how many. */
static unsigned weaker_orders(const struct site *site, unsigned char weaker[4])
{
    bool both = site->loads && site->stores;
    unsigned n = 0;
    weaker[n++] = RLX;
    if (both && site->order >= ACQREL) {
        weaker[n++] = ACQ;
        weaker[n++] = REL;
    }
    if (site->order == SEQCST)
        weaker[n++] = both ? ACQREL : site->loads ? ACQ : REL;
    return n;
}

static void add_mutants(unsigned site)
{
    static const char *const names[] = {"relaxed", "acquire", "release", "acq_rel", "seq_cst"};
    unsigned char weaker[4];
    unsigned n = weaker_orders(sites[site].example, weaker);
    for (unsigned i = 0; i < n; i++) {
        struct mutant *mutant = &mutants[mutant_count++];
        mutant->parts = 1;
        mutant->sites[0] = site;
        mutant->orders[0] = weaker[i];
        (void)snprintf(mutant->name, sizeof mutant->name, "%.95s -> %s", sites[site].name,
                       names[weaker[i]]);
    }
}

unsigned sites_collect(void)
{
    for (struct site *record = __start_weir_sites; record < __stop_weir_sites; record++)
        if (record->order != RLX && library_file(record->file) != NULL) {
            if (record_count == MAX_RECORDS)
                abort();
            records[record_count++].record = record;
        }
    qsort(records, record_count, sizeof records[0], compare_records);
    unsigned which = 0; /* among the same operations of a function, as one file sees them */
    for (unsigned i = 0; i < record_count; i++) {
        const struct site *now = records[i].record, *last = i > 0 ? records[i - 1].record : NULL;
        bool same =
            last != NULL && strcmp(library_file(now->file), library_file(last->file)) == 0 &&
            strcmp(now->function, last->function) == 0 &&
            strcmp(now->operation, last->operation) == 0 && strcmp(now->base, last->base) == 0;
        which = same ? which + 1 : 1;
        char name[sizeof sites[0].name];
        (void)snprintf(name, sizeof name, "%s %s %s %u", library_file(now->file), now->function,
                       now->operation, which);
        records[i].site = site_named(name, now);
    }
    for (unsigned i = 0; i < site_count; i++)
        add_mutants(i);
    return site_count;
}

unsigned mutants_all(const struct mutant **ret_mutants)
{
    *ret_mutants = mutants;
    return mutant_count;
}

/* Files whose orders are parts of one argument. */
static const char *const protocols[][5] = {
    {"wait/eventcount.c", "wait/eventcount.h"},
    {"ring/algorithm.h", "ring/index_ring.h", "pool/queue.h", "pool/turn.c"},
    {"pool/freelist.c", "pool/freelist.h", "ring/index_stack.h"},
    {"pool/slot.h"},
    {"pool/deque.h"},
    {"pool/quiet.c", "pool/quiet.h", "pool/tally.h"},
    {"sync/mutex.c", "sync/mutex.h"},
    {"wait/wait.c", "wait/waiter.c", "wait/follow.c", "wait/context_state.c", "wait/context.h"},
};

static bool is_in(const char *const files[5], const struct mutant *mutant)
{
    for (unsigned i = 0; i < 5 && files[i] != NULL; i++)
        if (strcmp(library_file(sites[mutant->sites[0]].example->file), files[i]) == 0)
            return true;
    return false;
}

bool mutants_meet(const struct mutant *first, const struct mutant *second)
{
    if (first->sites[0] == second->sites[0])
        return false;
    for (size_t i = 0; i < sizeof protocols / sizeof protocols[0]; i++)
        if (is_in(protocols[i], first) && is_in(protocols[i], second))
            return true;
    return false;
}

void mutants_add_pair(const struct mutant *first, const struct mutant *second)
{
    if (mutant_count == MAX_MUTANTS) {
        (void)fprintf(stderr, "there are too many pairs\n");
        exit(EXIT_FAILURE);
    }
    struct mutant *pair = &mutants[mutant_count++];
    *pair = (struct mutant){.parts = 2,
                            .sites = {first->sites[0], second->sites[0]},
                            .orders = {first->orders[0], second->orders[0]}};
    (void)snprintf(pair->name, sizeof pair->name, "%.118s & %.118s", first->name, second->name);
}

void mutant_apply(const struct mutant *mutant)
{
    for (unsigned i = 0; i < record_count; i++) {
        struct site *record = records[i].record;
        record->in_force = record->order;
        for (unsigned part = 0; part < mutant->parts; part++)
            if (records[i].site == mutant->sites[part])
                record->in_force = mutant->orders[part];
    }
}

void sites_forget(void)
{
    for (unsigned i = 0; i < record_count; i++)
        records[i].record->met = 0;
}

unsigned site_met(unsigned site)
{
    unsigned met = 0;
    for (unsigned i = 0; i < record_count; i++)
        if (records[i].site == site)
            met += records[i].record->met;
    return met;
}
