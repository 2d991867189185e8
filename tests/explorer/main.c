/* SPDX-License-Identifier: MIT */
/* main.c - runs every scenario within the bounds, replays one run, or hunts for a planted bug.
 *
 *     explorer                                   every scenario, on all CPUs
 *     explorer SCENARIO                          this one
 *     explorer SCENARIO TRACE [POINT]            one run, told step by step; frozen at POINT
 *     explorer --hunt [SCENARIO]                 succeeds as soon as some run fails, of any or of
 *                                                this one
 *     explorer --orders FILE                     each memory order in turn is made weaker: does who
 *                                                is said to notice in FILE do so? See orders.h
 *     explorer --orders-survivors FILE           and does nobody notice where nobody is said to?
 *     explorer --orders-write FILE [PASSES [SCENARIOS]]
 *                                                writes FILE anew, with so much effort a mutant
 *
 * WEIR_EXPLORER in the environment says how wide the bounds of the scenarios are: quick (a quarter
 * of the runs), full (as without it), slow (hours).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "choices.h"
#include "explore.h"
#include "jobs.h"
#include "orders.h"

/* A hunt tries them in this order, again and again: first those in which bugs show that take long
 * to show. */
static const struct scenario *const all[] = {
    reactor_scenarios,  deque_scenarios,      serial_scenarios,     descriptor_scenarios,
    ring_scenarios,     pool_scenarios,       task_scenarios,       group_scenarios,
    shutdown_scenarios, time_scenarios,       semaphore_scenarios,  alarm_scenarios,
    parallel_scenarios, completion_scenarios, channel_scenarios,    timer_scenarios,
    hook_scenarios,     topic_scenarios,      limits_scenarios,     lease_scenarios,
    freeze_scenarios,   freelist_scenarios,   eventcount_scenarios, quiet_scenarios,
    room_scenarios,     latch_scenarios,      stop_scenarios,       activity_scenarios,
    names_scenarios,    signals_scenarios,    pipeline_scenarios,   chain_scenarios,
    metrics_scenarios,  watchdog_scenarios,   trace_scenarios,      slot_scenarios,
    follow_scenarios,   ready_scenarios,      gate_scenarios,       lanes_scenarios,
    local_scenarios,    size_scenarios};

/* Calls visit for every scenario until it returns false. */
static void each_scenario(bool (*visit)(const struct scenario *scenario, void *arg), void *arg)
{
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        for (const struct scenario *s = all[i]; s->name != NULL; s++)
            if (!visit(s, arg))
                return;
}

struct request {
    const char *name;
    const struct scenario *found;
};

static bool is_meant(const struct scenario *scenario, void *arg)
{
    struct request *request = arg;
    if (strcmp(scenario->name, request->name) == 0)
        request->found = scenario;
    return request->found == NULL;
}

static bool list_one(const struct scenario *scenario, void *arg)
{
    const struct scenario ***end = arg;
    *(*end)++ = scenario;
    return true;
}

/* All of them, ended by NULL. */
static const struct scenario *const *list_all(void)
{
    enum { MOST = 1024 };
    static const struct scenario *list[MOST], **end = list;
    each_scenario(list_one, &end);
    return list;
}

static int sum_up(void)
{
    (void)printf("explorer: %lu scenarios, %lu failed; %lu schedules, with up to %u points; "
                 "%lu bounds exhausted, %lu sampled; frozen at %lu points; "
                 "%lu scenarios take their rings round, all by %u laps, %lu of them explored\n",
                 totals.scenarios, totals.failures, totals.runs, totals.most_points,
                 totals.complete_passes, totals.cut_passes, totals.frozen_points, totals.rounds,
                 totals.fewest_laps, totals.explored_rounds);
    if (explore_extent == EXTENT_QUICK)
        (void)printf(
            "These are the quick bounds; WEIR_EXPLORER=full makes them as wide as in CI.\n");
    return totals.failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int explore_one(const struct scenario *scenario)
{
    (void)printf("%s\n", scenario->name);
    explore_scenario(scenario);
    return sum_up();
}

struct campaign {
    const struct scenario *const *list;
    struct totals *results; /* of each; no scenario in them: it has crashed */
};

static void explore_piece(unsigned piece, void *arg)
{
    const struct campaign *campaign = arg;
    totals = (struct totals){0};
    (void)printf("%s\n", campaign->list[piece]->name);
    explore_scenario(campaign->list[piece]);
    campaign->results[piece] = totals;
}

static int explore_all(void)
{
    struct campaign campaign = {list_all(), NULL};
    unsigned n = 0;
    while (campaign.list[n] != NULL)
        n++;
    campaign.results = jobs_memory(n * sizeof *campaign.results);
    jobs_run(n, explore_piece, &campaign);
    for (unsigned i = 0; i < n; i++) {
        if (campaign.results[i].scenarios == 0) {
            (void)printf("%s: it has crashed\n", campaign.list[i]->name);
            campaign.results[i].failures = 1;
        }
        totals_add(&totals, &campaign.results[i]);
    }
    return sum_up();
}

static int replay(const struct scenario *scenario, const char *trace, const char *freeze)
{
    if (!choices_replay(trace)) {
        (void)fprintf(stderr, "this is not a trace: %s\n", trace);
        return EXIT_FAILURE;
    }
    choices_begin_run(0);
    freeze_at(freeze != NULL ? (unsigned)strtoul(freeze, NULL, 10) : 0);
    const char *why = run_once(scenario->body, true);
    (void)printf("%s: %s\n", scenario->name, why != NULL ? why : "passes");
    return why != NULL ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* Hunting. */

static const unsigned at_first[] = {60, 300};

struct trophy {
    const char *name; /* of the only scenario; or NULL */
    const char *why;  /* NULL: nothing was found */
    const char *scenario;
    unsigned pass, most; /* runs in a scenario; 0: as many as the pass makes */
    unsigned long runs;  /* until it was found, or in all */
};

static bool hunt_here(const struct scenario *scenario, void *arg)
{
    struct trophy *trophy = arg;
    unsigned long runs;
    if (trophy->name != NULL && strcmp(trophy->name, scenario->name) != 0)
        return true;
    trophy->why = hunt(scenario, trophy->pass, trophy->most, &runs);
    trophy->runs += runs;
    trophy->scenario = scenario->name;
    return trophy->why == NULL;
}

/* Pass by pass through all scenarios, or that one, until one of them finds a bug. Before that some
 * runs of each: most bugs show in some scenario soon, wherever that stands in the list. */
static int hunt_everywhere(const char *name)
{
    struct trophy trophy = {.name = name};
    for (size_t i = 0; i < sizeof at_first / sizeof at_first[0] && trophy.why == NULL; i++) {
        trophy.most = at_first[i];
        each_scenario(hunt_here, &trophy);
    }
    trophy.most = 0;
    for (; trophy.why == NULL && trophy.pass < HUNT_PASSES; trophy.pass++)
        each_scenario(hunt_here, &trophy);
    if (trophy.why == NULL) {
        (void)printf("not found in %lu schedules\n", trophy.runs);
        return EXIT_FAILURE;
    }
    (void)printf("replay: %s '%s' '%s'\n", explore_program, trophy.scenario, choices_trace());
    (void)printf("found after %lu schedules by \"%s\": %s\n", trophy.runs, trophy.scenario,
                 trophy.why);
    return EXIT_SUCCESS;
}

/* Memory orders. */

static int orders(const char *command, const char *file, const char *passes, const char *scenarios)
{
    const struct scenario *const *list = list_all();
    if (strcmp(command, "--orders-survivors") == 0)
        return orders_check_survivors(list, file);
    if (strcmp(command, "--orders-write") == 0)
        return orders_write(list, file,
                            (struct effort){(unsigned)strtoul(passes, NULL, 10),
                                            (unsigned)strtoul(scenarios, NULL, 10)});
    return orders_check(list, file);
}

static bool read_extent(const char *text)
{
    static const char *const names[] = {"quick", "full", "slow"};
    for (unsigned i = 0; text != NULL && i < sizeof names / sizeof names[0]; i++)
        if (strcmp(text, names[i]) == 0) {
            explore_extent = (enum extent)i;
            return true;
        }
    return text == NULL;
}

int main(int argc, char **argv)
{
    arena_init();
    explore_program = argv[0];
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (!read_extent(getenv("WEIR_EXPLORER"))) {
        (void)fprintf(stderr, "WEIR_EXPLORER is neither quick nor full nor slow\n");
        return EXIT_FAILURE;
    }
    if (argc == 1)
        return explore_all();
    if (strcmp(argv[1], "--hunt") == 0)
        return hunt_everywhere(argc > 2 ? argv[2] : NULL);
    if (strncmp(argv[1], "--orders", strlen("--orders")) == 0 && argc > 2)
        return orders(argv[1], argv[2], argc > 3 ? argv[3] : "2", argc > 4 ? argv[4] : "10");
    struct request request = {argv[1], NULL};
    each_scenario(is_meant, &request);
    if (request.found == NULL) {
        (void)fprintf(stderr, "there is no scenario \"%s\"\n", argv[1]);
        return EXIT_FAILURE;
    }
    if (argc > 2)
        return replay(request.found, argv[2], argv[3]);
    return explore_one(request.found);
}
