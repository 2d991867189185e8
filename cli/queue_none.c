/* SPDX-License-Identifier: MIT */
/* queue_none.c - a build without hiredis has no queue. */
#include "complain.h"
#include "queue_mains.h"

static int refuse(const char *subcommand)
{
    return complain(
        "weir %s needs a queue, which this build has not (it was built without hiredis)",
        subcommand);
}

int push_main(int n_words, char *const words[])
{
    (void)n_words;
    (void)words;
    return refuse("push");
}

int work_main(int n_words, char *const words[])
{
    (void)n_words;
    (void)words;
    return refuse("work");
}

int jobs_main(int n_words, char *const words[])
{
    (void)n_words;
    (void)words;
    return refuse("jobs");
}
