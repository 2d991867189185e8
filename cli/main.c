/* SPDX-License-Identifier: MIT */
/* main.c - the program `weir`: finds the subcommand. */
#include "complain.h"
#include "help.h"
#include "queue_mains.h"
#include "run.h"
#include "spelling.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static int help_main(int n_words, char *const words[])
{
    if (n_words > 1)
        return complain("help takes one subcommand, but was given %d words", n_words);
    return help_say(n_words == 0 ? NULL : words[0]);
}

static int version_main(int n_words, char *const words[])
{
    if (n_words > 0)
        return complain("version takes no word, but was given '%s'", words[0]);
    if (printf("weir %s\n", weir_version()) < 0 || fflush(stdout) != 0)
        return complain("standard output cannot be written");
    return 0;
}

static const struct {
    const char *name;
    int (*main)(int n_words, char *const words[]);
} subcommands[] = {
    {"run", run_main},   {"push", push_main},       {"work", work_main},
    {"jobs", jobs_main}, {"help", help_main},       {"--help", help_main},
    {"-h", help_main},   {"version", version_main}, {"--version", version_main},
};

/* A descriptor that is closed would be taken by the next file that is opened: fill it with one that
 * fails as a closed one does. */
static void fill_standard_descriptors(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
}

int main(int argc, char *argv[])
{
    fill_standard_descriptors();
    if (argc < 2)
        return complain("say what to do: weir run COMMAND, or weir help");
    for (size_t i = 0; i < sizeof(subcommands) / sizeof(subcommands[0]); i++)
        if (strcmp(argv[1], subcommands[i].name) == 0)
            return subcommands[i].main(argc - 2, argv + 2);
    struct spelling spelling;
    spelling_begin(&spelling, argv[1], strlen(argv[1]));
    for (size_t i = 0; i < sizeof(subcommands) / sizeof(subcommands[0]); i++)
        spelling_try(&spelling, subcommands[i].name);
    if (spelling.nearest != NULL)
        return complain("there is no subcommand '%s'; did you mean weir %s?", argv[1],
                        spelling.nearest);
    return complain("there is no subcommand '%s'; did you mean weir run %s?", argv[1], argv[1]);
}
