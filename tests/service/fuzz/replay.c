/* SPDX-License-Identifier: MIT */
/* replay.c - runs inputs from files, without libFuzzer.
 *
 *     replay MUTANTS FOLDER...    each file in them, and so many texts near it, always the same
 *     replay 0 FILE
 *
 * An input that fails ends the program; what it was is printed first. */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/inputs.h"
#include "target.h"

enum { MOST_BYTES = INPUT_MOST };

static uint8_t input[MOST_BYTES];
static size_t input_size;
static unsigned long inputs;

static void tell_input(int number)
{
    static const char before[] = "the input, which the first byte sends to its reader:\n";
    (void)!write(STDERR_FILENO, before, sizeof before - 1);
    (void)!write(STDERR_FILENO, input, input_size);
    (void)!write(STDERR_FILENO, "\n", 1);
    (void)signal(number, SIG_DFL);
    (void)raise(number);
}

static void run(const uint8_t *bytes, size_t size)
{
    memmove(input, bytes, size);
    input_size = size;
    inputs++;
    target_run(input, size);
}

/* xorshift64 */
static uint64_t next_random(void)
{
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

/* A few bytes are changed, put in, taken out or doubled, never the first one. */
static size_t mutate(uint8_t *bytes, size_t size)
{
    static const char special[] = "%+/:\"\\{}\n\r =-_#?&u0";
    for (uint64_t left = 1 + next_random() % 4; left > 0 && size > 1; left--) {
        size_t at = 1 + next_random() % (size - 1);
        uint64_t how = next_random() % 4;
        if (how == 0)
            bytes[at] = (uint8_t)special[next_random() % (sizeof special - 1)];
        else if (how == 1)
            bytes[at] ^= (uint8_t)(1u << next_random() % 8);
        else if (how == 2)
            memmove(bytes + at, bytes + at + 1, --size - at);
        else if (size < MOST_BYTES)
            memmove(bytes + at + 1, bytes + at, size++ - at);
    }
    return size;
}

static unsigned long mutants;

static void replay(const char *path, const uint8_t *bytes, size_t size)
{
    static uint8_t mutant[MOST_BYTES];
    (void)path;
    run(bytes, size);
    for (unsigned long i = 0; i < mutants; i++) {
        memcpy(mutant, bytes, size);
        run(mutant, mutate(mutant, size));
    }
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        (void)fprintf(stderr, "usage: replay MUTANTS FOLDER|FILE...\n");
        return EXIT_FAILURE;
    }
    (void)signal(SIGABRT, tell_input);
    mutants = strtoul(argv[1], NULL, 10);
    bool all = true;
    for (int i = 2; i < argc; i++)
        all = for_each_input(argv[i], replay) && all;
    target_end();
    (void)printf("%lu inputs\n", inputs);
    return all && inputs > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
