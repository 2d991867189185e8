/* SPDX-License-Identifier: MIT */
/* replay.c - runs inputs from files, without libFuzzer.
 *
 *     replay FOLDER      every file in it, and says what was covered
 *     replay FILE        one, printed step by step
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "programs.h"
#include "scheduler.h"
#include "target.h"

enum { MOST_BYTES = 4096 };

static unsigned long inputs, failures, steps;

/* Returns false if the file cannot be read. */
static bool replay(const char *path, bool trace)
{
    static uint8_t bytes[MOST_BYTES];
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return false;
    }
    size_t size = fread(bytes, 1, sizeof bytes, file);
    (void)fclose(file);
    const char *why = target_run(bytes, size, trace);
    inputs++;
    steps += run_steps();
    if (why != NULL) {
        failures++;
        (void)fprintf(stderr, "%s: program %s: %s\n", path, target_program(bytes, size)->name, why);
    }
    return true;
}

static bool replay_each(const char *folder, DIR *directory)
{
    bool all = true;
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        char path[4096];
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        all = replay(path, false) && all;
    }
    return all;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fprintf(stderr, "usage: replay FOLDER|FILE\n");
        return EXIT_FAILURE;
    }
    DIR *directory = opendir(argv[1]);
    bool all = directory != NULL ? replay_each(argv[1], directory) : replay(argv[1], true);
    if (directory != NULL)
        (void)closedir(directory);
    (void)printf("fuzz: %lu inputs, %lu failed; %lu calls checked, %lu schedules of %lu steps\n",
                 inputs, failures, calls, inputs, steps);
    return all && inputs > 0 && failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
