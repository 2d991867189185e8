/* SPDX-License-Identifier: MIT */
/* model.c - shared memory.
 *
 * Each atomic word has a history of stores, in its modification order. A load may return an older
 * one than the newest, unless the newer one happens-before the load, or something that
 * happens-before the load has seen it. In the same way a store may take its place before newer
 * ones, as on a machine on which it comes late; a read-modify-write reads what is then right before
 * it, and nothing comes in between later. Among sequentially consistent operations psc.h forbids
 * what closes a cycle. That is all that RC11 permits: it orders what threads do so that each
 * operation reads only from earlier ones. C11 permits more, see future.h.
 *
 * What happens-before what is kept in vector clocks, by the orders that the code gives: a release
 * store carries its thread's clock, an acquire load that reads from it, or from read-modify-writes
 * after it, takes it over. (Not from later stores of the same thread: that was so until C++20.)
 * Plain accesses are checked against these clocks: two to the same bytes, one of them a write, with
 * neither before the other, are a data race. So are an access of any kind and the freeing of the
 * memory: whoever gets it next writes to it.
 */
#include "model.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "choices.h"
#include "future.h"
#include "laps.h"
#include "psc.h"
#include "scheduler.h"

enum { HISTORY = 6, MAX_WORDS = 1 << 13, GRANULE = 4 };

#define RANK_STEP ((rank)1 << 32) /* between stores, for those that come late */

struct store {
    uint64_t value;
    rank rank;
    uint16_t time; /* of the storing thread's clock; 0: before the run */
    uint8_t thread;
    bool changes;            /* it reads the store before it: none comes in between */
    bool weakened;           /* by a store whose order was made weaker */
    struct ref self;         /* if it is sequentially consistent */
    struct message released; /* what an acquire load of it takes over */
    times seen;              /* when each thread first read it; 0: never */
};

struct word {
    uint8_t size;
    uint8_t count; /* stores in the history */
    uint8_t newest;
    struct ref last; /* sequentially consistent operation on it */
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
    psc_reset();
    future_begin_run();
}

static uint16_t my_time(void)
{
    return current->clock.at[current->number];
}

static bool knows(unsigned thread, uint16_t time)
{
    return current->clock.at[thread] >= time;
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
        word->last = (struct ref){0, 0};
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

/* May the thread not know of anything older than this store? */
static bool is_last(const struct store *store)
{
    return knows(store->thread, store->time) ||
           times_any((times)(store->seen != 0) & ~unknown(store->seen));
}

/* What a step does to a word: it acts on the store that is `age` stores old. */
struct act {
    struct word *word;
    const void *address;
    enum memory_order order;
    bool reads, writes;
    unsigned age;
    bool comes; /* it reads what is still to come: */
    uint64_t coming;
};

static rank rank_after(struct word *word, unsigned age)
{
    rank at = aged(word, age)->rank;
    return age == 0 ? at + RANK_STEP : at + (aged(word, age - 1)->rank - at) / 2;
}

static void as_seqcst(const struct act *act, struct psc_operation *ret_operation)
{
    struct store *store = aged(act->word, act->age);
    *ret_operation = (struct psc_operation){.address = act->address,
                                            .others = act->word->last,
                                            .before = current->clock,
                                            .reads = act->reads,
                                            .writes = act->writes};
    if (act->reads) {
        ret_operation->source = store->self;
        ret_operation->read = store->rank;
        clock_join(&ret_operation->before, &store->released.clock);
    }
    if (act->writes)
        ret_operation->written = rank_after(act->word, act->age);
}

static bool is_allowed(const struct act *act)
{
    if (act->age == 0)
        return true;
    if (act->writes && aged(act->word, act->age - 1)->changes)
        return false;
    if (act->order != SEQCST)
        return true;
    struct psc_operation operation;
    as_seqcst(act, &operation);
    return psc_allows(&operation);
}

/* The act as it is, by what the store holds that it acts on: a CAS may only read. */
typedef void act_on(struct act *act, const struct store *store, const void *arg);

/* The values that a load may return though none of the stores in the history has it. */
static unsigned add_futures(const struct act *act, uint32_t step, struct option options[],
                            unsigned n)
{
    uint64_t values[MOST_FUTURES];
    unsigned count = future_values(act->address, values), old = n;
    if (choices_wants_future(step, &values[0]))
        count = 1;
    for (unsigned i = 0; i < count; i++) {
        bool has = false;
        for (unsigned j = 0; j < old; j++)
            has |= aged(act->word, (unsigned)options[j].value)->value == values[i];
        if (!has)
            options[n++] = (struct option){KIND_FUTURE, values[i]};
    }
    return n;
}

static void choose_age(struct act *act, uint32_t step, act_on *is, const void *arg)
{
    struct word *word = act->word;
    struct option options[HISTORY + MOST_FUTURES];
    unsigned n = 0;
    for (unsigned age = 0; age < word->count; age++) {
        if (age > 0 && is_last(aged(word, age - 1)))
            break;
        struct act here = *act;
        here.age = age;
        if (is != NULL)
            is(&here, aged(word, age), arg);
        if (!is_allowed(&here))
            continue;
        options[n++] = (struct option){KIND_VALUE, (uint8_t)age};
        if (aged(word, age)->weakened)
            choices_heat();
    }
    if (act->order == RLX && !act->writes)
        n = add_futures(act, step, options, n);
    struct option chosen = options[choose(step, options, n, false)];
    act->comes = chosen.kind == KIND_FUTURE;
    act->coming = chosen.value;
    act->age = act->comes ? 0 : (unsigned)chosen.value;
}

static void choose_act(struct act *act, act_on *is, const void *arg)
{
    uint32_t step = next_step();
    if (exploring() && choices_allow(KIND_VALUE) && (act->word->count > 1 || !act->writes))
        choose_age(act, step, is, arg);
    if (is != NULL)
        is(act, aged(act->word, act->age), arg);
}

/* A place in the history for what is stored behind the one that is `age` old; it keeps its age. */
static struct store *make_room(struct word *word, unsigned age)
{
    rank between = rank_after(word, age);
    word->newest = word->newest + 1 < HISTORY ? word->newest + 1 : 0;
    if (word->count < HISTORY)
        word->count++;
    for (unsigned i = 0; i < age; i++)
        *aged(word, i) = *aged(word, i + 1);
    struct store *store = aged(word, age);
    memset(store, 0, sizeof *store);
    store->rank = between;
    return store;
}

/* Does it. Returns the value that it read. */
static uint64_t perform(const struct act *act, void *p, uint64_t value, const struct site *site)
{
    if (act->comes) {
        psc_pass(p, NULL, (struct ref){0, 0});
        future_open(p, act->coming);
        return act->coming;
    }
    future_meet(p);
    struct store *from = aged(act->word, act->age);
    uint64_t old = from->value;
    struct message carried = from->released; /* read-modify-writes carry a release on */
    struct psc_operation operation;
    if (act->order == SEQCST)
        as_seqcst(act, &operation);
    if (act->reads) {
        if (from->seen[current->number] == 0)
            from->seen |= times_only(current->number, my_time());
        if (acquires(act->order))
            clock_join(&current->clock, &carried.clock);
    }
    struct ref self = {0, 0};
    if (act->order == SEQCST)
        act->word->last = self = psc_add(&operation);
    psc_pass(p, act->reads && acquires(act->order) ? &carried : NULL, self);
    if (!act->writes)
        return old;
    struct store *store = make_room(act->word, act->age);
    store->value = cut(value, act->word->size);
    store->thread = (uint8_t)current->number;
    store->time = my_time();
    store->changes = act->reads;
    store->self = self;
    store->weakened = site->in_force != site->order;
    store->seen = times_only(current->number, my_time());
    if (act->reads)
        store->released = carried;
    if (releases(act->order)) {
        struct message mine = psc_release();
        message_join(&store->released, &mine);
        current->clock.at += times_only(current->number, 1);
    }
    if (act->age > 0)
        return old;
    write_memory(p, act->word->size, store->value);
    uint16_t time;
    int reader = future_close(p, store->value, &time);
    if (reader >= 0)
        store->seen[reader] = time;
    return old;
}

static enum memory_order meet(struct site *site)
{
    site->met += exploring() ? 1 : 0;
    if (site->in_force != site->order)
        choices_heat();
    return (enum memory_order)site->in_force;
}

static void plain_write_before(const void *p, const char *site);

/* Before an operation of the current thread on the word at p, which it may use. */
static struct act arrive(const void *p, size_t size, struct site *site, const char *operation,
                         bool writes)
{
    struct act act = {.address = p, .order = meet(site), .reads = site->loads, .writes = writes};
    point(p, writes, operation, site->place);
    model_check_address(p, site->place);
    plain_write_before(p, site->place);
    act.word = find(p, size);
    return act;
}

static const char *told(const struct act *act)
{
    return act->comes ? " (still to come)" : act->age > 0 ? " (overwritten)" : "";
}

uint64_t model_load(const void *p, size_t size, struct site *site)
{
    struct act act = arrive(p, size, site, "load", false);
    choose_act(&act, NULL, NULL);
    uint64_t value = perform(&act, ADDRESS(p), 0, site);
    trace("  = %llx%s", (unsigned long long)value, told(&act));
    return value;
}

void model_store(void *p, size_t size, uint64_t value, struct site *site)
{
    struct act act = arrive(p, size, site, "store", true);
    choose_act(&act, NULL, NULL);
    (void)perform(&act, p, value, site);
    trace("  := %llx%s", (unsigned long long)cut(value, size), told(&act));
}

static uint64_t change(const struct act *act, void *p, uint64_t value, const struct site *site)
{
    uint64_t old = perform(act, p, value, site);
    trace("  %llx -> %llx%s", (unsigned long long)old,
          (unsigned long long)cut(value, act->word->size), told(act));
    return old;
}

uint64_t model_rmw(void *p, size_t size, enum rmw kind, uint64_t operand, struct site *site)
{
    const char *operation = kind == RMW_XCHG ? "exchange" : kind == RMW_ADD ? "add" : "or";
    struct act act = arrive(p, size, site, operation, true);
    choose_act(&act, NULL, NULL);
    uint64_t old = aged(act.word, act.age)->value;
    return change(&act, p,
                  kind == RMW_XCHG  ? operand
                  : kind == RMW_ADD ? old + operand
                                    : old | operand,
                  site);
}

static void as_cas(struct act *act, const struct store *store, const void *expected)
{
    act->writes = store->value == *(const uint64_t *)expected;
    if (!act->writes && act->order == REL)
        act->order = RLX;
    if (!act->writes && act->order == ACQREL)
        act->order = ACQ;
}

bool model_cas(void *p, size_t size, void *expected, uint64_t value, struct site *site)
{
    uint64_t before = read_memory(expected, size);
    struct act act = arrive(p, size, site, "cas", true);
    choose_act(&act, as_cas, &before);
    if (!act.writes) {
        uint64_t found = perform(&act, p, 0, site);
        trace("  fails: %llx%s", (unsigned long long)found, told(&act));
        write_memory(expected, size, found);
        return false;
    }
    (void)change(&act, p, value, site);
    laps_note(p, site->function, exploring());
    return true;
}

uint64_t model_look(const void *p, size_t size, const char *operation, const char *site)
{
    point(p, false, operation, site);
    model_check_address(p, site);
    struct act act = {.word = find(p, size), .address = p, .order = RLX, .reads = true};
    return perform(&act, ADDRESS(p), 0, NULL);
}

void model_take(const void *lock)
{
    const struct message *left = &find(lock, sizeof(uint32_t))->history[0].released;
    clock_join(&current->clock, &left->clock);
    psc_pass(lock, left, (struct ref){0, 0});
}

void model_leave(const void *lock)
{
    struct word *word = find(lock, sizeof(uint32_t));
    psc_pass(lock, NULL, (struct ref){0, 0});
    word->history[0].released = psc_release();
    current->clock.at += times_only(current->number, 1);
}

/* Plain data. */

static struct granule *in_this_run(struct granule *granule)
{
    if (granule->run != run) {
        memset(granule, 0, sizeof *granule);
        granule->run = run;
    }
    return granule;
}

static struct granule *granule_at(const void *address)
{
    size_t offset;
    return arena_offset(address, &offset) ? in_this_run(&granules[offset / GRANULE]) : NULL;
}

static void plain_write_before(const void *p, const char *site)
{
    struct granule *granule = granule_at(p);
    if (granule == NULL)
        return;
    if (granule->write_time != 0 && !knows(granule->writer, granule->write_time))
        fail("data race: T%u wrote %p, which is atomic at %s", granule->writer, p, site);
    granule->atomics = times_later(granule->atomics, times_only(current->number, my_time()));
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
        if (times_any(racing))
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
    const times mine = times_only(current->number, my_time());
    struct granule *all = granule_at(address);
    for (size_t i = 0; i * GRANULE < size; i++) {
        struct granule *granule = in_this_run(&all[i]);
        if (granule->write_time != 0 && !knows(granule->writer, granule->write_time))
            fail("data race: T%u wrote %p, T%u %s it at code %p (see addr2line)", granule->writer,
                 address, current->number, writes ? "writes" : "reads", code);
        if (writes) {
            times racing = unknown(granule->reads);
            if (times_any(racing))
                fail("data race: T%u read %p, T%u writes it at code %p (see addr2line)",
                     first(racing), address, current->number, code);
            granule->writer = (uint8_t)current->number;
            granule->write_time = my_time();
        }
        granule->reads = times_later(granule->reads, mine);
    }
}
