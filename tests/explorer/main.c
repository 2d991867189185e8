/* SPDX-License-Identifier: MIT */
/* main.c - runs every scenario within the bounds, replays one run, or weakens memory orders.
 *
 *     explorer                                   every scenario
 *     explorer SCENARIO                          this one
 *     explorer SCENARIO TRACE [POINT]            one run, told step by step; frozen at POINT
 *     explorer --weaken [FIRST [LAST]]           each memory order in turn is made weaker: which
 *                                                scenario notices?
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arena.h"
#include "choices.h"
#include "explore.h"
#include "model.h"

static const struct scenario *const all[] = {
    ring_scenarios,     pool_scenarios,       task_scenarios,      group_scenarios,
    shutdown_scenarios, time_scenarios,       semaphore_scenarios, alarm_scenarios,
    parallel_scenarios, completion_scenarios, freeze_scenarios};

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

static bool explore_one(const struct scenario *scenario, void *unused)
{
    (void)unused;
    (void)printf("%s\n", scenario->name);
    explore_scenario(scenario);
    return true;
}

static int sum_up(void)
{
    (void)printf("explorer: %lu scenarios, %lu failed; %lu schedules, with up to %u points; "
                 "%lu bounds exhausted, %lu sampled; frozen at %lu points\n",
                 totals.scenarios, totals.failures, totals.runs, totals.most_points,
                 totals.complete_passes, totals.cut_passes, totals.frozen_points);
    return totals.failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
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

/* Weakening. */

static bool visit_sites(const struct scenario *scenario, void *unused)
{
    (void)unused;
    choices_start(PRIORITIES, (struct bounds){0, 0, 0, 0}, 1);
    for (int i = 0; i < 20; i++) {
        choices_begin_run(100);
        (void)run_once(scenario->body, false);
    }
    return true;
}

static bool explore_until_failure(const struct scenario *scenario, void *arg)
{
    explore_scenario(scenario);
    if (totals.failures != 0)
        *(const char **)arg = scenario->name;
    return totals.failures == 0;
}

/* In a child process, because a library that is broken may not come to an end. */
static void weaken(unsigned mutant)
{
    const char *description = model_weaken(mutant);
    (void)fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        const char *killer = NULL;
        each_scenario(explore_until_failure, (void *)&killer);
        (void)printf("%3u %-60s %s%s\n", mutant, description,
                     killer != NULL ? "killed by: " : "SURVIVES", killer != NULL ? killer : "");
        exit(EXIT_SUCCESS);
    }
    int status;
    if (child < 0 || waitpid(child, &status, 0) < 0 || !WIFEXITED(status))
        (void)printf("%3u %-60s killed by: a crash\n", mutant, description);
}

static int weaken_each(unsigned first, unsigned last)
{
    explore_quietly = true;
    each_scenario(visit_sites, NULL);
    unsigned mutants = model_mutants();
    for (unsigned i = first; i < mutants && i <= last; i++)
        weaken(i);
    (void)printf("explorer: %u orders that can be weaker\n", mutants);
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    arena_init();
    explore_program = argv[0];
    explore_slowly = getenv("WEIR_EXPLORER_SLOW") != NULL;
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc == 1) {
        each_scenario(explore_one, NULL);
        return sum_up();
    }
    if (strcmp(argv[1], "--weaken") == 0)
        return weaken_each(argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 0,
                           argc > 3 ? (unsigned)strtoul(argv[3], NULL, 10) : UINT32_MAX);
    struct request request = {argv[1], NULL};
    each_scenario(is_meant, &request);
    if (request.found == NULL) {
        (void)fprintf(stderr, "there is no scenario \"%s\"\n", argv[1]);
        return EXIT_FAILURE;
    }
    if (argc > 2)
        return replay(request.found, argv[2], argv[3]);
    (void)explore_one(request.found, NULL);
    return sum_up();
}
