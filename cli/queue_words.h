/* SPDX-License-Identifier: MIT */
/* queue_words.h - what the command lines of push, work and jobs have in common: options, the URL of
 * a queue, more options.
 */
#ifndef CLI_QUEUE_WORDS_H
#define CLI_QUEUE_WORDS_H

#include "settings.h"
#include "weir/queue.h"

struct queue_words {
    char *url; /* NULL: --help was asked for */
    char *const *rest;
    int n_rest;
};

/* Reads options and URL, and hides its password from whoever lists the processes. What has no URL
 * takes that of WEIR_QUEUE_URL: a first word is one if it begins with a scheme, or if the variable
 * is not set. Returns 0; EXIT_WEIR after it has complained. queue_words_free is due in
 * either case. */
int queue_words_read(struct queue_words *ret, struct settings *settings, int n_words,
                     char *const words[]);
void queue_words_free(struct queue_words *words);

/* Makes a handle for that URL, with the password of WEIR_QUEUE_PASSWORD if it has none. Nothing is
 * connected yet. Returns 0; EXIT_WEIR after it has complained. */
int queue_words_open(weir_queue **ret, const struct queue_words *words,
                     const struct settings *settings);

/* Says what the last call on the queue failed with. Returns EXIT_WEIR. */
int queue_complain(const weir_queue *queue, int err);

#endif
