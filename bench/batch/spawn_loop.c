/* SPDX-License-Identifier: MIT */
/* spawn_loop.c - the ceiling: starts a program so many times, so many at once, and does nothing
 * else. Usage: spawn_loop SLOTS TIMES PROGRAM [ARG...]
 */
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>

extern char **environ;

int main(int n_words, char *words[])
{
    if (n_words < 4)
        return 2;
    int slots = atoi(words[1]);
    int left = atoi(words[2]);
    int running = 0;
    while (left > 0 || running > 0) {
        if (left > 0 && running < slots) {
            pid_t child;
            if (posix_spawn(&child, words[3], NULL, NULL, &words[3], environ) != 0) {
                perror("posix_spawn");
                return 1;
            }
            left--;
            running++;
            continue;
        }
        int status;
        if (wait(&status) < 0 || status != 0)
            return 1;
        running--;
    }
    return 0;
}
