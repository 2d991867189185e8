/* SPDX-License-Identifier: MIT */
/* terminal.c - the screen that digests, messages and the progress bar share. */
#include "terminal.h"

#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "print.h"

void terminal_init(struct terminal *terminal)
{
    *terminal = (struct terminal){.has_bar = isatty(STDERR_FILENO) == 1};
    terminal->shared = terminal->has_bar && isatty(STDOUT_FILENO) == 1;
    pthread_mutex_init(&terminal->lock, NULL);
    /* A message is one write, and so one piece beside those of other processes. */
    setvbuf(stderr, NULL, _IOLBF, BUFSIZ);
}

void terminal_destroy(struct terminal *terminal)
{
    pthread_mutex_destroy(&terminal->lock);
}

/* Standard output that goes elsewhere needs no lock: if it blocks, messages must still get out. */
static bool locks(const struct terminal *terminal, FILE *out)
{
    return out == stderr || terminal->shared;
}

void terminal_begin(struct terminal *terminal, FILE *out)
{
    if (!locks(terminal, out))
        return;
    pthread_mutex_lock(&terminal->lock);
    if (terminal->drawn > 0) {
        fprintf(stderr, "\r%*s\r", terminal->drawn, "");
        fflush(stderr);
    }
    terminal->drawn = 0;
}

void terminal_end(struct terminal *terminal, FILE *out)
{
    if (locks(terminal, out))
        pthread_mutex_unlock(&terminal->lock);
}

int terminal_width(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 2)
        return 79;
    /* The last column stays free: a character there makes some terminals go to the next line. */
    return size.ws_col - 1;
}

void terminal_draw(struct terminal *terminal, const char *bar, bool last)
{
    int length = (int)strlen(bar);
    pthread_mutex_lock(&terminal->lock);
    int excess = terminal->drawn > length ? terminal->drawn - length : 0;
    fprintf(stderr, "\r%s%*s%s", bar, excess, "", last ? "\n" : "");
    fflush(stderr);
    terminal->drawn = last ? 0 : length + excess;
    pthread_mutex_unlock(&terminal->lock);
}

void complain(struct terminal *terminal, const char *name, const char *text, const char *other)
{
    terminal_begin(terminal, stderr);
    fputs("checksum: ", stderr);
    if (name != NULL) {
        print_name(stderr, name);
        fputs(": ", stderr);
    }
    fputs(text, stderr);
    if (other != NULL) {
        putc(' ', stderr);
        print_name(stderr, other);
    }
    putc('\n', stderr);
    terminal_end(terminal, stderr);
}
