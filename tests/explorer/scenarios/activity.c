/* SPDX-License-Identifier: MIT */
/* activity.c - readers of what a thread notes of itself: what they read belongs together. */
#include "scenario.h"

#include <string.h>

#include "record/activity.h"

enum { NAME = 10 }; /* more than one word */

/* All that is told of a run or a wait follows from one letter. Runs whose letter is a capital are
 * plain: nothing is told but the function; those of 'n' have no name. */
static const void *address_of(char letter, unsigned which)
{
    return (const void *)(uintptr_t)((unsigned char)letter * 16U + which);
}

static void begin_run(char letter)
{
    char name[NAME + 1];
    memset(name, letter, NAME);
    name[NAME] = '\0';
    struct run_more more = {letter != 'n' ? name : NULL, address_of(letter, 1),
                            address_of(letter, 2)};
    activity_run(this_thread(), (uintptr_t)address_of(letter, 0), letter, &more);
}

static void begin_plain_run(char letter)
{
    activity_run(this_thread(), (uintptr_t)address_of(letter, 0), letter, NULL);
}

static void end_run(void)
{
    activity_ran(this_thread());
}

/* The letter of the run at a level. */
static char letter_of(const struct activity_view_level *level)
{
    char letter = (char)(level->fn / 16);
    bool plain = letter >= 'A' && letter <= 'Z';
    check(level->since == letter);
    check(level->sink == (plain ? NULL : address_of(letter, 1)));
    check(level->owner == (plain ? NULL : address_of(letter, 2)));
    check(strlen(level->name) == (plain || letter == 'n' ? 0 : NAME));
    for (size_t i = 0; level->name[i] != '\0'; i++)
        check(level->name[i] == letter);
    return letter;
}

/* The activity is in use when it gets interesting; its next writer is started after the reader. */

static struct activity *begun_activity(void)
{
    struct activity *activity = make(sizeof *activity);
    weir__activity_begin(this_thread(), activity);
    return activity;
}

static void hand_over(void)
{
    this_thread()->activity = NULL;
}

static void read_runs(void *activity)
{
    struct activity_view view;
    if (!weir__activity_read(activity, &view))
        return;
    check(view.levels == activity_levels(view.state) && view.levels <= 2);
    char outer = view.levels > 0 ? letter_of(&view.level[0]) : 0;
    char inner = view.levels > 1 ? letter_of(&view.level[1]) : 0;
    check(outer == 0 || outer == 'a' || outer == 'd' || outer == 'n');
    check(inner == 0 || inner == 'C' || (inner == 'b' && outer == 'a'));
    check(inner == 0 || outer != 0);
}

static void run_next(void *activity)
{
    this_thread()->activity = activity;
    end_run();
    begin_run('d');
}

static void run_nameless(void *activity)
{
    this_thread()->activity = activity;
    end_run();
    begin_run('n');
}

static void a_reader_against(void (*run)(void *activity))
{
    struct activity *activity = begun_activity();
    begin_run('a');
    hand_over();
    explore_begin();
    struct vthread *reader = start(read_runs, activity);
    struct vthread *writer = start(run, activity);
    finish(reader);
    finish(writer);
    explore_end();
    drop(activity);
}

static void a_reader_against_the_next_run(void)
{
    a_reader_against(run_next);
}

static void a_reader_against_a_nameless_run(void)
{
    a_reader_against(run_nameless);
}

static void run_within(void *activity)
{
    this_thread()->activity = activity;
    end_run();
    begin_plain_run('C');
    end_run();
    end_run();
    begin_run('d');
    begin_plain_run('C');
    end_run();
}

static void a_reader_against_runs_within_runs(void)
{
    struct activity *activity = begun_activity();
    begin_run('a');
    begin_run('b');
    hand_over();
    explore_begin();
    struct vthread *reader = start(read_runs, activity);
    struct vthread *writer = start(run_within, activity);
    finish(reader);
    finish(writer);
    explore_end();
    drop(activity);
}

static void block_in(char letter)
{
    static const char *const calls[] = {"wait x", "wait y"};
    struct told told = {calls[letter - 'x'], address_of(letter, 0), address_of(letter, 1)};
    weir__activity_block(this_thread(), told);
}

static void read_wait(void *activity)
{
    struct activity_view view;
    if (!weir__activity_read(activity, &view) || (view.state & ACTIVITY_BLOCKED) == 0)
        return;
    char letter = view.call[5];
    check(view.object == address_of(letter, 0));
    check(view.awaited == address_of(letter, 1));
    check((view.state & ACTIVITY_PARKED) == 0);
}

static void wait_again(void *activity)
{
    this_thread()->activity = activity;
    weir__activity_unblock(this_thread());
    weir__activity_park(this_thread());
    weir__activity_unpark(this_thread(), true);
    block_in('y');
}

static void a_reader_against_the_next_wait(void)
{
    struct activity *activity = begun_activity();
    block_in('x');
    hand_over();
    explore_begin();
    struct vthread *reader = start(read_wait, activity);
    struct vthread *writer = start(wait_again, activity);
    finish(reader);
    finish(writer);
    explore_end();
    drop(activity);
}

/* Threads that are no workers. The letter of a run tells whose it is. */

static char own_letter(void)
{
    return (char)('a' + weir__thread_id());
}

static void read_place(void *unused)
{
    struct activity_view view;
    (void)unused;
    if (weir__activity_read(&weir__other_activities[0], &view) && view.levels > 0)
        check(letter_of(&view.level[0]) == 'a' + view.thread);
}

/* Goes on for the thread that was in the place, and then takes it for itself. */
static void follow(void *unused)
{
    (void)unused;
    this_thread()->activity = &weir__other_activities[0];
    end_run();
    begin_run(own_letter());
    end_run();
}

static void a_reader_against_the_next_owner(void)
{
    begin_run(own_letter());
    check(this_thread()->activity == &weir__other_activities[0]);
    hand_over();
    explore_begin();
    struct vthread *reader = start(read_place, NULL);
    struct vthread *writer = start(follow, NULL);
    finish(reader);
    finish(writer);
    check(load_rlx(&weir__other_activities[0].taken) == 0);
    explore_end();
}

static void run_outside(void *unused)
{
    (void)unused;
    begin_run(own_letter());
    end_run();
}

static uint64_t changes(void)
{
    uint64_t n = 0;
    for (unsigned i = 0; i < 2; i++) {
        n += load_rlx(&weir__other_activities[i].state) / ACTIVITY_CHANGE;
        check(load_rlx(&weir__other_activities[i].taken) == 0);
    }
    return n;
}

/* None of them is forgotten when the place changes hands: so no state comes a second time. */
static void places_change_hands(void)
{
    uint64_t before = changes();
    explore_begin();
    struct vthread *a = start(run_outside, NULL), *b = start(run_outside, NULL);
    finish(a);
    finish(b);
    check(changes() == before + 6); /* taken, begun and ended, twice */
    explore_end();
}

const struct scenario activity_scenarios[] = {
    {"activity: a reader against the next run", a_reader_against_the_next_run, false},
    {"activity: a reader against a nameless run", a_reader_against_a_nameless_run, false},
    {"activity: a reader against runs within runs", a_reader_against_runs_within_runs, false},
    {"activity: a reader against the next wait", a_reader_against_the_next_wait, false},
    {"activity: a reader against the next owner", a_reader_against_the_next_owner, false},
    {"activity: places change hands", places_change_hands, false},
    {0},
};
