/* SPDX-License-Identifier: MIT */
/* results.c - DIR/SEQ/{command,stdout,stderr,status}. A job's output is kept in these files instead
 * of temporary ones, and printed from there; `status` comes last, so that a job whose status is
 * there has all the rest.
 */
#include "results.h"

#include "complain.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The folder, and those that it is in. */
static int make_folders(const char *path)
{
    char part[4096];
    if (strlen(path) >= sizeof(part))
        return -ENAMETOOLONG;
    for (size_t i = 1; i <= strlen(path); i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0777) < 0 && errno != EEXIST)
            return -errno;
    }
    return 0;
}

int results_prepare(const struct settings *settings)
{
    struct stat about;
    if (settings->results == NULL)
        return 0;
    int err = make_folders(settings->results);
    if (err != 0) {
        complain("--results: %s: %s", settings->results, strerror(-err));
        return err;
    }
    if (stat(settings->results, &about) < 0 || !S_ISDIR(about.st_mode)) {
        complain("--results: %s is not a folder", settings->results);
        return -ENOTDIR;
    }
    return 0;
}

static int open_result(const struct run *run, const struct job *job, const char *name)
{
    char path[4096];
    int size = snprintf(path, sizeof(path), "%s/%llu%s%s", run->settings->results,
                        (unsigned long long)job->seq, *name == '\0' ? "" : "/", name);
    if (size < 0 || (size_t)size >= sizeof(path))
        return -ENAMETOOLONG;
    if (*name == '\0')
        return mkdir(path, 0777) < 0 && errno != EEXIST ? -errno : 0;
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    return fd < 0 ? -errno : fd;
}

static int write_result(const struct run *run, const struct job *job, const char *name,
                        struct bytes text)
{
    int fd = open_result(run, job, name);
    if (fd < 0)
        return fd;
    int err = write_all(fd, text.data, text.size);
    if (err == 0)
        err = write_all(fd, "\n", 1);
    return close(fd) < 0 ? -errno : err;
}

/* Of an earlier run, or attempt: it would say that what is now begun has ended. */
static int remove_status(const struct run *run, const struct job *job)
{
    char path[4096];
    int size = snprintf(path, sizeof(path), "%s/%llu/status", run->settings->results,
                        (unsigned long long)job->seq);
    if (size < 0 || (size_t)size >= sizeof(path))
        return -ENAMETOOLONG;
    return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

int results_open(struct run *run, struct slot *slot, struct job *job)
{
    static const char *const names[] = {"stdout", "stderr"};
    slot->results[0] = slot->results[1] = -1;
    if (run->settings->results == NULL)
        return 0;
    int err = open_result(run, job, "");
    if (err == 0)
        err = remove_status(run, job);
    if (err == 0)
        err = write_result(run, job, "command", (struct bytes){slot->shown.data, slot->shown.size});
    for (int i = 0; i < 2 && err == 0; i++) {
        int fd = open_result(run, job, names[i]);
        if (fd < 0)
            err = fd;
        else if (run->settings->output == OUTPUT_GROUP)
            capture_use_file(i == 0 ? &slot->out : &slot->err, fd);
        else
            slot->results[i] = fd;
    }
    if (err == 0)
        return 0;
    complain("--results: %s/%llu: %s", run->settings->results, (unsigned long long)job->seq,
             strerror(-err));
    stop_to(&run->stop, STOP_SOON, STOP_OUTPUT, 0);
    return err;
}

void results_tee(struct slot *slot, bool is_out, const char *data, size_t size)
{
    int *fd = &slot->results[is_out ? 0 : 1];
    if (*fd < 0)
        return;
    int err = write_all(*fd, data, size);
    if (err == 0)
        return;
    complain("--results: %s", strerror(-err));
    close(*fd);
    *fd = -1;
}

void results_close(struct run *run, struct slot *slot, struct job *job)
{
    char status[32];
    const struct result *result = &job->result;
    if (run->settings->results == NULL)
        return;
    for (int i = 0; i < 2; i++)
        if (slot->results[i] >= 0)
            close(slot->results[i]);
    if (result->state == JOB_NOT_RUN || result->lost)
        return;
    if (result->state == JOB_TIMED_OUT)
        snprintf(status, sizeof(status), "timeout");
    else if (result->signal != 0)
        snprintf(status, sizeof(status), "signal %d", result->signal);
    else
        snprintf(status, sizeof(status), "%d", result->exit_code);
    int err = write_result(run, job, "status", (struct bytes){status, strlen(status)});
    if (err != 0) {
        complain("--results: %s/%llu: %s", run->settings->results, (unsigned long long)job->seq,
                 strerror(-err));
        stop_to(&run->stop, STOP_SOON, STOP_OUTPUT, 0);
    }
}
