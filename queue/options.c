/* SPDX-License-Identifier: MIT */
/* options.c - options that are all default, for programs that fill them step by step. */
#include "weir/queue.h"

void weir_queue_options_init(weir_queue_options *options)
{
    if (options != NULL)
        *options = (weir_queue_options){.size = sizeof *options};
}

void weir_push_options_init(weir_push_options *options)
{
    if (options != NULL)
        *options = (weir_push_options){.size = sizeof *options};
}

void weir_serve_options_init(weir_serve_options *options)
{
    if (options != NULL)
        *options = (weir_serve_options){.size = sizeof *options};
}
