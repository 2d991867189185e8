/* SPDX-License-Identifier: MIT */
#include "support/inputs.h"

#include <dirent.h>
#include <stdio.h>

typedef void run_fn(const char *path, const uint8_t *bytes, size_t size);

static bool run_file(const char *path, run_fn *run)
{
    static uint8_t bytes[INPUT_MOST];
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return false;
    }
    size_t size = fread(bytes, 1, sizeof bytes, file);
    (void)fclose(file);
    run(path, bytes, size);
    return true;
}

bool for_each_input(const char *path, run_fn *run)
{
    DIR *folder = opendir(path);
    bool all = true;
    if (folder == NULL)
        return run_file(path, run);
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char name[4096];
        if (entry->d_name[0] == '.')
            continue;
        (void)snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        all = run_file(name, run) && all;
    }
    (void)closedir(folder);
    return all;
}

bool input_is_folder(const char *path)
{
    DIR *folder = opendir(path);
    if (folder != NULL)
        (void)closedir(folder);
    return folder != NULL;
}
