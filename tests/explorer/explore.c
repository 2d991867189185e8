/* SPDX-License-Identifier: MIT */
#include "explore.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "choices.h"
#include "jobs.h"
#include "laps.h"

struct pass {
    const char *name;
    enum strategy strategy;
    struct bounds bounds; /* preemptions, turns, stale loads, spurious wake-ups */
    unsigned most;        /* runs; for a scenario that freezes: for each point */
};

/* Where there are too many runs to make them all, as many are drawn at random within the bounds. */
static const struct pass default_passes[] = {
    {"1 preemption", EXHAUSTIVE, {1, 2, 0, 0}, 6000},
    {"1 spurious wake-up", EXHAUSTIVE, {0, 1, 0, 1}, 1500},
    {"2 preemptions", EXHAUSTIVE, {2, 1, 0, 0}, 6000},
    {"1 preemption, 1 stale load", EXHAUSTIVE, {1, 1, 1, 0}, 6000},
    {"mixed, at random", SAMPLED, {3, 0, 2, 1}, 2000},
    {"random priorities", PRIORITIES, {0, 0, 1, 1}, 2000},
};

static const struct pass slow_passes[] = {
    {"2 preemptions", EXHAUSTIVE, {2, 2, 0, 0}, 1000000},
    {"1 preemption, 1 spurious wake-up", EXHAUSTIVE, {1, 1, 0, 1}, 200000},
    {"2 preemptions, 1 stale load", EXHAUSTIVE, {2, 0, 1, 0}, 500000},
    {"3 preemptions", EXHAUSTIVE, {3, 0, 0, 0}, 1000000},
    {"mixed, at random", SAMPLED, {4, 0, 2, 1}, 200000},
    {"random priorities", PRIORITIES, {0, 0, 2, 1}, 200000},
};

/* To find a bug that was put in: where it is easy first. */
static const struct pass hunt_passes[HUNT_PASSES] = {
    {"near", NEAR, {3, 0, 2, 0}, 1200},
    {"stale", EXHAUSTIVE, {1, 1, 1, 0}, 300},
    {"mixed", SAMPLED, {3, 0, 2, 1}, 300},
    {"priorities", PRIORITIES, {0, 0, 1, 1}, 300},
    {"near-long", NEAR, {4, 0, 2, 1}, 6000},
    {"two", EXHAUSTIVE, {2, 1, 0, 0}, 4000},
    {"stale-long", EXHAUSTIVE, {1, 1, 1, 0}, 4000},
    {"mixed-long", SAMPLED, {3, 0, 2, 1}, 3000},
    {"weak", NEAR, {4, 0, 5, 0}, 20000},
    {"priorities-long", PRIORITIES, {0, 0, 2, 1}, 3000},
};

/* With a switch possible anywhere, to see which words threads share: as long as they run one after
 * the other, that may not show. */
static const struct pass first_pass = {"first look", PRIORITIES, {0, 0, 0, 0}, 40};

/* For each point at which a thread is frozen. */
static const struct pass freeze_passes[] = {
    {"frozen", EXHAUSTIVE, {0, 1, 0, 0}, 20},
    {"frozen, mixed, at random", SAMPLED, {2, 0, 0, 0}, 20},
    {"frozen, random priorities", PRIORITIES, {0, 0, 1, 0}, 20},
};

enum { QUICK_SHARE = 4 };

struct totals totals;
enum extent explore_extent = EXTENT_FULL;
static bool quietly; /* a run that fails is no news */
const char *explore_program;

void totals_add(struct totals *to, const struct totals *more)
{
    if (more->rounds > 0 && (to->rounds == 0 || more->fewest_laps < to->fewest_laps))
        to->fewest_laps = more->fewest_laps;
    if (more->most_points > to->most_points)
        to->most_points = more->most_points;
    to->scenarios += more->scenarios;
    to->failures += more->failures;
    to->runs += more->runs;
    to->complete_passes += more->complete_passes;
    to->cut_passes += more->cut_passes;
    to->frozen_points += more->frozen_points;
    to->rounds += more->rounds;
    to->explored_rounds += more->explored_rounds;
}

static double seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Shows the run that has just failed, and how to see it again. */
static void report(const struct scenario *scenario, const char *why, unsigned freeze)
{
    totals.failures++;
    if (quietly)
        return;
    char *sentence = strdup(why), *trace = strdup(choices_trace());
    if (sentence == NULL || trace == NULL)
        exit(EXIT_FAILURE);
    jobs_print_begin();
    (void)choices_replay(trace);
    choices_begin_run(0);
    (void)run_once(scenario->body, true);
    (void)fprintf(stderr, "\n%s: %s\nreplay: %s '%s' '%s'", scenario->name, sentence,
                  explore_program, scenario->name, trace);
    if (freeze != 0)
        (void)fprintf(stderr, " %u", freeze);
    (void)fputc('\n', stderr);
    jobs_print_end();
    free(trace);
    free(sentence);
}

struct progress {
    unsigned long runs;
    unsigned points; /* most in one run */
    bool all;        /* no run within the bounds is left out */
};

/* Makes runs until all are made, or `most`. Returns false if one failed. */
static bool make_runs(const struct scenario *scenario, const struct pass *pass,
                      enum strategy strategy, unsigned most, unsigned freeze,
                      struct progress *progress)
{
    unsigned runs = 0;
    choices_start(strategy, pass->bounds, freeze + 1);
    freeze_at(freeze);
    progress->all = false;
    do {
        if (runs++ == most)
            return true;
        if (strategy != EXHAUSTIVE)
            (void)conflicts_use();
        choices_begin_run(progress->points);
        const char *why = run_once(scenario->body, false);
        progress->runs++;
        if (run_points() > progress->points)
            progress->points = run_points();
        if (why != NULL) {
            report(scenario, why, freeze);
            return false;
        }
    } while (choices_next_run());
    progress->all = true;
    return true;
}

/* All runs within the bounds; begun anew when it turns out that more words are shared. */
static bool run_pass(const struct scenario *scenario, const struct pass *pass, unsigned freeze,
                     struct progress *progress)
{
    if (pass->strategy != EXHAUSTIVE)
        return make_runs(scenario, pass, pass->strategy, pass->most, freeze, progress);
    do {
        (void)conflicts_use();
        if (!make_runs(scenario, pass, EXHAUSTIVE, pass->most / 2, freeze, progress))
            return false;
    } while (progress->all && conflicts_use());
    if (!progress->all)
        return make_runs(scenario, pass, SAMPLED, pass->most / 2, freeze, progress);
    return true;
}

static bool look_first(const struct scenario *scenario, unsigned long *ret_runs)
{
    struct progress progress = {0, 0, false};
    conflicts_forget();
    conflicts_assume(true);
    bool passed =
        make_runs(scenario, &first_pass, first_pass.strategy, first_pass.most, 0, &progress);
    conflicts_assume(false);
    *ret_runs = progress.runs;
    return passed;
}

static void tell(const struct pass *pass, const struct progress *progress, double took)
{
    const char *extent = pass->strategy != EXHAUSTIVE ? "" : progress->all ? ", all" : ", cut";
    (void)printf("  %-32s %8lu runs, %4u points, %6.2f s%s\n", pass->name, progress->runs,
                 progress->points, took, extent);
    totals.runs += progress->runs;
    if (pass->strategy == EXHAUSTIVE) {
        totals.complete_passes += progress->all ? 1 : 0;
        totals.cut_passes += progress->all ? 0 : 1;
    }
    if (progress->points > totals.most_points)
        totals.most_points = progress->points;
}

static bool explore_passes(const struct scenario *scenario, const struct pass passes[], size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct progress progress = {0, 0, false};
        double begin = seconds();
        struct pass pass = passes[i];
        pass.most /= explore_extent == EXTENT_QUICK ? QUICK_SHARE : 1;
        if (!run_pass(scenario, &pass, 0, &progress))
            return false;
        tell(&pass, &progress, seconds() - begin);
    }
    return true;
}

/* The n-th point, for n = 1, 2, ... until no run gets so far. */
static void explore_frozen(const struct scenario *scenario)
{
    struct progress progress = {0, 0, false};
    double begin = seconds();
    unsigned freeze = 0;
    bool reached;
    do {
        freeze++;
        reached = false;
        for (size_t i = 0; i < sizeof freeze_passes / sizeof freeze_passes[0]; i++) {
            struct pass pass = freeze_passes[i];
            pass.most *= explore_extent == EXTENT_SLOW ? 50 : 1;
            pass.most /= explore_extent == EXTENT_QUICK ? QUICK_SHARE : 1;
            if (!run_pass(scenario, &pass, freeze, &progress))
                return;
            reached = reached || run_froze();
        }
    } while (reached);
    (void)printf("  frozen at each of %-4u points     %8lu runs, %4u points, %6.2f s\n", freeze - 1,
                 progress.runs, progress.points, seconds() - begin);
    totals.frozen_points += freeze - 1;
    totals.runs += progress.runs;
    freeze_at(0);
}

static void judge_laps(const struct scenario *scenario)
{
    struct laps laps;
    if (!laps_made(&laps))
        return;
    (void)printf("  %u laps of the ring, %u of them explored\n", laps.all, laps.explored);
    if (laps.all < LAPS_LEAST) {
        (void)fprintf(stderr, "\n%s: its ring makes less than %d laps\n", scenario->name,
                      (int)LAPS_LEAST);
        totals.failures++;
    }
    if (totals.rounds++ == 0 || laps.all < totals.fewest_laps)
        totals.fewest_laps = laps.all;
    totals.explored_rounds += laps.explored >= LAPS_LEAST ? 1 : 0;
}

void explore_scenario(const struct scenario *scenario)
{
    unsigned long runs;
    laps_begin();
    bool passed = look_first(scenario, &runs);
    totals.scenarios++;
    totals.runs += runs;
    if (!passed)
        return;
    if (!explore_passes(scenario, default_passes, sizeof default_passes / sizeof default_passes[0]))
        return;
    if (explore_extent == EXTENT_SLOW &&
        !explore_passes(scenario, slow_passes, sizeof slow_passes / sizeof slow_passes[0]))
        return;
    if (scenario->freezes)
        explore_frozen(scenario);
    judge_laps(scenario);
}

const char *hunt_name(unsigned pass)
{
    return hunt_passes[pass].name;
}

const char *hunt(const struct scenario *scenario, unsigned pass, unsigned most,
                 unsigned long *ret_runs)
{
    struct pass wanted = hunt_passes[pass];
    struct progress progress = {0, 0, false};
    if (most != 0)
        wanted.most = most;
    quietly = true;
    bool survived = look_first(scenario, ret_runs) && run_pass(scenario, &wanted, 0, &progress);
    quietly = false;
    *ret_runs += progress.runs;
    return survived ? NULL : failure_of_run();
}
