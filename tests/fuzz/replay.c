/* SPDX-License-Identifier: MIT */
/* replay.c - runs inputs from files, without libFuzzer.
 *
 *     replay FOLDER      every file in it, and says what was covered
 *     replay FILE        one, printed step by step
 */
#include <stdio.h>
#include <stdlib.h>

#include "programs.h"
#include "scheduler.h"
#include "support/inputs.h"
#include "target.h"

static unsigned long inputs, failures, steps;
static bool tell;

static void replay(const char *path, const uint8_t *bytes, size_t size)
{
    const char *why = target_run(bytes, size, tell);
    inputs++;
    steps += run_steps();
    if (why != NULL) {
        failures++;
        (void)fprintf(stderr, "%s: program %s: %s\n", path, target_program(bytes, size)->name, why);
    }
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fprintf(stderr, "usage: replay FOLDER|FILE\n");
        return EXIT_FAILURE;
    }
    tell = !input_is_folder(argv[1]);
    bool all = for_each_input(argv[1], replay);
    (void)printf("fuzz: %lu inputs, %lu failed; %lu calls checked, %lu schedules of %lu steps\n",
                 inputs, failures, calls, inputs, steps);
    return all && inputs > 0 && failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
