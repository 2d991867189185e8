/* SPDX-License-Identifier: MIT */
/* main.c - makes all runs of each litmus program, and compares.
 *
 *     litmus          all programs
 *     litmus NAME     this one; tells what each weaker order does
 */
#include "litmus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "choices.h"
#include "future.h"
#include "scheduler.h"

static const struct litmus *const all[] = {litmus_model, litmus_eventcount, litmus_ring,
                                           litmus_slot,  litmus_freelist,   litmus_quiet,
                                           litmus_mutex, litmus_deque};

atomic(uint64_t) litmus_words[LITMUS_WORDS];
uint64_t litmus_results[LITMUS_RESULTS];

static const struct litmus *program;
static bool came_out;
static unsigned long runs;
static unsigned programs, weaker_orders, wrong;

/* One run. */

static void *run_thread(void *arg)
{
    void (*const *thread)(void) = arg;
    (*thread)();
    return NULL;
}

static void run_program(void)
{
    memset(litmus_words, 0, sizeof litmus_words);
    memset(litmus_results, 0, sizeof litmus_results);
    struct vthread *started[LITMUS_THREADS];
    unsigned n = 0;
    loads_may_be_late();
    explore_begin();
    for (; n < LITMUS_THREADS && program->threads[n] != NULL; n++)
        started[n] = vthread_start(run_thread, ADDRESS(&program->threads[n]));
    settle();
    for (unsigned i = 0; i < n; i++)
        (void)virtual_join(started[i]->number, NULL);
    explore_end();
    came_out |= !future_is_open() && program->outcome();
}

/* All of them, up to one in which it comes out. */
static void make_runs(void)
{
    static const struct bounds no_bounds = {1000, 1000, 1000, 0};
    choices_start(EXHAUSTIVE, no_bounds, 1);
    do {
        choices_begin_run(0);
        const char *why = run_once(run_program, false);
        runs++;
        if (why != NULL) {
            (void)printf("%s: %s\n", program->name, why);
            exit(EXIT_FAILURE);
        }
    } while (!came_out && choices_next_run());
}

/* The first time shows what is stored, the second time loads may return that before it is. */
static bool comes_out(void)
{
    came_out = false;
    conflicts_forget();
    conflicts_assume(true);
    make_runs();
    (void)conflicts_use();
    if (!came_out)
        make_runs();
    return came_out;
}

/* Weaker orders. */

extern struct site __start_weir_sites[], __stop_weir_sites[];

static const char *const order_names[] = {"relaxed", "acquire", "release", "acq_rel", "seq_cst"};

/* The next weaker ones, of which the others are weaker still. */
static unsigned next_weaker(const struct site *site, unsigned char weaker[2])
{
    if (site->order == ACQREL) {
        weaker[0] = ACQ;
        weaker[1] = REL;
        return 2;
    }
    bool both = site->loads && site->stores;
    weaker[0] = site->order != SEQCST ? RLX : both ? ACQREL : site->loads ? ACQ : REL;
    return 1;
}

/* Which of its operations in its function, by name and from the top. */
static unsigned number_of(const struct site *site)
{
    unsigned number = 1;
    for (const struct site *s = __start_weir_sites; s < __stop_weir_sites; s++)
        number += strcmp(s->base, site->base) == 0 && strcmp(s->function, site->function) == 0 &&
                  strcmp(s->operation, site->operation) == 0 && s->number < site->number;
    return number;
}

static bool is_spare(const char *mutant)
{
    for (unsigned i = 0; i < LITMUS_SPARE && program->spare[i] != NULL; i++)
        if (strcmp(program->spare[i], mutant) == 0)
            return true;
    return false;
}

static void weaken(struct site *site, unsigned char order, bool tells)
{
    char mutant[128];
    (void)snprintf(mutant, sizeof mutant, "%s %s %u -> %s", site->function, site->operation,
                   number_of(site), order_names[order]);
    site->in_force = order;
    bool needed = comes_out();
    site->in_force = site->order;
    weaker_orders++;
    if (tells)
        (void)printf("  %s: %s\n", mutant, needed ? "comes out" : "never");
    if (needed != is_spare(mutant))
        return;
    (void)printf("%s: %s %s\n", program->name, mutant,
                 needed ? "lets it come out, so it is not to spare" : "does not let it come out");
    wrong++;
}

static void try_program(const struct litmus *which, bool tells)
{
    program = which;
    programs++;
    for (struct site *site = __start_weir_sites; site < __stop_weir_sites; site++)
        site->met = 0;
    unsigned long before = runs;
    bool happens = comes_out();
    if (tells)
        (void)printf("%s: %s, %lu runs\n", which->name, happens ? "comes out" : "never",
                     runs - before);
    if (happens != (which->verdict == SOMETIMES)) {
        (void)printf("%s: %s\n", which->name, happens ? "comes out" : "never comes out");
        wrong++;
    }
    static struct site *met[64];
    unsigned n = 0;
    for (struct site *site = __start_weir_sites; site < __stop_weir_sites; site++)
        if (which->needs && site->met > 0 && site->order != RLX)
            met[n++] = site;
    for (unsigned i = 0; i < n; i++) {
        unsigned char weaker[2];
        unsigned count = next_weaker(met[i], weaker);
        for (unsigned j = 0; j < count; j++)
            weaken(met[i], weaker[j], tells);
    }
}

int main(int argc, char **argv)
{
    arena_init();
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        for (const struct litmus *which = all[i]; which->name != NULL; which++)
            if (argc == 1 || strcmp(which->name, argv[1]) == 0)
                try_program(which, argc > 1);
    if (programs == 0) {
        (void)fprintf(stderr, "there is no program \"%s\"\n", argv[1]);
        return EXIT_FAILURE;
    }
    (void)printf("litmus: %u programs, %u weaker orders, %lu runs; %u wrong\n", programs,
                 weaker_orders, runs, wrong);
    return wrong == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
