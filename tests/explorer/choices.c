/* SPDX-License-Identifier: MIT */
#include "choices.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "scheduler.h"

struct decision {
    uint32_t step;
    uint8_t count, chosen;
};

struct deviation {
    uint32_t step;
    struct option option;
};

enum { MAX_DECISIONS = 1 << 16, MAX_DEVIATIONS = 4096, MAX_CHANGES = 3, HEAT = 4 };

static enum strategy strategy;
static struct bounds bounds, left;

/* EXHAUSTIVE: the path to the run under way. */
static struct decision path[MAX_DECISIONS];
static unsigned depth, length;

/* What deviates in this run; and what REPLAYED is to do. */
static struct deviation deviations[MAX_DEVIATIONS], wanted[MAX_DEVIATIONS];
static unsigned deviation_count, wanted_count;

static uint64_t state; /* of the random numbers */
static unsigned points_expected, points_passed;
static unsigned heat;                 /* decisions yet to come for which NEAR is eager to deviate */
static unsigned changes[MAX_CHANGES]; /* points at which the order of priorities changes */
static int priority[MAX_THREADS];

static unsigned (*given_byte)(void); /* GIVEN */
static unsigned quiet_points;        /* still to be passed without a deviation */

static uint64_t random_number(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * UINT64_C(0x2545F4914F6CDD1D) >> 16;
}

static unsigned below(unsigned n)
{
    return (unsigned)(random_number() % n);
}

void choices_start(enum strategy s, struct bounds b, uint64_t seed)
{
    strategy = s;
    bounds = b;
    length = 0;
    state = (seed + 1) * UINT64_C(0x9E3779B97F4A7C15);
}

bool choices_replay(const char *trace)
{
    strategy = REPLAYED;
    wanted_count = 0;
    while (*trace != '\0') {
        char *end;
        struct deviation d = {.step = (uint32_t)strtoul(trace, &end, 10)};
        if (end == trace || *end == '\0' || strchr("tcsvf", *end) == NULL ||
            wanted_count == MAX_DEVIATIONS)
            return false;
        d.option.kind = *end++;
        d.option.value = strtoull(end, &end, 10);
        wanted[wanted_count++] = d;
        trace = *end == ',' ? end + 1 : end;
    }
    return true;
}

void choices_given(struct bounds b, unsigned (*next_byte)(void))
{
    strategy = GIVEN;
    bounds = b;
    given_byte = next_byte;
}

enum strategy choices_strategy(void)
{
    return strategy;
}

bool choices_everywhere(void)
{
    return strategy == REPLAYED || strategy == GIVEN;
}

void choices_begin_run(unsigned points)
{
    depth = 0;
    deviation_count = 0;
    left = bounds;
    points_passed = 0;
    points_expected = points + 1;
    quiet_points = 0;
    heat = 0;
    if (strategy == PRIORITIES) {
        for (unsigned i = 0; i < MAX_CHANGES; i++)
            changes[i] = below(points_expected);
        for (int i = 0; i < MAX_THREADS; i++) {
            unsigned j = below((unsigned)i + 1);
            priority[i] = priority[j];
            priority[j] = i;
        }
    }
}

bool choices_next_run(void)
{
    if (strategy != EXHAUSTIVE)
        return !choices_everywhere();
    while (length > 0 && path[length - 1].chosen + 1 == path[length - 1].count)
        length--;
    if (length == 0)
        return false;
    path[length - 1].chosen++;
    return true;
}

bool choices_wants_future(uint32_t step, uint64_t *ret_value)
{
    for (unsigned i = 0; strategy == REPLAYED && i < wanted_count; i++)
        if (wanted[i].step == step && wanted[i].option.kind == KIND_FUTURE) {
            *ret_value = wanted[i].option.value;
            return true;
        }
    return false;
}

void choices_heat(void)
{
    heat = HEAT;
}

bool choices_allow(enum kind kind)
{
    if (strategy == REPLAYED)
        return true;
    switch (kind) {
    case KIND_THREAD:
        return left.preemptions > 0 || strategy == PRIORITIES;
    case KIND_VALUE:
    case KIND_FUTURE:
        return left.stale > 0;
    case KIND_SPURIOUS:
        return left.spurious > 0;
    default:
        return true;
    }
}

bool choices_allow_turn(void)
{
    return strategy != EXHAUSTIVE || left.turns > 0;
}

static unsigned choose_exhaustively(uint32_t step, unsigned n)
{
    if (depth == length) {
        if (length == MAX_DECISIONS)
            fail("the explorer has no room for so many decisions in one run");
        path[length++] = (struct decision){step, (uint8_t)n, 0};
    } else if (path[depth].step != step || path[depth].count != n) {
        fail("a run is not repeatable: the explorer cannot go on");
    }
    return path[depth++].chosen;
}

static unsigned choose_wanted(uint32_t step, const struct option options[], unsigned n)
{
    for (unsigned i = 0; i < wanted_count; i++)
        for (unsigned j = 0; j < n && wanted[i].step == step; j++)
            if (wanted[i].option.kind == options[j].kind &&
                wanted[i].option.value == options[j].value)
                return j;
    return 0;
}

/* So that about as many deviations as the bounds allow come at random places of a run. */
static unsigned choose_sampled(unsigned n, bool forced)
{
    if (forced)
        return below(n);
    if (strategy == NEAR && heat > 0) {
        heat--;
        return below(3) == 0 ? below(n) : 0;
    }
    unsigned most = (unsigned)(left.preemptions + left.stale + left.spurious) + 1;
    return below(points_expected) < most ? below(n) : 0;
}

/* The thread with the highest priority; now and then something that is not a thread. */
static unsigned choose_by_priority(const struct option options[], unsigned n)
{
    unsigned best = 0;
    bool found = false;
    unsigned rare = 0, first_rare = n;
    for (unsigned i = 0; i < n; i++) {
        if (options[i].kind == KIND_THREAD) {
            if (!found || priority[options[i].value] > priority[options[best].value])
                best = i;
            found = true;
        } else {
            rare++;
            if (first_rare == n)
                first_rare = i;
        }
    }
    if (rare > 0 && below(points_expected) < 4)
        return first_rare + below(rare);
    return best;
}

static unsigned choose_given(unsigned n, bool forced)
{
    if (forced)
        return given_byte() % n;
    if (quiet_points > 0) {
        quiet_points--;
        return 0;
    }
    unsigned chosen = given_byte() % n;
    quiet_points = given_byte();
    return chosen;
}

static void lower_current(unsigned thread)
{
    for (unsigned i = 0; i < MAX_CHANGES; i++)
        if (changes[i] == points_passed)
            priority[thread] = -1 - (int)i;
}

unsigned choose(uint32_t step, const struct option options[], unsigned n, bool forced)
{
    unsigned chosen = 0;
    if (strategy == PRIORITIES && options[0].kind == KIND_THREAD && !forced) {
        lower_current((unsigned)options[0].value);
        points_passed++;
    }
    if (n > 1) {
        switch (strategy) {
        case EXHAUSTIVE:
            chosen = choose_exhaustively(step, n);
            break;
        case SAMPLED:
        case NEAR:
            chosen = choose_sampled(n, forced);
            break;
        case PRIORITIES:
            chosen = options[0].kind == KIND_THREAD ? choose_by_priority(options, n)
                                                    : (below(points_expected) < 4 ? below(n) : 0);
            break;
        case REPLAYED:
            chosen = choose_wanted(step, options, n);
            break;
        case GIVEN:
            chosen = choose_given(n, forced);
            break;
        }
    }
    if (chosen != 0) {
        if (deviation_count < MAX_DEVIATIONS)
            deviations[deviation_count++] = (struct deviation){step, options[chosen]};
        switch (options[chosen].kind) {
        case KIND_THREAD:
            left.turns -= forced ? 1 : 0;
            left.preemptions -= forced ? 0 : 1;
            break;
        case KIND_VALUE:
        case KIND_FUTURE:
            left.stale--;
            break;
        case KIND_SPURIOUS:
            left.spurious--;
            break;
        default:
            break;
        }
    }
    return chosen;
}

const char *choices_trace(void)
{
    static char text[MAX_DEVIATIONS * 32];
    size_t at = 0;
    text[0] = '\0';
    for (unsigned i = 0; i < deviation_count; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%s%" PRIu32 "%c%" PRIu64,
                               i == 0 ? "" : ",", deviations[i].step, deviations[i].option.kind,
                               deviations[i].option.value);
    return text;
}
