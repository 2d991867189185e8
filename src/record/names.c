/* SPDX-License-Identifier: MIT */
#include "record/names.h"

#include <string.h>

#include "base/assert.h"

/* Writing. */

static void add(struct name_sums *sums, const struct name_run *run, bool shared)
{
    count_more(&sums->count, run->weight, shared);
    count_more(&sums->wait, run->wait * run->weight, shared);
    count_more(&sums->run, run->run * run->weight, shared);
    if (run->cpu == 0)
        return;
    count_more(&sums->cpu, (run->cpu - 1) * run->weight, shared);
    count_more(&sums->cpu_run, run->run * run->weight, shared);
}

static unsigned set_of(const struct name_run *run)
{
    uint64_t hash = run->text[0] == 0 ? run->fn : 0;
    for (unsigned i = 0; i < NAMES_WORDS && run->text[i] != 0; i++)
        hash = (hash ^ run->text[i]) * UINT64_C(0x9E3779B97F4A7C15);
    return (unsigned)(hash * UINT64_C(0x9E3779B97F4A7C15) >> 61);
}

_Static_assert(NAMES_SETS == 8, "three bits of a hash");

static bool is_of(const struct name_entry *entry, const struct name_run *run)
{
    if (run->text[0] == 0) /* all of this is the writer's own */
        return load_rlx(&entry->text[0]) == 0 && load_rlx(&entry->fn) == run->fn;
    for (unsigned i = 0; i < NAMES_WORDS; i++)
        if (load_rlx(&entry->text[i]) != run->text[i])
            return false;
    return true;
}

static bool in_use(const struct name_entry *entry)
{
    return (load_rlx(&entry->state) & 1) != 0; /* the writer's own */
}

/* The writer: its entry; or the one to use for it, whose credits are 0; or NULL. */
static struct name_entry *find(struct names *names, const struct name_run *run)
{
    struct name_entry *set = &names->entries[set_of(run) * NAMES_WAYS], *least = &set[0];
    for (unsigned i = 0; i < NAMES_WAYS; i++) {
        if (in_use(&set[i]) && is_of(&set[i], run))
            return &set[i];
        if (set[i].credits < least->credits)
            least = &set[i];
    }
    if (in_use(least))
        least->credits--;
    return least->credits == 0 ? least : NULL;
}

/* Moves one sum to where it is kept for good. */
static void move(atomic(uint64_t) *from, atomic(uint64_t) *to, bool shared)
{
    count_more(to, load_rlx(from), shared); /* the writer's own */
    store_rel(from, 0);                     /* pairs with weir__names_read */
}

static void replace(struct names *names, struct name_entry *entry, const struct name_run *run)
{
    uint64_t state = load_rlx(&entry->state); /* the writer's own */
    if ((state & 1) != 0)
        store_rlx(&entry->state, ++state); /* published by each of the next */
    move(&entry->sums.count, &names->others.count, names->shared);
    move(&entry->sums.wait, &names->others.wait, names->shared);
    move(&entry->sums.run, &names->others.run, names->shared);
    move(&entry->sums.cpu, &names->others.cpu, names->shared);
    move(&entry->sums.cpu_run, &names->others.cpu_run, names->shared);
    store_rel(&entry->fn, run->fn); /* pairs with weir__names_read */
    for (unsigned i = 0; i < NAMES_WORDS; i++)
        store_rel(&entry->text[i], run->text[i]); /* pairs with weir__names_read */
    store_rel(&entry->state, state + 1);          /* pairs with weir__names_read */
}

static void note(struct names *names, const struct name_run *run)
{
    bool known = run->fn != 0 || run->text[0] != 0;
    struct name_entry *entry = known ? find(names, run) : NULL;
    if (entry == NULL) {
        add(&names->others, run, names->shared);
        return;
    }
    if (!in_use(entry) || !is_of(entry, run))
        replace(names, entry, run);
    entry->credits += entry->credits < UINT32_MAX;
    add(&entry->sums, run, false);
}

void weir__names_note(struct names *names, const struct name_run *run)
{
    if (!names->shared) {
        note(names, run);
        return;
    }
    uint32_t free = 0;
    if (!cas_acq(&names->busy, &free, 1)) { /* pairs with weir__names_note */
        add(&names->others, run, true);
        return;
    }
    note(names, run);
    store_rel(&names->busy, 0); /* pairs with weir__names_note */
}

/* Reading. */

void weir__names_read_sums(const struct name_sums *sums, struct name_view *ret)
{
    ret->count = load_rlx(&sums->count); /* numbers by themselves */
    ret->wait = load_rlx(&sums->wait);
    ret->run = load_rlx(&sums->run);
    ret->cpu = load_rlx(&sums->cpu);
    ret->cpu_run = load_rlx(&sums->cpu_run);
}

bool weir__names_read(const struct name_entry *entry, struct name_view *ret)
{
    uint64_t state = load_acq(&entry->state); /* pairs with replace */
    if ((state & 1) == 0)
        return false;
    ret->fn = load_acq(&entry->fn); /* pairs with replace */
    for (unsigned i = 0; i < NAMES_WORDS; i++)
        ret->text[i] = load_acq(&entry->text[i]);  /* pairs with replace */
    ret->count = load_acq(&entry->sums.count);     /* pairs with move */
    ret->wait = load_acq(&entry->sums.wait);       /* pairs with move */
    ret->run = load_acq(&entry->sums.run);         /* pairs with move */
    ret->cpu = load_acq(&entry->sums.cpu);         /* pairs with move */
    ret->cpu_run = load_acq(&entry->sums.cpu_run); /* pairs with move */
    return load_rlx(&entry->state) == state;       /* a later one is seen: activity.h */
}
