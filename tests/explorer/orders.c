/* SPDX-License-Identifier: MIT */
#include "orders.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/atomic.h"
#include "choices.h"
#include "explore.h"
#include "jobs.h"
#include "sites.h"

enum { MAX_SCENARIOS = 1024, LINE = 768, REASON = 400, SECONDS = 600 };

/* A line of the file, or what takes its place. */
struct answer {
    bool known, killed;
    const struct scenario *killer;
    unsigned pass;
    unsigned long runs;
    char reason[REASON];
};

/* What a child that hunts tells, and that it was at when it crashed. */
struct report {
    volatile bool killed;
    volatile unsigned scenario, pass;
    volatile unsigned long runs;
};

static const struct mutant *mutants;
static unsigned mutant_count, single_count, site_count, scenario_count;
static struct answer *answers;
static struct report *told;
/* How much of a scenario is about a site, by scenario and site; 0: it does not come to it. */
static double *shares;

static void start_up(const struct scenario *const list[])
{
    while (list[scenario_count] != NULL)
        scenario_count++;
    site_count = sites_collect();
    mutant_count = single_count = mutants_all(&mutants);
    answers = jobs_memory((mutant_count + MAX_PAIRS) * sizeof *answers);
    shares = calloc((size_t)scenario_count * site_count, sizeof *shares);
    told = jobs_memory(sizeof *told);
    if (shares == NULL)
        exit(EXIT_FAILURE);
    if (scenario_count > MAX_SCENARIOS) {
        (void)fprintf(stderr, "MAX_SCENARIOS is too small\n");
        exit(EXIT_FAILURE);
    }
}

/* The file. */

static const struct scenario *scenario_named(const struct scenario *const list[], const char *name)
{
    for (unsigned i = 0; list[i] != NULL; i++)
        if (strcmp(list[i]->name, name) == 0)
            return list[i];
    return NULL;
}

/* Fills in an answer; NULL, or what is wrong with the line. */
static const char *read_answer(const struct scenario *const list[], char *text,
                               struct answer *ret_answer)
{
    char scenario[128], pass[32];
    unsigned long runs;
    struct answer answer = {.known = true};
    if (sscanf(text, " killed by \"%127[^\"]\" (%31[^,], %lu)", scenario, pass, &runs) == 3) {
        answer.killed = true;
        answer.killer = scenario_named(list, scenario);
        answer.runs = runs;
        while (answer.pass < HUNT_PASSES && strcmp(hunt_name(answer.pass), pass) != 0)
            answer.pass++;
        if (answer.killer == NULL || answer.pass == HUNT_PASSES)
            return "names a scenario or a pass that is not there";
    } else if (strncmp(text, " survives: ", strlen(" survives: ")) == 0) {
        (void)snprintf(answer.reason, sizeof answer.reason, "%s", text + strlen(" survives: "));
        answer.reason[strcspn(answer.reason, "\n")] = '\0';
    } else {
        return "says neither \"killed by\" nor \"survives\"";
    }
    *ret_answer = answer;
    return NULL;
}

static unsigned find_mutant(const char *name)
{
    unsigned i = 0;
    while (i < mutant_count && strcmp(mutants[i].name, name) != 0)
        i++;
    return i;
}

static void add_pair(unsigned first, unsigned second)
{
    mutants_add_pair(&mutants[first], &mutants[second]);
    mutant_count = mutants_all(&mutants);
}

/* The mutant of this name, or mutant_count; a pair that is new is added. */
static unsigned named_mutant(char *name)
{
    unsigned i = find_mutant(name);
    char *middle = strstr(name, " & ");
    if (i < mutant_count || middle == NULL)
        return i;
    *middle = '\0';
    unsigned first = find_mutant(name), second = find_mutant(middle + strlen(" & "));
    *middle = ' ';
    if (first >= single_count || second >= single_count)
        return mutant_count;
    add_pair(first, second);
    return mutant_count - 1;
}

/* Reads the answers; returns how many lines are wrong, telling of each if `tell`. */
static unsigned read_file(const struct scenario *const list[], const char *file, bool tell)
{
    FILE *from = fopen(file, "r");
    char line[LINE];
    unsigned wrong = 0;
    while (from != NULL && fgets(line, sizeof line, from) != NULL) {
        if (line[0] == '#' || line[0] == '\n')
            continue;
        char *colon = strchr(line, ':');
        unsigned i = 0;
        const char *why = "is no mutant of this program";
        if (colon != NULL) {
            *colon = '\0';
            i = named_mutant(line);
            if (i < mutant_count)
                why =
                    answers[i].known ? "is there twice" : read_answer(list, colon + 1, &answers[i]);
        }
        wrong += why != NULL;
        if (why != NULL && tell)
            (void)printf("%s: %s\n", line, why);
    }
    if (from == NULL && tell) {
        perror(file);
        wrong++;
    }
    if (from != NULL)
        (void)fclose(from);
    return wrong;
}

/* Hunting for a mutant. */

/* Which sites each scenario comes to: without a mutant, in the first passes. */
static void find_shares(const struct scenario *const list[])
{
    for (unsigned s = 0; s < scenario_count; s++) {
        unsigned long runs;
        double all = 1;
        sites_forget();
        for (unsigned pass = 0; pass < 4; pass++)
            (void)hunt(list[s], pass, 300, &runs);
        for (unsigned i = 0; i < site_count; i++)
            all += site_met(i);
        for (unsigned i = 0; i < site_count; i++)
            shares[s * site_count + i] = site_met(i) / all;
    }
}

static bool is_reached(unsigned site)
{
    for (unsigned s = 0; s < scenario_count; s++)
        if (shares[s * site_count + site] > 0)
            return true;
    return false;
}

/* In a child, because a library that is broken may crash. Returns whether it was killed. */
static bool in_child(void (*run)(const void *arg), const void *arg)
{
    *told = (struct report){false, 0, 0, 0};
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        (void)alarm(SECONDS);
        run(arg);
        _exit(EXIT_SUCCESS);
    }
    int status;
    if (child < 0 || waitpid(child, &status, 0) < 0) {
        perror("explorer");
        exit(EXIT_FAILURE);
    }
    return told->killed || !WIFEXITED(status);
}

/* What the explorer has no room for is no find. */
static bool is_find(const char *why)
{
    return why != NULL && strstr(why, "the explorer") == NULL;
}

static void hunt_one(const struct scenario *scenario, unsigned number, unsigned pass, unsigned most)
{
    unsigned long runs = 0;
    told->scenario = number;
    told->pass = pass;
    told->runs = most;
    told->killed = is_find(hunt(scenario, pass, most, &runs));
    told->runs = runs;
}

struct hunting {
    const struct scenario *const *list;
    const struct mutant *mutant;
    const struct answer *answer; /* which killed it before; else NULL, and: */
    struct effort effort;
};

/* After an edit it may take longer than it did, or where things lie at other addresses: which lists
 * of waiters share a lock depends on them. */
static void hunt_again(const void *arg)
{
    const struct hunting *h = arg;
    mutant_apply(h->mutant);
    hunt_one(h->answer->killer, 0, h->answer->pass, 4 * (unsigned)h->answer->runs + 20000);
}

/* How much of a scenario is about a mutant: about that of its sites which it is less about. */
static double share_of(unsigned scenario, const struct mutant *mutant)
{
    double least = shares[scenario * site_count + mutant->sites[0]];
    for (unsigned part = 1; part < mutant->parts; part++) {
        double share = shares[scenario * site_count + mutant->sites[part]];
        least = share < least ? share : least;
    }
    return least;
}

static const struct mutant *sorted_for;

static int compare_shares(const void *left, const void *right)
{
    double a = share_of(*(const unsigned *)left, sorted_for);
    double b = share_of(*(const unsigned *)right, sorted_for);
    return (a < b) - (a > b);
}

/* Those that are most about the site first. */
static void hunt_everywhere(const void *arg)
{
    const struct hunting *h = arg;
    unsigned order[MAX_SCENARIOS];
    for (unsigned s = 0; s < scenario_count; s++)
        order[s] = s;
    sorted_for = h->mutant;
    qsort(order, scenario_count, sizeof order[0], compare_shares);
    mutant_apply(h->mutant);
    for (unsigned pass = 0; pass < h->effort.passes; pass++)
        for (unsigned i = 0; i < scenario_count && i < h->effort.scenarios; i++) {
            if (share_of(order[i], h->mutant) == 0)
                break;
            hunt_one(h->list[order[i]], order[i], pass, 0);
            if (told->killed)
                return;
        }
}

static bool kill_again(const struct scenario *const list[], unsigned i)
{
    struct hunting h = {list, &mutants[i], &answers[i], {0, 0}};
    return in_child(hunt_again, &h);
}

static bool kill_somewhere(const struct scenario *const list[], unsigned i, struct effort effort)
{
    struct hunting h = {list, &mutants[i], NULL, effort};
    return in_child(hunt_everywhere, &h);
}

/* The three commands. */

/* Whose killers are asked, those first that take longest; and how it went, in shared memory. */
struct check {
    const struct scenario *const *list;
    unsigned *order;
    bool *killed;
};

static void check_piece(unsigned piece, void *arg)
{
    const struct check *check = arg;
    unsigned i = check->order[piece];
    static bool own_report;
    if (!own_report)
        told = jobs_memory(sizeof *told);
    own_report = true;
    check->killed[i] = kill_again(check->list, i);
}

static int compare_runs(const void *left, const void *right)
{
    unsigned long a = answers[*(const unsigned *)left].runs,
                  b = answers[*(const unsigned *)right].runs;
    return (a < b) - (a > b);
}

/* By mutant: does who killed it before do so again? */
static const bool *kill_all_again(const struct scenario *const list[])
{
    struct check check = {list, calloc(mutant_count, sizeof *check.order),
                          jobs_memory(mutant_count * sizeof *check.killed)};
    unsigned n = 0;
    if (check.order == NULL)
        exit(EXIT_FAILURE);
    for (unsigned i = 0; i < mutant_count; i++)
        if (answers[i].known && answers[i].killed)
            check.order[n++] = i;
    qsort(check.order, n, sizeof check.order[0], compare_runs);
    jobs_run(n, check_piece, &check);
    free(check.order);
    return check.killed;
}

/* By site: does any scenario come to it? Whoever is killed there tells already; for the others the
 * scenarios make as few of their first runs as will do. */
static bool *find_reached(const struct scenario *const list[], const bool killed[])
{
    bool *reached = calloc(site_count, sizeof *reached);
    unsigned missing = site_count;
    if (reached == NULL)
        exit(EXIT_FAILURE);
    for (unsigned i = 0; i < mutant_count; i++) {
        unsigned site = mutants[i].sites[0];
        missing -= killed[i] && !reached[site];
        reached[site] = reached[site] || killed[i];
    }
    for (unsigned pass = 0; pass < 4; pass++)
        for (unsigned s = 0; s < scenario_count && missing > 0; s++) {
            unsigned long runs;
            sites_forget();
            (void)hunt(list[s], pass, 300, &runs);
            for (unsigned i = 0; i < site_count; i++)
                if (!reached[i] && site_met(i) > 0) {
                    reached[i] = true;
                    missing--;
                }
        }
    return reached;
}

int orders_check(const struct scenario *const list[], const char *file)
{
    start_up(list);
    unsigned wrong = read_file(list, file, true), kills = 0, survivors = 0;
    unsigned pairs = mutant_count - single_count;
    const bool *killed = kill_all_again(list);
    bool *reached = find_reached(list, killed);
    for (unsigned i = 0; i < mutant_count; i++) {
        const char *why = NULL;
        if (!reached[mutants[i].sites[0]]) {
            why = "is where no scenario comes to";
        } else if (!answers[i].known) {
            why = "is not in the file";
        } else if (!answers[i].killed) {
            survivors++;
            why = answers[i].reason[0] == '\0' ? "survives without a reason" : NULL;
        } else if (killed[i]) {
            kills++;
        } else {
            why = "was not killed";
        }
        wrong += why != NULL;
        if (why != NULL)
            (void)printf("%s %s\n", mutants[i].name, why);
    }
    free(reached);
    (void)printf("orders: %u sites, %u weaker orders, %u pairs, %u killed, %u said to survive; "
                 "%u wrong\n",
                 site_count, single_count, pairs, kills, survivors, wrong);
    return wrong == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static bool is_weakest_survivor(unsigned i)
{
    if (answers[i].killed)
        return false;
    for (unsigned j = i; j > 0 && mutants[j - 1].sites[0] == mutants[i].sites[0]; j--)
        if (!answers[j - 1].killed)
            return false;
    return true;
}

/* Of each site that has one, the weakest order that survives; all pairs of these that are of one
 * protocol, unless they are there already. */
static void pair_survivors(void)
{
    for (unsigned i = 0; i < single_count; i++)
        for (unsigned j = 0; j < i; j++) {
            if (!is_weakest_survivor(i) || !is_weakest_survivor(j) ||
                !mutants_meet(&mutants[j], &mutants[i]))
                continue;
            char name[sizeof mutants[0].name];
            (void)snprintf(name, sizeof name, "%.118s & %.118s", mutants[j].name, mutants[i].name);
            if (find_mutant(name) == mutant_count)
                add_pair(j, i);
        }
}

int orders_check_survivors(const struct scenario *const list[], const char *file)
{
    start_up(list);
    unsigned wrong = read_file(list, file, true), survivors = 0;
    find_shares(list);
    pair_survivors();
    for (unsigned i = 0; i < mutant_count; i++) {
        if (answers[i].killed || (i < single_count && !answers[i].known))
            continue;
        survivors++;
        if (!kill_somewhere(list, i, (struct effort){HUNT_PASSES, MAX_SCENARIOS}))
            continue;
        wrong++;
        (void)printf("%s is killed by \"%s\"\n", mutants[i].name, list[told->scenario]->name);
    }
    (void)printf(
        "orders: %u survivors and pairs of them, tried in all scenarios that come to them; "
        "%u wrong\n",
        survivors, wrong);
    return wrong == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static void answer_anew(const struct scenario *const list[], unsigned i, struct effort effort)
{
    struct answer *answer = &answers[i];
    if (answer->known && answer->killed && kill_again(list, i)) {
        answer->runs = told->runs;
    } else if (kill_somewhere(list, i, effort)) {
        answer->killed = true;
        answer->killer = list[told->scenario];
        answer->pass = told->pass;
        answer->runs = told->runs;
    } else {
        answer->killed = false;
    }
    (void)printf("%s %s\n", mutants[i].name,
                 answer->killed                    ? answer->killer->name
                 : is_reached(mutants[i].sites[0]) ? "SURVIVES"
                                                   : "IS NOT REACHED");
}

/* A mutant that survives without any order survives with some. */
static void answer_singles(const struct scenario *const list[], unsigned half, struct effort effort)
{
    bool weakest_survives = false;
    for (unsigned i = 0; i < single_count; i++) {
        if (mutants[i].sites[0] % 2 != half)
            continue;
        bool weakest = mutants[i].orders[0] == RLX;
        if (weakest || !weakest_survives)
            answer_anew(list, i, effort);
        else
            answers[i].killed = false;
        if (weakest)
            weakest_survives = !answers[i].killed;
    }
}

static void answer_pairs(const struct scenario *const list[], unsigned half, struct effort effort)
{
    for (unsigned i = single_count; i < mutant_count; i++)
        if (i % 2 == half)
            answer_anew(list, i, effort);
}

/* Half of it in a process of its own. */
static bool answer_in_two(const struct scenario *const list[], struct effort effort,
                          void (*answer_half)(const struct scenario *const list[], unsigned half,
                                              struct effort effort))
{
    (void)fflush(NULL);
    pid_t helper = fork();
    if (helper == 0) {
        told = jobs_memory(sizeof *told);
        answer_half(list, 1, effort);
        (void)fflush(NULL);
        _exit(EXIT_SUCCESS);
    }
    answer_half(list, 0, effort);
    return helper > 0 && waitpid(helper, NULL, 0) > 0;
}

static void write_answer(FILE *to, unsigned i)
{
    (void)fprintf(to, "%s: ", mutants[i].name);
    if (answers[i].killed)
        (void)fprintf(to, "killed by \"%s\" (%s, %lu)\n", answers[i].killer->name,
                      hunt_name(answers[i].pass), answers[i].runs);
    else
        (void)fprintf(to, "survives: %s\n", answers[i].reason);
}

static void write_file(const char *file)
{
    FILE *to = fopen(file, "w");
    if (to == NULL) {
        perror(file);
        exit(EXIT_FAILURE);
    }
    (void)fputs("# Each memory order of the library made weaker, and who notices. Written by\n"
                "# explorer --orders-write FILE; the reasons are written by hand, and kept.\n",
                to);
    for (unsigned i = 0; i < single_count; i++) {
        if (i == 0 || mutants[i].sites[0] != mutants[i - 1].sites[0])
            (void)fputc('\n', to);
        write_answer(to, i);
    }
    (void)fputs(
        "\n# Pairs of those that survive alone, and who notices. Nobody was found for other\n"
        "# pairs of one protocol.\n\n",
        to);
    for (unsigned i = single_count; i < mutant_count; i++)
        if (answers[i].killed)
            write_answer(to, i);
    if (fclose(to) != 0) {
        perror(file);
        exit(EXIT_FAILURE);
    }
}

int orders_write(const struct scenario *const list[], const char *file, struct effort effort)
{
    start_up(list);
    (void)read_file(list, file, false);
    find_shares(list);
    if (!answer_in_two(list, effort, answer_singles))
        return EXIT_FAILURE;
    pair_survivors();
    if (!answer_in_two(list, effort, answer_pairs))
        return EXIT_FAILURE;
    unsigned survivors = 0, pairs = 0;
    for (unsigned i = 0; i < single_count; i++)
        survivors += !answers[i].killed;
    for (unsigned i = single_count; i < mutant_count; i++)
        pairs += answers[i].killed;
    write_file(file);
    (void)printf("orders: %u sites, %u weaker orders, %u survive, %u of %u pairs of them do not\n",
                 site_count, single_count, survivors, pairs, mutant_count - single_count);
    return EXIT_SUCCESS;
}
