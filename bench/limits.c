/* SPDX-License-Identifier: MIT */
/* limits.c - a test of the guard itself: what is beyond a limit makes a benchmark fail, what is not
 * does not. Each case is a process of its own, with made-up numbers. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common.h"

enum { ROUNDS = 8 };

struct made_up {
    double value;
    unsigned slow; /* rounds, of ROUNDS, that take ten times as long */
    unsigned round;
};

static void made_up_round(void *arg, double ret_values[])
{
    struct made_up *made_up = arg;
    bool slow = made_up->round > 0 && made_up->round <= made_up->slow; /* round 0 does not count */
    ret_values[0] = slow ? 10 * made_up->value : made_up->value;
    made_up->round++;
}

struct scene {
    const char *name;
    struct made_up own, reference, other;
    struct goal goal, limit;
    bool against_other; /* the limit is relative to another one than the ratios */
    bool quick;
    int expected;
};

/* The exit status. */
static int run(const struct scene *scene)
{
    char name[] = "limits", quick[] = "-q";
    char *arguments[] = {name, quick, NULL};
    struct made_up own = scene->own, reference = scene->reference, other = scene->other;
    const struct contender contenders[] = {
        {.name = scene->name,
         .round = made_up_round,
         .arg = &own,
         .goals = {scene->goal},
         .limits = {scene->limit}},
        {.name = "other", .round = made_up_round, .arg = &other},
        {.name = "reference", .round = made_up_round, .arg = &reference},
    };
    bench_begin(scene->quick ? 2 : 1, arguments);
    bench_compare(&(struct comparison){
        .title = scene->name,
        .metrics = {"made up"},
        .contenders = contenders,
        .n = 3,
        .against = &contenders[2],
        .limit_against = scene->against_other ? &contenders[1] : NULL,
        .rounds = ROUNDS,
    });
    return bench_end();
}

int main(void)
{
    static const struct goal twice = {RATIO_AT_MOST, 2}, five = {VALUE_AT_MOST, 5};
    static const struct scene scenes[] = {
        {.name = "at the limit", .own = {2}, .reference = {1}, .limit = twice},
        {.name = "beyond it", .own = {2.1}, .reference = {1}, .limit = twice, .expected = 1},
        {.name = "beyond a goal", .own = {2.1}, .reference = {1}, .goal = twice},
        {.name = "slow rounds", .own = {1, .slow = 6}, .reference = {1}, .limit = twice},
        {.name = "more of them",
         .own = {1, .slow = 7},
         .reference = {1},
         .limit = twice,
         .expected = 1},
        {.name = "another reference",
         .own = {3},
         .reference = {1},
         .other = {2},
         .limit = twice,
         .against_other = true},
        {.name = "beyond that",
         .own = {3},
         .reference = {2},
         .other = {1},
         .limit = twice,
         .against_other = true,
         .expected = 1},
        {.name = "no reference", .own = {1}, .reference = {0}, .limit = twice, .expected = 1},
        {.name = "a value at the limit", .own = {5}, .reference = {1}, .limit = five},
        {.name = "beyond", .own = {5.1}, .reference = {1}, .limit = five, .expected = 1},
        {.name = "quick", .own = {9}, .reference = {1}, .limit = five, .quick = true},
    };
    int failed = 0;
    for (size_t i = 0; i < sizeof scenes / sizeof scenes[0]; i++) {
        (void)fflush(stdout);
        pid_t child = fork();
        if (child == 0)
            exit(run(&scenes[i]));
        int status = 0;
        bool ended = child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status);
        int expected = bench_has_limits() ? scenes[i].expected : 0;
        if (ended && WEXITSTATUS(status) == expected)
            continue;
        failed = 1;
        fprintf(stderr, "WRONG: %s: expected status %d\n", scenes[i].name, expected);
    }
    return failed;
}
