/* SPDX-License-Identifier: MIT */
#include "jobs.h"

#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MAX_PROCESSES = 64, PRINTED = 1 << 16 };

static FILE *printing; /* whose lock says who prints; NULL: there is one process only */

static _Noreturn void give_up(const char *call)
{
    perror(call);
    exit(EXIT_FAILURE);
}

void *jobs_memory(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        give_up("explorer: mmap");
    return memory;
}

static unsigned usable_cpus(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
    return n < MAX_PROCESSES ? (unsigned)n : MAX_PROCESSES;
}

/* The lock is the process's, and is given back when it crashes. */
void jobs_print_begin(void)
{
    if (printing != NULL && lockf(fileno(printing), F_LOCK, 0) != 0)
        give_up("explorer: lockf");
}

void jobs_print_end(void)
{
    if (printing != NULL)
        (void)lockf(fileno(printing), F_ULOCK, 0);
}

static void work_through(unsigned n, atomic_uint *next, void (*work)(unsigned piece, void *arg),
                         void *arg)
{
    static char buffer[PRINTED];
    (void)setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
    for (unsigned piece; (piece = atomic_fetch_add(next, 1)) < n;) {
        work(piece, arg);
        jobs_print_begin();
        (void)fflush(stdout);
        jobs_print_end();
    }
}

void jobs_run(unsigned n, void (*work)(unsigned piece, void *arg), void *arg)
{
    unsigned processes = usable_cpus();
    pid_t children[MAX_PROCESSES];
    atomic_uint *next = jobs_memory(sizeof *next);
    printing = tmpfile();
    if (printing == NULL)
        give_up("explorer: tmpfile");
    (void)fflush(NULL);
    for (unsigned i = 0; i < processes; i++) {
        children[i] = fork();
        if (children[i] < 0)
            give_up("explorer: fork");
        if (children[i] == 0) {
            work_through(n, next, work, arg);
            _exit(EXIT_SUCCESS);
        }
    }
    for (unsigned i = 0; i < processes; i++) {
        int status;
        if (waitpid(children[i], &status, 0) < 0)
            give_up("explorer: waitpid");
        if (!WIFEXITED(status))
            (void)printf("a process was ended by signal %d\n", WTERMSIG(status));
    }
    (void)fclose(printing);
    printing = NULL;
    (void)munmap(next, sizeof *next);
}
