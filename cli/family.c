/* SPDX-License-Identifier: MIT */
/* family.c - finds the processes of a job that was killed, so that none of them survives.
 *
 * To the family belong the members of the job's process group, the children of members, and
 * orphans with the job's name (WEIR_JOB) in their environment. Orphans come to weir, which is a
 * subreaper, so that they can be told apart from all other processes. A process that has left its
 * group, has lost its parents, and has removed that variable, is not found.
 *
 * A list of all processes costs milliseconds. Workers that need one at the same time share it: it
 * is recent enough if it was begun after the caller's reason to look.
 * Locks: `lock` guards the list.
 */
#include "family.h"

#include "weir/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

struct entry {
    pid_t pid, parent, group;
    unsigned long long born; /* with the pid, this names a process for good */
    bool ended, member;
};

struct list {
    struct entry *all;
    size_t n, room;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct list shared;
static int64_t shared_begun = -1;

static bool read_entry(pid_t pid, struct entry *ret)
{
    char path[64];
    char text[1024];
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t size = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (size <= 0)
        return false;
    text[size] = '\0';
    /* The name in parentheses may hold anything, parentheses too. */
    char *rest = strrchr(text, ')');
    char state;
    int parent;
    int group;
    if (rest == NULL ||
        sscanf(rest + 1,
               " %c %d %d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d "
               "%*d %llu",
               &state, &parent, &group, &ret->born) != 4)
        return false;
    ret->pid = pid;
    ret->parent = parent;
    ret->group = group;
    ret->ended = state == 'Z' || state == 'X';
    return true;
}

static void read_all_locked(void)
{
    DIR *folder = opendir("/proc");
    shared.n = 0;
    shared_begun = weir_now();
    for (struct dirent *item; folder != NULL && (item = readdir(folder)) != NULL;) {
        pid_t pid = (pid_t)strtol(item->d_name, NULL, 10);
        if (pid <= 0)
            continue;
        if (shared.n == shared.room) {
            size_t room = shared.room == 0 ? 256 : 2 * shared.room;
            struct entry *all = realloc(shared.all, room * sizeof(*all));
            if (all == NULL)
                break;
            shared.all = all;
            shared.room = room;
        }
        shared.all[shared.n].member = false;
        shared.n += read_entry(pid, &shared.all[shared.n]);
    }
    if (folder != NULL)
        closedir(folder);
}

static bool has_name(pid_t pid, uint64_t seq)
{
    char path[64];
    char name[64];
    snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
    int size =
        snprintf(name, sizeof(name), "WEIR_JOB=%d.%llu", (int)getpid(), (unsigned long long)seq);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return false;
    char *variable = NULL;
    size_t room = 0;
    bool found = false;
    ssize_t got;
    while (!found && (got = getdelim(&variable, &room, '\0', file)) > 0)
        found = got == size + 1 && memcmp(variable, name, (size_t)size) == 0;
    free(variable);
    fclose(file);
    return found;
}

static bool is_member(const struct list *list, pid_t pid)
{
    for (size_t i = 0; i < list->n; i++)
        if (list->all[i].pid == pid)
            return list->all[i].member;
    return false;
}

/* The members that live, of a list begun at `since` or later. The caller frees it. */
static struct list find_members(pid_t leader, uint64_t seq, int64_t since)
{
    struct list found = {NULL, 0, 0};
    pthread_mutex_lock(&lock);
    if (shared_begun < since)
        read_all_locked();
    found.all = calloc(shared.n + 1, sizeof(*found.all));
    found.n = found.all == NULL ? 0 : shared.n;
    if (found.n > 0)
        memcpy(found.all, shared.all, found.n * sizeof(*found.all));
    pthread_mutex_unlock(&lock);

    pid_t myself = getpid();
    for (size_t i = 0; i < found.n; i++) {
        struct entry *entry = &found.all[i];
        entry->member = entry->pid == leader || entry->group == leader ||
                        (entry->parent == myself && !entry->ended && has_name(entry->pid, seq));
    }
    for (bool more = true; more;) {
        more = false;
        for (size_t i = 0; i < found.n; i++) {
            struct entry *entry = &found.all[i];
            if (entry->member || entry->parent == myself || !is_member(&found, entry->parent))
                continue;
            entry->member = true;
            more = true;
        }
    }
    size_t kept = 0;
    for (size_t i = 0; i < found.n; i++)
        if (found.all[i].member && !found.all[i].ended && found.all[i].pid != leader)
            found.all[kept++] = found.all[i];
    found.n = kept;
    return found;
}

/* A descriptor of this very process, and not of one that got its number since; or -1. */
static int open_entry(const struct entry *entry)
{
    struct entry now;
    int fd = pidfd_open(entry->pid, 0);
    if (fd >= 0 && (!read_entry(entry->pid, &now) || now.born != entry->born || now.ended)) {
        close(fd);
        return -1;
    }
    return fd;
}

static void kill_all(const struct list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        int fd = open_entry(&list->all[i]);
        if (fd < 0)
            continue;
        pidfd_send_signal(fd, SIGKILL, NULL, 0);
        close(fd);
    }
}

void family_kill(pid_t leader, uint64_t seq)
{
    /* Before the leader is killed, while its children are known by it. */
    struct list list = find_members(leader, seq, weir_now());
    kill(-leader, SIGKILL);
    kill_all(&list);
    free(list.all);
}

/* Sleeps until one of them has ended, until `deadline`, or until there is a nudge. */
static void wait_for_one(const struct list *list, int64_t deadline, int nudge)
{
    struct pollfd on[2] = {{.fd = open_entry(&list->all[0]), .events = POLLIN},
                           {.fd = nudge, .events = POLLIN}};
    if (on[0].fd < 0)
        return;
    int64_t left = deadline - weir_now();
    int64_t ms = left <= 0 ? 0 : left / WEIR_MS(1) + 1;
    /* One that has not ended may have left the list: look again now and then. */
    (void)poll(on, 2, ms > 1000 ? 1000 : (int)ms);
    close(on[0].fd);
}

size_t family_wait(pid_t leader, uint64_t seq, int64_t deadline, int nudge)
{
    for (;;) {
        struct list list = find_members(leader, seq, weir_now());
        size_t left = list.n;
        if (left > 0)
            wait_for_one(&list, deadline, nudge);
        free(list.all);
        struct pollfd nudged = {.fd = nudge, .events = POLLIN};
        if (left == 0 || weir_now() >= deadline || poll(&nudged, 1, 0) > 0)
            return left;
    }
}

void family_reap_orphans(void)
{
    while (waitpid(-1, NULL, WNOHANG | __WNOTHREAD) > 0)
        continue;
}
