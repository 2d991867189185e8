/* SPDX-License-Identifier: MIT */
/* process.c - starts processes. posix_spawn borrows this process's memory until the new program
 * begins, so that its cost does not grow with that memory, nor with the number of threads.
 */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

int launcher_init(struct launcher *launcher, const sigset_t *mask)
{
    sigset_t defaults;
    *launcher = (struct launcher){.null = open("/dev/null", O_RDONLY | O_CLOEXEC)};
    if (launcher->null < 0)
        return -errno;
    /* The one signal that weir ignores for itself. */
    sigemptyset(&defaults);
    sigaddset(&defaults, SIGPIPE);
    int err = posix_spawnattr_init(&launcher->attributes);
    if (err != 0)
        return -err;
    posix_spawnattr_setsigmask(&launcher->attributes, mask);
    posix_spawnattr_setsigdefault(&launcher->attributes, &defaults);
    posix_spawnattr_setpgroup(&launcher->attributes, 0);
    posix_spawnattr_setflags(&launcher->attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                                        POSIX_SPAWN_SETSIGDEF);
    return 0;
}

void launcher_destroy(struct launcher *launcher)
{
    posix_spawnattr_destroy(&launcher->attributes);
    close(launcher->null);
    free(launcher->program);
    free(launcher->name);
}

/* Where in $PATH a program is; NULL if it is not there. */
static char *find_program(const char *name)
{
    char path[PATH_MAX];
    struct stat about;
    const char *folder = getenv("PATH");
    while (folder != NULL) {
        size_t size = strcspn(folder, ":");
        int length = size == 0 ? snprintf(path, sizeof(path), "%s", name)
                               : snprintf(path, sizeof(path), "%.*s/%s", (int)size, folder, name);
        if (length > 0 && (size_t)length < sizeof(path) && access(path, X_OK) == 0 &&
            stat(path, &about) == 0 && S_ISREG(about.st_mode))
            return strdup(path);
        folder = folder[size] == ':' ? folder + size + 1 : NULL;
    }
    return NULL;
}

void launcher_expect(struct launcher *launcher, const struct bytes *name)
{
    launcher->name = strndup(name->data, name->size);
    if (launcher->name != NULL && strchr(launcher->name, '/') == NULL)
        launcher->program = find_program(launcher->name);
}

static int open_pipes(int out[2], int err[2])
{
    if (pipe2(out, O_CLOEXEC) < 0)
        return -errno;
    if (pipe2(err, O_CLOEXEC) == 0)
        return 0;
    int code = -errno;
    close(out[0]);
    close(out[1]);
    return code;
}

/* A script without #! is the shell's. */
static int spawn_script(pid_t *ret, const posix_spawn_file_actions_t *actions,
                        const posix_spawnattr_t *attributes, const char *path, char *const argv[],
                        char *const environment[])
{
    static char shell[] = "/bin/sh";
    size_t n = 0;
    while (argv[n] != NULL)
        n++;
    char **words = calloc(n + 3, sizeof(*words));
    if (words == NULL)
        return ENOMEM;
    words[0] = shell;
    words[1] = (char *)path;
    for (size_t i = 1; i < n; i++)
        words[i + 1] = argv[i];
    int err = posix_spawn(ret, shell, actions, attributes, words, environment);
    free(words);
    return err;
}

static int spawn(pid_t *ret, const struct launcher *launcher,
                 const posix_spawn_file_actions_t *actions, char *const argv[],
                 char *const environment[])
{
    const posix_spawnattr_t *attributes = &launcher->attributes;
    char *found = NULL;
    const char *path = argv[0];
    if (strchr(argv[0], '/') == NULL) {
        bool expected = launcher->program != NULL && strcmp(launcher->name, argv[0]) == 0;
        found = expected ? NULL : find_program(argv[0]);
        path = expected ? launcher->program : found;
    }
    if (path == NULL) {
        /* In $PATH, but not to be run? Then the system says why. */
        return posix_spawnp(ret, argv[0], actions, attributes, argv, environment);
    }
    int err = posix_spawn(ret, path, actions, attributes, argv, environment);
    if (err == ENOEXEC)
        err = spawn_script(ret, actions, attributes, path, argv, environment);
    free(found);
    return err;
}

static int start(struct process *process, const struct launcher *launcher, char *const argv[],
                 char *const environment[], int input, const int pipes[2])
{
    posix_spawn_file_actions_t actions;
    int err = posix_spawn_file_actions_init(&actions);
    if (err != 0)
        return -err;
    err = posix_spawn_file_actions_adddup2(&actions, input < 0 ? launcher->null : input, 0);
    for (int i = 0; i < 2 && err == 0 && pipes != NULL; i++)
        err = posix_spawn_file_actions_adddup2(&actions, pipes[i], i + 1);
    if (err == 0)
        err = spawn(&process->pid, launcher, &actions, argv, environment);
    posix_spawn_file_actions_destroy(&actions);
    if (err != 0)
        return -err;
    if (launcher->raised)
        prlimit(process->pid, RLIMIT_NOFILE, &launcher->descriptors, NULL);
    process->handle = pidfd_open(process->pid, 0);
    if (process->handle >= 0)
        return 0;
    /* A process that cannot be watched must not run. */
    err = -errno;
    kill(-process->pid, SIGKILL);
    waitpid(process->pid, NULL, 0);
    return err;
}

int process_start(struct process *ret, const struct launcher *launcher, char *const argv[],
                  char *const environment[], int input, bool piped)
{
    int out[2];
    int err[2];
    *ret = (struct process){.handle = -1, .out = -1, .err = -1};
    if (!piped)
        return start(ret, launcher, argv, environment, input, NULL);
    int code = open_pipes(out, err);
    if (code != 0)
        return code;
    code = start(ret, launcher, argv, environment, input, (int[2]){out[1], err[1]});
    close(out[1]);
    close(err[1]);
    if (code == 0) {
        ret->out = out[0];
        ret->err = err[0];
        return 0;
    }
    close(out[0]);
    close(err[0]);
    return code;
}
