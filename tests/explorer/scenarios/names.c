/* SPDX-License-Identifier: MIT */
/* names.c - times by name: a reader against a name that gives way to another, and writers that
 * share a table.
 */
#include "scenario.h"

#include <string.h>

#include "record/names.h"

/* Five names that fall into one set, which has room for four. */
static const char rivals[] = "hnoqy";

static struct name_run run_of(char letter)
{
    struct name_run run = {.fn = (unsigned char)letter, .weight = 1, .run = 2};
    memset(run.text, letter, 2 * sizeof run.text[0]);
    return run;
}

static void note_run_of(struct names *names, char letter)
{
    struct name_run run = run_of(letter);
    weir__names_note(names, &run);
}

static struct names *new_names(bool shared)
{
    struct names *names = make(sizeof *names);
    names->shared = shared;
    return names;
}

/* All that was noted is there; returns how many runs. */
static uint64_t count_all(const struct names *names)
{
    struct name_view view;
    weir__names_read_sums(&names->others, &view);
    uint64_t count = view.count, run = view.run;
    for (unsigned i = 0; i < NAMES_SETS * NAMES_WAYS; i++) {
        if (weir__names_read(&names->entries[i], &view)) {
            count += view.count;
            run += view.run;
        }
    }
    check(run == 2 * count);
    return count;
}

static struct name_entry *entry_of(struct names *names, char letter)
{
    struct name_view view;
    for (unsigned i = 0; i < NAMES_SETS * NAMES_WAYS; i++)
        if (weir__names_read(&names->entries[i], &view) && view.fn == (unsigned char)letter)
            return &names->entries[i];
    fail("there is no entry of %c", letter);
}

static void read_entry(void *arg)
{
    const struct name_entry *entry = arg;
    struct name_view view;
    if (!weir__names_read(entry, &view))
        return;
    struct name_run run = run_of((char)view.fn);
    check(view.fn == 'h' || view.fn == 'y');
    check(memcmp(view.text, run.text, sizeof run.text) == 0);
    check(view.count <= 1 && view.run <= 2);
    check(view.fn != 'h' || (view.count == 1 && view.run == 2));
}

static void note_rival(void *names)
{
    note_run_of(names, 'y');
}

static void a_reader_against_a_name_that_gives_way(void)
{
    struct names *names = new_names(false);
    for (unsigned i = 0; i < 4; i++)
        note_run_of(names, rivals[i]);
    struct name_entry *entry = entry_of(names, 'h');
    explore_begin();
    struct vthread *reader = start(read_entry, entry);
    struct vthread *writer = start(note_rival, names);
    finish(reader);
    finish(writer);
    explore_end();
    check(entry_of(names, 'y') == entry);
    check(count_all(names) == 5);
    drop(names);
}

static void note_two(void *names)
{
    note_run_of(names, 'h');
    note_run_of(names, 'y');
}

static void writers_that_share_a_table(void)
{
    struct names *names = new_names(true);
    explore_begin();
    struct vthread *a = start(note_two, names), *b = start(note_two, names);
    finish(a);
    finish(b);
    check(count_all(names) == 4);
    explore_end();
    drop(names);
}

const struct scenario names_scenarios[] = {
    {"names: a reader against a name that gives way", a_reader_against_a_name_that_gives_way,
     false},
    {"names: writers that share a table", writers_that_share_a_table, false},
    {0},
};
