/* SPDX-License-Identifier: MIT */
/* trace.c - a trace that ends while threads note events: nobody writes to what was freed, and what
 * is there is whole. All accesses to the rings are plain: two at once would be a race.
 */
#include "scenario.h"

#include <string.h>

/* How many slices of the program the last trace showed, and how many calls of write there were. */
struct seen {
    unsigned slices, writes;
    bool whole;
};

static unsigned count_of(const char *text, size_t n, const char *what)
{
    unsigned count = 0;
    size_t length = strlen(what);
    for (size_t i = 0; i + length <= n; i++)
        count += memcmp(text + i, what, length) == 0;
    return count;
}

static int look_at(const char *text, size_t n, void *arg)
{
    struct seen *seen = arg;
    seen->writes++;
    seen->slices += count_of(text, n, "\"cat\":\"program\"");
    seen->whole = n > 3 && memcmp(text + n - 3, "\n]\n", 3) == 0;
    return 0;
}

static void begin_trace(struct seen *seen, unsigned events)
{
    *seen = (struct seen){0};
    int err = weir_trace_start(
        WEIR_TRACE_OPTIONS(.write = look_at, .arg = seen, .events = events, .threads = 2));
    check(err == 0);
}

static void note_one(void *unused)
{
    (void)unused;
    weir_trace_begin("x");
    weir_trace_end();
}

static void stop_it(void *arg)
{
    *(int *)arg = weir_trace_stop();
}

static void two_note_against_the_stop(void)
{
    struct seen seen;
    begin_trace(&seen, 4);
    explore_begin();
    struct vthread *a = start(note_one, NULL), *b = start(note_one, NULL);
    int err = weir_trace_stop();
    check(err == 0 && seen.writes == 1 && seen.whole && seen.slices <= 2);
    finish(a);
    finish(b);
    explore_end();
}

/* What a thread has noted before it tells so is there. */
static void what_came_before_is_there(void)
{
    struct seen seen;
    begin_trace(&seen, 4);
    explore_begin();
    struct vthread *a = start(note_one, NULL), *b = start(note_one, NULL);
    finish(a);
    int err = weir_trace_stop();
    check(err == 0 && seen.slices >= 1);
    finish(b);
    explore_end();
}

static void the_next_begins_while_a_thread_notes(void)
{
    struct seen seen, next;
    begin_trace(&seen, 2);
    explore_begin();
    struct vthread *a = start(note_one, NULL);
    int err = weir_trace_stop();
    check(err == 0);
    begin_trace(&next, 2);
    finish(a);
    err = weir_trace_stop();
    explore_end();
    check(err == 0 && next.whole && seen.slices + next.slices <= 2);
}

static void two_stop_it(void)
{
    struct seen seen;
    int other = 1;
    begin_trace(&seen, 2);
    explore_begin();
    struct vthread *a = start(note_one, NULL), *b = start(stop_it, &other);
    int err = weir_trace_stop();
    finish(a);
    finish(b);
    explore_end();
    check((err == 0) + (other == 0) == 1 && (err == -EALREADY) + (other == -EALREADY) == 1);
    check(seen.writes == 1);
}

static void count_lost(void *arg)
{
    *(uint64_t *)arg = weir_trace_lost();
}

static void the_lost_ones_are_counted_meanwhile(void)
{
    struct seen seen;
    uint64_t lost = 0;
    begin_trace(&seen, 1);
    note_one(NULL);
    explore_begin();
    struct vthread *a = start(note_one, NULL), *b = start(count_lost, &lost);
    int err = weir_trace_stop();
    finish(a);
    finish(b);
    explore_end();
    check(err == 0 && lost <= 2);
}

const struct scenario trace_scenarios[] = {
    {"trace: two threads note against the stop", two_note_against_the_stop, false},
    {"trace: what came before the stop is there", what_came_before_is_there, false},
    {"trace: the next one begins while a thread notes", the_next_begins_while_a_thread_notes,
     false},
    {"trace: two threads stop it", two_stop_it, false},
    {"trace: lost events are counted meanwhile", the_lost_ones_are_counted_meanwhile, false},
    {NULL, NULL, false},
};
