/* SPDX-License-Identifier: MIT */
/* serve.h - jobs that come from a queue, for `weir work`. */
#ifndef CLI_SERVE_H
#define CLI_SERVE_H

#include "run.h"
#include "weir/queue.h"

struct work {
    weir_queue *queue;
    weir_serve_options options;

    pthread_mutex_t lock; /* guards the next one */
    uint64_t n_taken;
};

/* For struct origin, whose `user` is a struct work. */
int serve_feed(struct run *run);

#endif
