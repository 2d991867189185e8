/* SPDX-License-Identifier: MIT */
/* abort.c - misuse that aborts. */
#include "support/abort.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/suite.h"

enum { CHILD_TIMEOUT_S = 40 };

#ifdef WEIR_TESTS_COVERAGE
/* Counts that are not written by the time of the abort would be lost with the child. */
void __gcov_dump(void);

static void write_counts(int signal_number)
{
    __gcov_dump();
    (void)signal(signal_number, SIG_DFL);
    (void)raise(signal_number);
}

#define AT_ABORT write_counts
#else
#define AT_ABORT SIG_DFL
#endif

static _Noreturn void be_child(int errors, void (*fn)(void *arg), void *arg)
{
    (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0});
    (void)signal(SIGABRT, AT_ABORT);
    (void)signal(SIGALRM, SIG_DFL);
    (void)alarm(CHILD_TIMEOUT_S); /* a call that hangs ends by another signal than it should */
    if (dup2(errors, STDERR_FILENO) >= 0)
        fn(arg);
    _exit(0);
}

void assert_aborts(void (*fn)(void *arg), void *arg, const char *text)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    (void)fflush(NULL);
    pid_t child = fork();
    ck_assert_int_ge(child, 0);
    if (child == 0) {
        (void)close(ends[0]);
        be_child(ends[1], fn, arg);
    }
    (void)close(ends[1]);

    char said[4096];
    size_t length = 0;
    for (;;) {
        char rest[512];
        bool room = length < sizeof said - 1;
        ssize_t n = room ? read(ends[0], said + length, sizeof said - 1 - length)
                         : read(ends[0], rest, sizeof rest);
        if (n <= 0)
            break;
        length += room ? (size_t)n : 0;
    }
    said[length] = 0;
    (void)close(ends[0]);

    int status = 0;
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_msg(WIFSIGNALED(status), "the misuse went through (exit code %d, it said \"%s\")",
                  WEXITSTATUS(status), said);
    ck_assert_msg(WTERMSIG(status) == SIGABRT, "signal %d instead of an abort (it said \"%s\")",
                  WTERMSIG(status), said);
    ck_assert_msg(strstr(said, text) != NULL, "expected to read \"%s\", it said \"%s\"", text,
                  said);
}
