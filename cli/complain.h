/* SPDX-License-Identifier: MIT */
/* complain.h - what weir itself has to say: whole lines on standard error, one write each, so that
 * they do not mix with those of other threads.
 * A bar may stand on the last line of the terminal: whoever writes a line there takes it away first
 * (complain does so by itself), and the next tick of the bar draws it again.
 */
#ifndef CLI_COMPLAIN_H
#define CLI_COMPLAIN_H

#include <stdbool.h>

/* weir's own exit status: a wrong word on the command line, or weir itself cannot go on. */
#define EXIT_WEIR 125

/* Prints "weir: ", the sentence, and a line end. Returns EXIT_WEIR. */
int complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Takes the bar away, if there is one. */
void complain_clear_bar(void);

/* Draws `line` (without a line end) as the bar; "" takes it away. */
void complain_draw_bar(const char *line);

#endif
