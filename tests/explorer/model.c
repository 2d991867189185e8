/* SPDX-License-Identifier: MIT */
/* model.c - shared memory.
 *
 * Each atomic word has a history of stores. A load may return an older one than the newest, unless
 * the newer one happens-before the load, or something that happens-before the load has seen it, or
 * both it and the load are sequentially consistent. Read-modify-writes act on the newest. What
 * happens-before what is kept in vector clocks, by the orders that the code gives: a release store
 * carries its thread's clock, an acquire load that reads from it, or from read-modify-writes after
 * it, takes it over. Plain accesses are checked against these clocks: two to the same bytes, one of
 * them a write, with neither before the other, are a data race. So are an access of any kind and
 * the freeing of the memory: whoever gets it next writes to it.
 */
#include "model.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "choices.h"
#include "laps.h"
#include "scheduler.h"

enum { HISTORY = 6, MAX_WORDS = 1 << 13, GRANULE = 4 };

struct store {
    uint64_t value;
    uint16_t time; /* of the storing thread's clock; 0: before the run */
    uint8_t thread;
    bool seqcst;
    bool weakened;         /* by a store whose order was made weaker */
    struct clock released; /* what an acquire load of it takes over */
    times seen;            /* when each thread first read it; 0: never */
};

struct word {
    uint8_t size;
    uint8_t count; /* stores in the history */
    uint8_t newest;
    struct store history[HISTORY];
};

/* Accesses to a granule of memory: the last plain write, and when each thread last used it. */
struct granule {
    times reads, atomics;
    uint32_t run;
    uint16_t write_time;
    uint8_t writer;
};

/* The words of this run, close together, and where to find them by address. */
static struct word words[MAX_WORDS];
static unsigned word_count;
static struct {
    const void *address;
    uint32_t run;
    uint32_t word;
} directory[2 * MAX_WORDS];

static struct granule *granules;
static uint32_t run;

void model_reset(void)
{
    if (granules == NULL) {
        size_t size = ARENA_SIZE / GRANULE * sizeof *granules;
        granules = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (granules == MAP_FAILED)
            fail("no memory for the explorer");
    }
    run++;
    word_count = 0;
}

static uint16_t my_time(void)
{
    return current->clock.at[current->number];
}

static bool knows(unsigned thread, uint16_t time)
{
    return current->clock.at[thread] >= time;
}

static bool any(times are)
{
    typedef uint64_t halves __attribute__((vector_size(sizeof(times))));
    halves two = (halves)are;
    return (two[0] | two[1]) != 0;
}

static unsigned first(times are)
{
    unsigned i = 0;
    while (are[i] == 0)
        i++;
    return i;
}

static times unknown(times what)
{
    return (times)(current->clock.at < what);
}

static bool is_gone(const void *address, enum place place, unsigned owner)
{
    switch (place) {
    case PLACE_FREED:
    case PLACE_UNUSED:
        return true;
    case PLACE_STACK:
        return owner != current->number && (vthread_get(owner)->status == FINISHED ||
                                            (uintptr_t)address < vthread_get(owner)->stack_top);
    case PLACE_THREAD:
        return owner != current->number && vthread_get(owner)->status == FINISHED;
    default:
        return false;
    }
}

static void fail_as_gone(const void *address, enum place place, unsigned owner, const char *site)
{
    switch (place) {
    case PLACE_FREED:
        fail("use after free of %p at %s", address, site);
    case PLACE_UNUSED:
        fail("access to %p, where nothing is, at %s", address, site);
    case PLACE_STACK:
        fail("access to a frame of T%u that is gone, %p, at %s", owner, address, site);
    default:
        fail("access to data of T%u, which has ended, at %s", owner, site);
    }
}

void model_check_address(const void *address, const char *site)
{
    unsigned owner = 0;
    enum place place = arena_place(address, &owner);
    if (is_gone(address, place, owner))
        fail_as_gone(address, place, owner, site);
}

/* Atomic words. */

/* Each size by itself: a CPU is slow to read as a whole what was written in parts. */
static uint64_t read_memory(const void *p, size_t size)
{
    uint64_t all;
    uint32_t half;
    uint16_t quarter;
    switch (size) {
    case sizeof all:
        memcpy(&all, p, sizeof all);
        return all;
    case sizeof half:
        memcpy(&half, p, sizeof half);
        return half;
    case sizeof quarter:
        memcpy(&quarter, p, sizeof quarter);
        return quarter;
    default:
        return *(const uint8_t *)p;
    }
}

static void write_memory(void *p, size_t size, uint64_t value)
{
    uint32_t half = (uint32_t)value;
    uint16_t quarter = (uint16_t)value;
    switch (size) {
    case sizeof value:
        memcpy(p, &value, sizeof value);
        break;
    case sizeof half:
        memcpy(p, &half, sizeof half);
        break;
    case sizeof quarter:
        memcpy(p, &quarter, sizeof quarter);
        break;
    default:
        *(uint8_t *)p = (uint8_t)value;
    }
}

static uint64_t cut(uint64_t value, size_t size)
{
    return size == 8 ? value : value & ((UINT64_C(1) << (8 * size)) - 1);
}

static struct word *find(const void *p, size_t size)
{
    size_t at = ((uintptr_t)p * UINT64_C(0x9E3779B97F4A7C15)) >> 50;
    while (directory[at].run == run && directory[at].address != p)
        at = (at + 1) % (2 * MAX_WORDS);
    bool new = directory[at].run != run;
    if (new) {
        if (word_count == MAX_WORDS)
            fail("the explorer has no room for so many words");
        directory[at].address = p;
        directory[at].run = run;
        directory[at].word = word_count++;
    }
    struct word *word = &words[directory[at].word];
    uint64_t value = read_memory(p, size);
    if (new || word->history[word->newest].value != value || word->size != size) {
        /* New, or plain code has set it since: whoever may see that is another question. */
        word->size = (uint8_t)size;
        word->count = 1;
        word->newest = 0;
        memset(&word->history[0], 0, sizeof word->history[0]);
        word->history[0].value = value;
    }
    return word;
}

static struct store *aged(struct word *word, unsigned age)
{
    return &word->history[word->newest >= age ? word->newest - age : word->newest + HISTORY - age];
}

static bool acquires(enum memory_order order)
{
    return order == ACQ || order == ACQREL || order == SEQCST;
}

static bool releases(enum memory_order order)
{
    return order == REL || order == ACQREL || order == SEQCST;
}

static void read_from(struct store *store, enum memory_order order)
{
    if (store->seen[current->number] == 0)
        store->seen[current->number] = my_time();
    if (acquires(order))
        clock_join(&current->clock, &store->released);
}

static struct store *append(struct word *word, void *p, uint64_t value, enum memory_order order,
                            const struct site *site)
{
    word->newest = word->newest + 1 < HISTORY ? word->newest + 1 : 0;
    if (word->count < HISTORY)
        word->count++;
    struct store *store = &word->history[word->newest];
    memset(store, 0, sizeof *store);
    store->value = value;
    store->thread = (uint8_t)current->number;
    store->time = my_time();
    store->seqcst = order == SEQCST;
    store->weakened = site->in_force != site->order;
    store->seen[current->number] = my_time();
    write_memory(p, word->size, value);
    return store;
}

/* May the load not return anything older than this store? */
static bool is_last(const struct store *store, enum memory_order order)
{
    if (knows(store->thread, store->time) || (store->seqcst && order == SEQCST))
        return true;
    return any((times)(store->seen != 0) & ~unknown(store->seen));
}

static unsigned choose_age(struct word *word, enum memory_order order)
{
    uint32_t at = next_step();
    if (!exploring() || word->count == 1 || !choices_allow(KIND_VALUE))
        return 0;
    struct option options[HISTORY];
    unsigned n = 0;
    do {
        options[n] = (struct option){KIND_VALUE, (uint8_t)n};
        if (aged(word, n)->weakened)
            choices_heat();
        n++;
    } while (n < word->count && !is_last(aged(word, n - 1), order));
    return choose(at, options, n, false);
}

static enum memory_order meet(struct site *site)
{
    site->met += exploring() ? 1 : 0;
    if (site->in_force != site->order)
        choices_heat();
    return (enum memory_order)site->in_force;
}

static void plain_write_before(const void *p, const char *site);

uint64_t model_load(const void *p, size_t size, struct site *site)
{
    enum memory_order order = meet(site);
    point(p, false, "load", site->place);
    model_check_address(p, site->place);
    plain_write_before(p, site->place);
    struct word *word = find(p, size);
    unsigned age = choose_age(word, order);
    struct store *store = aged(word, age);
    read_from(store, order);
    trace("  = %llx%s", (unsigned long long)store->value, age > 0 ? " (overwritten)" : "");
    return store->value;
}

void model_store(void *p, size_t size, uint64_t value, struct site *site)
{
    enum memory_order order = meet(site);
    point(p, true, "store", site->place);
    model_check_address(p, site->place);
    plain_write_before(p, site->place);
    struct store *store = append(find(p, size), p, cut(value, size), order, site);
    if (releases(order)) {
        store->released = current->clock;
        current->clock.at[current->number]++;
    }
    trace("  := %llx", (unsigned long long)store->value);
}

static uint64_t change(struct word *word, void *p, uint64_t value, enum memory_order order,
                       const struct site *site)
{
    struct store *before = aged(word, 0);
    uint64_t old = before->value;
    struct clock released = before->released; /* read-modify-writes carry a release on */
    read_from(before, order);
    struct store *store = append(word, p, cut(value, word->size), order, site);
    store->released = released;
    if (releases(order)) {
        clock_join(&store->released, &current->clock);
        current->clock.at[current->number]++;
    }
    trace("  %llx -> %llx", (unsigned long long)old, (unsigned long long)store->value);
    return old;
}

uint64_t model_rmw(void *p, size_t size, enum rmw kind, uint64_t operand, struct site *site)
{
    enum memory_order order = meet(site);
    point(p, true, kind == RMW_XCHG ? "exchange" : kind == RMW_ADD ? "add" : "or", site->place);
    model_check_address(p, site->place);
    plain_write_before(p, site->place);
    struct word *word = find(p, size);
    uint64_t old = aged(word, 0)->value;
    return change(word, p,
                  kind == RMW_XCHG  ? operand
                  : kind == RMW_ADD ? old + operand
                                    : old | operand,
                  order, site);
}

bool model_cas(void *p, size_t size, void *expected, uint64_t value, struct site *site)
{
    enum memory_order order = meet(site);
    point(p, true, "cas", site->place);
    model_check_address(p, site->place);
    plain_write_before(p, site->place);
    struct word *word = find(p, size);
    struct store *newest = aged(word, 0);
    if (newest->value != read_memory(expected, size)) {
        trace("  fails: %llx", (unsigned long long)newest->value);
        read_from(newest, order == REL ? RLX : order == ACQREL ? ACQ : order);
        write_memory(expected, size, newest->value);
        return false;
    }
    (void)change(word, p, value, order, site);
    laps_note(p, site->function, exploring());
    return true;
}

uint64_t model_look(const void *p, size_t size, const char *operation, const char *site)
{
    point(p, false, operation, site);
    model_check_address(p, site);
    struct store *newest = aged(find(p, size), 0);
    read_from(newest, RLX);
    return newest->value;
}

void model_take(const void *lock)
{
    clock_join(&current->clock, &find(lock, sizeof(uint32_t))->history[0].released);
}

void model_leave(const void *lock)
{
    struct word *word = find(lock, sizeof(uint32_t));
    word->history[0].released = current->clock;
    current->clock.at[current->number]++;
}

/* Plain data. */

static struct granule *granule_at(const void *address)
{
    size_t offset;
    if (!arena_offset(address, &offset))
        return NULL;
    struct granule *granule = &granules[offset / GRANULE];
    if (granule->run != run) {
        memset(granule, 0, sizeof *granule);
        granule->run = run;
    }
    return granule;
}

static void plain_write_before(const void *p, const char *site)
{
    struct granule *granule = granule_at(p);
    if (granule == NULL)
        return;
    if (granule->write_time != 0 && !knows(granule->writer, granule->write_time))
        fail("data race: T%u wrote %p, which is atomic at %s", granule->writer, p, site);
    granule->atomics[current->number] = my_time();
}

void model_free(const void *memory, size_t size)
{
    for (size_t i = 0; i < size; i += GRANULE) {
        size_t offset;
        if (!arena_offset((const char *)memory + i, &offset))
            return;
        const struct granule *granule = &granules[offset / GRANULE];
        if (granule->run != run)
            continue;
        times racing = unknown(granule->reads) | unknown(granule->atomics);
        if (any(racing))
            fail("data race: T%u used %p, T%u frees it", first(racing),
                 (const void *)((const char *)memory + i), current->number);
    }
}

void model_plain(const void *address, size_t size, bool writes, const void *code)
{
    unsigned owner = 0;
    enum place place = arena_place(address, &owner);
    if (place == PLACE_UNKNOWN || (place == PLACE_THREAD && owner == current->number))
        return;
    if (is_gone(address, place, owner)) {
        char site[64];
        (void)snprintf(site, sizeof site, "code %p", code);
        fail_as_gone(address, place, owner, site);
    }
    for (size_t i = 0; i < size; i += GRANULE) {
        struct granule *granule = granule_at((const char *)address + i);
        if (granule == NULL)
            return;
        if (granule->write_time != 0 && !knows(granule->writer, granule->write_time))
            fail("data race: T%u wrote %p, T%u %s it at code %p (see addr2line)", granule->writer,
                 address, current->number, writes ? "writes" : "reads", code);
        if (writes) {
            times racing = unknown(granule->reads);
            if (any(racing))
                fail("data race: T%u read %p, T%u writes it at code %p (see addr2line)",
                     first(racing), address, current->number, code);
            granule->writer = (uint8_t)current->number;
            granule->write_time = my_time();
        }
        granule->reads[current->number] = my_time();
    }
}
