/* SPDX-License-Identifier: MIT */
/* complain.c - lines on standard error, and the bar below them.
 * Locks: `lock` guards `bar_is_up` and each write.
 */
#include "complain.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool bar_is_up;

/* Standard error may be closed or full: then there is nobody left to tell. */
static void say(const char *text, size_t size)
{
    while (size > 0) {
        ssize_t done = write(STDERR_FILENO, text, size);
        if (done <= 0)
            return;
        text += done;
        size -= (size_t)done;
    }
}

static void clear_bar_locked(void)
{
    if (bar_is_up)
        say("\r\033[K", 4);
    bar_is_up = false;
}

int complain(const char *format, ...)
{
    char line[2048] = "weir: ";
    va_list args;
    va_start(args, format);
    int size = vsnprintf(line + 6, sizeof(line) - 7, format, args);
    va_end(args);
    size_t end = size < 0 ? 6 : 6 + (size_t)size;
    if (end > sizeof(line) - 2)
        end = sizeof(line) - 2;
    line[end++] = '\n';
    pthread_mutex_lock(&lock);
    clear_bar_locked();
    say(line, end);
    pthread_mutex_unlock(&lock);
    return EXIT_WEIR;
}

void complain_clear_bar(void)
{
    pthread_mutex_lock(&lock);
    clear_bar_locked();
    pthread_mutex_unlock(&lock);
}

void complain_draw_bar(const char *line)
{
    pthread_mutex_lock(&lock);
    clear_bar_locked();
    if (*line != '\0') {
        say("\r", 1);
        say(line, strlen(line));
        bar_is_up = true;
    }
    pthread_mutex_unlock(&lock);
}
