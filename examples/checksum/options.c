/* SPDX-License-Identifier: MIT */
/* options.c - the command line. */
#include "options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include <weir.h>

static const char usage_line[] =
    "Usage: checksum [-j N] [--timeout SECONDS] [--stats FILE] PATH...\n";

static const char help[] =
    "\n"
    "Prints the SHA-256 of every regular file under the paths, in the format of sha256sum.\n"
    "Paths come in the order given, the files below a folder sorted bytewise by path.\n"
    "Symbolic links are followed if they are given, and not below a folder.\n"
    "The path - stands for names on standard input, each ended by a NUL.\n"
    "\n"
    "  -j, --jobs N           read N files at once (default: the number of CPUs)\n"
    "      --timeout SECONDS  stop after that time\n"
    "      --stats FILE       write what was counted to FILE\n"
    "      --help             print this\n"
    "\n"
    "A first SIGINT (^C) or SIGTERM lets the files that are being read be finished, the second\n"
    "ends at once. What a stop leaves undone is listed on standard error.\n"
    "\n"
    "Exit status: 0 all done; 1 a file could not be read, or the output not be written; 2 wrong\n"
    "usage; 124 stopped by --timeout; 130 or 143 stopped by SIGINT or SIGTERM.\n";

enum { OPTION_HELP = 256, OPTION_STATS, OPTION_TIMEOUT };

static const struct option long_options[] = {
    {"jobs", required_argument, NULL, 'j'},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {"stats", required_argument, NULL, OPTION_STATS},
    {"help", no_argument, NULL, OPTION_HELP},
    {NULL, 0, NULL, 0},
};

static int wrong(const char *what, const char *text)
{
    fprintf(stderr, "checksum: %s: %s\n%sTry --help.\n", text, what, usage_line);
    return EXIT_USAGE;
}

static int parse_workers(const char *text, unsigned *ret)
{
    char *end;
    long n = strtol(text, &end, 10);
    if (end == text || *end != '\0' || n < 1 || n > MAX_WORKERS)
        return wrong("-j takes a number from 1 to 1024", text);
    *ret = (unsigned)n;
    return -1;
}

static int parse_timeout(const char *text, int64_t *ret)
{
    char *end;
    double seconds = strtod(text, &end);
    /* Written so that a NaN is refused as well. */
    if (end == text || *end != '\0' || !(seconds > 0))
        return wrong("--timeout takes a number of seconds above 0", text);
    *ret = seconds < 9e9 ? (int64_t)(seconds * 1e9) : WEIR_FOREVER;
    if (*ret == 0)
        *ret = 1;
    return -1;
}

int options_parse(struct options *options, int argc, char *argv[])
{
    *options = (struct options){0};
    int option, code = -1;
    while (code < 0 && (option = getopt_long(argc, argv, "j:", long_options, NULL)) != -1) {
        switch (option) {
        case 'j':
            code = parse_workers(optarg, &options->workers);
            break;
        case OPTION_TIMEOUT:
            code = parse_timeout(optarg, &options->timeout);
            break;
        case OPTION_STATS:
            options->stats = optarg;
            break;
        case OPTION_HELP:
            printf("%s%s", usage_line, help);
            return fflush(stdout) == 0 ? EXIT_DONE : EXIT_INCOMPLETE;
        default:
            /* getopt_long has said what is wrong. */
            fprintf(stderr, "%sTry --help.\n", usage_line);
            return EXIT_USAGE;
        }
    }
    if (code >= 0)
        return code;
    if (optind == argc) {
        fprintf(stderr, "%sTry --help.\n", usage_line);
        return EXIT_USAGE;
    }
    options->paths = argv + optind;
    options->n_paths = (size_t)(argc - optind);
    return -1;
}
