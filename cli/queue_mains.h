/* SPDX-License-Identifier: MIT */
/* queue_mains.h - the subcommands that need a queue. A build without one has them, too: there they
 * say so.
 */
#ifndef CLI_QUEUE_MAINS_H
#define CLI_QUEUE_MAINS_H

/* Each runs its subcommand with these words behind it, and returns the exit status. */
int push_main(int n_words, char *const words[]);
int work_main(int n_words, char *const words[]);
int jobs_main(int n_words, char *const words[]);

#endif
