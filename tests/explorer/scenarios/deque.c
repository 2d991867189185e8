/* SPDX-License-Identifier: MIT */
/* deque.c - a deque by itself: one owner, one thief or two.
 *
 * What is queued are numbers of items, and the items are plain memory: that they arrive whole, and
 * that no two threads have the same one, is checked as a data race would be.
 */
#include "scenario.h"

#include "pool/deque.h"

enum { MAX_ITEMS = 8, MAX_WORDS = 4 };

struct bench {
    struct deque deque;
    atomic(uint32_t) words[MAX_WORDS];
    unsigned items[MAX_ITEMS]; /* number + 1 once pushed, 0 once taken */
    unsigned pushed;
    unsigned taken[MAX_ITEMS];
    atomic(unsigned) other; /* changed between the two steps of a take */
};

static struct bench *new_bench(uint32_t capacity)
{
    struct bench *bench = make(sizeof *bench);
    deque_init(&bench->deque, bench->words, capacity);
    return bench;
}

static bool push(struct bench *bench)
{
    if (deque_full(&bench->deque))
        return false;
    unsigned item = bench->pushed++;
    bench->items[item] = item + 1;
    (void)deque_push(&bench->deque, item);
    return true;
}

static void has(struct bench *bench, uint32_t item)
{
    check(item < MAX_ITEMS && bench->items[item] == item + 1);
    bench->items[item] = 0;
    bench->taken[item]++;
}

static bool take(struct bench *bench)
{
    uint32_t item;
    if (!deque_take(&bench->deque, &item))
        return false;
    has(bench, item);
    return true;
}

/* In two steps, if it can be. */
static bool take_in_steps(struct bench *bench)
{
    uint32_t item;
    if (!deque_newest(&bench->deque, &item) || !deque_begin_take(&bench->deque))
        return take(bench);
    (void)add_seqcst(&bench->other, 1);
    if (!deque_end_take(&bench->deque))
        return false;
    has(bench, item);
    return true;
}

/* One try. */
static bool steal(struct bench *bench)
{
    uint64_t position;
    uint32_t item;
    if (!deque_oldest(&bench->deque, &position, &item) ||
        !deque_take_oldest(&bench->deque, position))
        return false;
    has(bench, item);
    return true;
}

static void steal_two(void *arg)
{
    for (int i = 0; i < 2; i++)
        (void)steal(arg);
}

static void steal_three(void *arg)
{
    for (int i = 0; i < 3; i++)
        (void)steal(arg);
}

static void end_bench(struct bench *bench)
{
    while (take(bench))
        continue;
    check(deque_count(&bench->deque) == 0 && !steal(bench));
    for (unsigned i = 0; i < MAX_ITEMS; i++)
        check(bench->taken[i] == (i < bench->pushed ? 1U : 0U));
    drop(bench);
}

/* The owner and a thief want the last one, again and again. */
static void the_last_one(void)
{
    struct bench *bench = new_bench(2);
    loads_may_be_late();
    explore_begin();
    struct vthread *thief = start(steal_two, bench);
    for (int lap = 0; lap < 3; lap++) {
        check(push(bench)); /* false: a false full */
        (void)take(bench);
    }
    finish(thief);
    explore_end();
    end_bench(bench);
}

/* Some are queued: the newest is the owner's without a CAS, unless a thief is there already. */
static void owner_against_two(unsigned queued, bool (*take_newest)(struct bench *bench))
{
    struct bench *bench = new_bench(queued);
    while (bench->pushed < queued)
        check(push(bench));
    loads_may_be_late();
    explore_begin();
    struct vthread *first = start(steal_two, bench), *second = start(steal_two, bench);
    (void)take_newest(bench);
    (void)push(bench);
    (void)take_newest(bench);
    finish(first);
    finish(second);
    explore_end();
    end_bench(bench);
}

static void two_thieves(void)
{
    owner_against_two(2, take);
}

static void two_thieves_and_two_steps(void)
{
    owner_against_two(2, take_in_steps);
}

static void two_thieves_and_three_items(void)
{
    owner_against_two(3, take_in_steps);
}

/* The words go round: each is written again as soon as there is room. */
static void round_and_round(uint32_t capacity)
{
    struct bench *bench = new_bench(capacity);
    loads_may_be_late();
    explore_begin();
    struct vthread *thief = start(steal_three, bench);
    for (int i = 0; i < 5; i++)
        if (!push(bench))
            check(deque_count(&bench->deque) <= capacity);
    finish(thief);
    explore_end();
    end_bench(bench);
}

static void round_with_one_word(void)
{
    round_and_round(1);
}

static void round_with_two_words(void)
{
    round_and_round(2);
}

static void round_below_the_words(void)
{
    round_and_round(3);
}

/* The owner takes the oldest as well. */
static void the_owner_at_both_ends(void)
{
    struct bench *bench = new_bench(4);
    check(push(bench) && push(bench));
    loads_may_be_late();
    explore_begin();
    struct vthread *thief = start(steal_two, bench);
    (void)take(bench);
    check(push(bench));
    (void)steal(bench);
    (void)take(bench);
    finish(thief);
    explore_end();
    end_bench(bench);
}

/* A thread that looks without taking misses nothing that was pushed before and is still there. */
static void look_for_the_first(void *arg)
{
    const struct bench *bench = arg;
    uint64_t at, end;
    unsigned seen = 0;
    for (deque_range(&bench->deque, &at, &end); at != end; at++)
        seen += deque_at(&bench->deque, at) == 0;
    check(seen == 1);
}

static void a_look_from_aside(void)
{
    struct bench *bench = new_bench(2);
    check(push(bench));
    loads_may_be_late();
    explore_begin();
    struct vthread *other = start(look_for_the_first, bench);
    check(push(bench) && take(bench) && push(bench));
    finish(other);
    explore_end();
    end_bench(bench);
}

/* What an owner has not seen taken it may rely on: it asks whether its own is still there. */
static void look_if_it_holds(void)
{
    struct bench *bench = new_bench(2);
    loads_may_be_late();
    explore_begin();
    struct vthread *thief = start(steal_two, bench);
    check(!deque_full(&bench->deque));
    bench->items[bench->pushed] = bench->pushed + 1;
    uint64_t position = deque_push(&bench->deque, bench->pushed++);
    bool there = deque_holds(&bench->deque, position);
    finish(thief);
    explore_end();
    check(there || bench->taken[0] == 1);
    end_bench(bench);
}

/* One thread stops for ever at each point. The others get all but what it has in hand. */

static void own_frozen(void *arg)
{
    struct bench *bench = arg;
    freezable_begin();
    (void)push(bench);
    (void)push(bench);
    (void)take(bench);
    (void)push(bench);
    (void)take_in_steps(bench);
    freezable_end();
}

static unsigned all_taken(const struct bench *bench)
{
    unsigned taken = 0;
    for (unsigned i = 0; i < MAX_ITEMS; i++)
        taken += bench->taken[i];
    return taken;
}

static void frozen_owner(void)
{
    struct bench *bench = new_bench(2);
    explore_begin();
    struct vthread *owner = start(own_frozen, bench);
    (void)steal(bench);
    settle();
    explore_end();
    while (steal(bench)) /* alone by now: it fails only where there is nothing */
        continue;
    check(deque_count(&bench->deque) == 0);
    check(all_taken(bench) + 1 >= bench->pushed);
    if (froze())
        return;
    finish(owner);
    end_bench(bench);
}

static void steal_frozen(void *arg)
{
    freezable_begin();
    (void)steal(arg);
    (void)steal(arg);
    freezable_end();
}

static void frozen_thief(void)
{
    struct bench *bench = new_bench(2);
    explore_begin();
    struct vthread *thief = start(steal_frozen, bench);
    for (int i = 0; i < 3; i++) {
        check(push(bench));
        (void)take(bench);
    }
    settle();
    explore_end();
    while (take(bench))
        continue;
    check(all_taken(bench) + 1 >= bench->pushed);
    if (froze())
        return;
    finish(thief);
    end_bench(bench);
}

const struct scenario deque_scenarios[] = {
    {"deque: the last one", the_last_one, false},
    {"deque: two thieves", two_thieves, false},
    {"deque: two thieves, a take in two steps", two_thieves_and_two_steps, false},
    {"deque: two thieves, three items", two_thieves_and_three_items, false},
    {"deque: round and round, one word", round_with_one_word, false},
    {"deque: round and round, two words", round_with_two_words, false},
    {"deque: round and round, three of four words", round_below_the_words, false},
    {"deque: the owner at both ends", the_owner_at_both_ends, false},
    {"deque: a look from aside", a_look_from_aside, false},
    {"deque: is it still there", look_if_it_holds, false},
    {"deque: frozen owner", frozen_owner, true},
    {"deque: frozen thief", frozen_thief, true},
    {0},
};
