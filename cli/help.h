/* SPDX-License-Identifier: MIT */
/* help.h - what weir says of itself. */
#ifndef CLI_HELP_H
#define CLI_HELP_H

/* Prints the help of a subcommand; NULL: of all. Returns 0, or EXIT_WEIR if there is none. */
int help_say(const char *subcommand);

#endif
