/* SPDX-License-Identifier: MIT */
/* replay.c - runs inputs from files, without libFuzzer.
 *
 *     replay MUTANTS FOLDER...    each file in them, and so many texts near it, always the same
 *     replay 0 FILE
 *
 * An input that fails ends the program; what it was is printed first. */
#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "target.h"

enum { MOST_BYTES = 4096 };

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

/* Returns false if the file cannot be read. */
static bool replay(const char *path, unsigned long mutants)
{
    static uint8_t bytes[MOST_BYTES], mutant[MOST_BYTES];
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return false;
    }
    size_t size = fread(bytes, 1, sizeof bytes, file);
    (void)fclose(file);
    run(bytes, size);
    for (unsigned long i = 0; i < mutants; i++) {
        memcpy(mutant, bytes, size);
        run(mutant, mutate(mutant, size));
    }
    return true;
}

static bool replay_each(const char *folder, DIR *directory, unsigned long mutants)
{
    bool all = true;
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        char path[4096];
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        all = replay(path, mutants) && all;
    }
    return all;
}

int main(int argc, char **argv)
{
    if (argc < 3) {
        (void)fprintf(stderr, "usage: replay MUTANTS FOLDER|FILE...\n");
        return EXIT_FAILURE;
    }
    (void)signal(SIGABRT, tell_input);
    unsigned long mutants = strtoul(argv[1], NULL, 10);
    bool all = true;
    for (int i = 2; i < argc; i++) {
        DIR *directory = opendir(argv[i]);
        all = (directory != NULL ? replay_each(argv[i], directory, mutants)
                                 : replay(argv[i], mutants)) &&
              all;
        if (directory != NULL)
            (void)closedir(directory);
    }
    target_end();
    (void)printf("%lu inputs\n", inputs);
    return all && inputs > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
