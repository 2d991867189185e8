/* SPDX-License-Identifier: MIT */
#include "psc.h"

#include <string.h>

struct event {
    times before; /* by thread: the last of its events that is not after this one */
    times here;   /* by thread: its last event on the word, up to this one */
    struct ref others;
    uint8_t thread;
    bool reads, writes;
    uint16_t time;
    rank read, written;
    rank last_written; /* the latest that an event on the word has stored, up to this one */
};

/* A thread as far as it has come. */
struct past {
    times known;      /* events from which a way by another word leads here */
    times elsewhere;  /* the same, as it was at the last operation on another word than `here` */
    const void *here; /* of the last operation */
    const void *last; /* of the last event */
    uint16_t count;   /* events */
};

static struct event events[MAX_THREADS][MAX_STEPS + 1];
static struct past pasts[MAX_THREADS];
static struct ref clock_look; /* the last one */

void psc_reset(void)
{
    memset(pasts, 0, sizeof pasts);
    clock_look.index = 0;
}

static struct past *mine(void)
{
    return &pasts[current->number];
}

static struct event *event_at(struct ref ref)
{
    return &events[ref.thread][ref.index];
}

/* With all that comes before them. */
static times complete(times of)
{
    times all = of;
    for (uint8_t i = 0; i < vthread_count(); i++)
        if (of[i] != 0)
            all = times_later(all, event_at((struct ref){i, of[i]})->before);
    return all;
}

static bool comes_before(const struct event *event, const struct psc_operation *operation)
{
    if (event->time <= operation->before.at[event->thread])
        return true;
    return operation->writes && ((event->writes && event->written < operation->written) ||
                                 (event->reads && event->read < operation->written));
}

static times all_before(const struct psc_operation *operation)
{
    const struct past *past = mine();
    times direct = past->here != operation->address ? past->known : past->elsewhere;
    direct = times_later(direct, times_only(current->number, past->count));
    direct = times_later(direct, times_only(operation->source.thread, operation->source.index));
    times all = complete(direct);
    for (struct ref ref = operation->others; times_any((times)(event_at(ref)->here > all));
         ref = event_at(ref)->others)
        if (ref.index > all[ref.thread] && comes_before(event_at(ref), operation))
            all = times_later(all, event_at(ref)->before);
    return all;
}

/* Which events come after it: those that store what is later in the word's order. */
static rank latest(const struct psc_operation *operation)
{
    return operation->writes ? operation->written : operation->read;
}

static bool comes_after(const struct event *event, const struct psc_operation *operation)
{
    return event->writes && event->written > latest(operation);
}

bool psc_allows(const struct psc_operation *operation)
{
    times before = all_before(operation);
    for (struct ref ref = operation->others; event_at(ref)->last_written > latest(operation);
         ref = event_at(ref)->others)
        if (ref.index <= before[ref.thread] && comes_after(event_at(ref), operation))
            return false;
    return true;
}

/* `later_one` and all after it now come after `event`. */
static void put_before(const struct event *event, struct ref later_one)
{
    for (unsigned i = 0; i < vthread_count(); i++)
        for (unsigned j = 1; j <= pasts[i].count; j++)
            if (events[i][j].before[later_one.thread] >= later_one.index)
                events[i][j].before = times_later(events[i][j].before, event->before);
}

struct ref psc_add(const struct psc_operation *operation)
{
    struct past *past = mine();
    struct ref self = {(uint8_t)current->number, (uint16_t)(past->count + 1)};
    struct event *event = event_at(self);
    event->before = times_later(all_before(operation), times_only(self.thread, self.index));
    event->here =
        times_later(event_at(operation->others)->here, times_only(self.thread, self.index));
    event->others = operation->others;
    event->thread = self.thread;
    event->time = current->clock.at[current->number];
    event->reads = operation->reads;
    event->writes = operation->writes;
    event->read = operation->read;
    event->written = operation->written;
    event->last_written = event_at(operation->others)->last_written;
    if (event->writes && event->written > event->last_written)
        event->last_written = event->written;
    for (struct ref ref = operation->others; event_at(ref)->last_written > latest(operation);
         ref = event_at(ref)->others)
        if (comes_after(event_at(ref), operation))
            put_before(event, ref);
    return self;
}

void psc_pass(const void *address, const struct message *acquired, struct ref self)
{
    struct past *past = mine();
    if (past->here != address) {
        past->elsewhere = past->known;
        past->here = address;
    }
    if (past->last != address)
        past->known = times_later(past->known, times_only(current->number, past->count));
    if (acquired != NULL)
        past->known = times_later(past->known, acquired->known.at);
    if (self.index != 0) {
        past->count = self.index;
        past->last = address;
    }
}

/* As a read-modify-write of one word, but looks that find the same time are in no order. */
void psc_look_at_clock(int64_t time)
{
    struct psc_operation operation = {.address = &clock_look,
                                      .others = clock_look,
                                      .before = current->clock,
                                      .read = (rank)time,
                                      .written = (rank)time,
                                      .reads = true,
                                      .writes = true};
    clock_look = psc_add(&operation);
    psc_pass(&clock_look, NULL, clock_look);
}

struct message psc_release(void)
{
    return (struct message){current->clock, {mine()->known}};
}

void psc_begin_thread(const struct vthread *thread)
{
    struct past *past = &pasts[thread->number];
    memset(past, 0, sizeof *past);
    if (current == NULL)
        return;
    psc_pass(thread, NULL, (struct ref){0, 0});
    past->known = mine()->known;
    past->here = thread;
}

/* The thread's end is an operation of its own, at its own place. */
void psc_join(const struct vthread *thread)
{
    const struct past *ended = &pasts[thread->number];
    struct message message = {.known = {ended->known}};
    message.known.at[thread->number] = ended->count;
    psc_pass(thread, &message, (struct ref){0, 0});
}

void psc_know_everything(void)
{
    for (unsigned i = 0; i < vthread_count(); i++)
        mine()->known[i] = pasts[i].count;
    mine()->here = NULL;
}
