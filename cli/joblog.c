/* SPDX-License-Identifier: MIT */
/* joblog.c - writes and reads the log of jobs.
 *
 * A row is one line, whose last column is the command; line ends in it are written as bytes of
 * zero, which no command can hold, as GNU parallel does. What a row says is true once its line end
 * is there: a row without one was being written when weir was killed, and does not count.
 */
#include "joblog.h"

#include "complain.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define COLUMNS 9

static const char header[] =
    "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n";

static bool read_row(struct bytes line, struct row *ret)
{
    const char *columns[COLUMNS];
    size_t n = 0;
    const char *end = line.data + line.size;
    for (const char *at = line.data; n < COLUMNS && at != NULL && at <= end;) {
        columns[n++] = at;
        at = memchr(at, '\t', (size_t)(end - at));
        at = at == NULL ? NULL : at + 1;
    }
    if (n < COLUMNS || columns[0][0] < '0' || columns[0][0] > '9')
        return false;
    ret->seq = strtoull(columns[0], NULL, 10);
    ret->ok = memcmp(columns[6], "0\t0\t", 4) == 0;
    ret->command = (struct bytes){columns[8], (size_t)(end - columns[8])};
    return true;
}

/* Is this the first line of a log, or what a kill has left of it? */
static bool is_header(const char *line, size_t size)
{
    return size <= sizeof(header) - 1 && memcmp(line, header, size) == 0;
}

/* Gives all whole rows to `take`. Returns where the last of them ends, or a negative errno. */
static off_t read_rows(FILE *file, int (*take)(void *arg, const struct row *row), void *arg)
{
    char *line = NULL;
    size_t room = 0;
    ssize_t size;
    off_t end = 0;
    int err = 0;
    while (err == 0 && (size = getline(&line, &room, file)) > 0) {
        struct row row;
        if (end == 0 && !is_header(line, (size_t)size))
            err = -EBADMSG;
        if (err != 0 || line[size - 1] != '\n')
            break;
        end += size;
        for (ssize_t i = 0; i < size - 1; i++)
            if (line[i] == '\0')
                line[i] = '\n';
        if (read_row((struct bytes){line, (size_t)size - 1}, &row))
            err = take(arg, &row);
    }
    if (err == 0 && ferror(file))
        err = -EIO;
    free(line);
    return err != 0 ? err : end;
}

static int read_and_repair(struct joblog *log, const char *path,
                           int (*take)(void *arg, const struct row *row), void *arg)
{
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return -errno;
    off_t end = read_rows(file, take, arg);
    fclose(file);
    if (end < 0)
        return (int)end;
    return ftruncate(log->fd, end) < 0 ? -errno : (int)(end == 0);
}

static int open_log(struct joblog *log, const struct settings *settings,
                    int (*take)(void *arg, const struct row *row), void *arg)
{
    bool again = settings->resume != RESUME_NO || settings->retry_failed;
    struct stat about;
    int create = settings->retry_failed ? 0 : O_CREAT;
    log->fd = open(settings->joblog, O_RDWR | O_APPEND | O_CLOEXEC | create, 0666);
    if (log->fd < 0 || fstat(log->fd, &about) < 0)
        return -errno;
    bool regular = S_ISREG(about.st_mode);
    if (again && !regular)
        return -ESPIPE;
    /* Two runs with one log would each take the other's rows for their own. */
    if (regular && flock(log->fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
        return -EBUSY;
    int empty = 1;
    if (again)
        empty = read_and_repair(log, settings->joblog, take, arg);
    else if (regular && ftruncate(log->fd, 0) < 0)
        return -errno;
    if (empty < 0)
        return empty;
    return empty ? write_all(log->fd, header, sizeof(header) - 1) : 0;
}

int joblog_open(struct joblog *log, const struct settings *settings,
                int (*take)(void *arg, const struct row *row), void *arg)
{
    log->fd = -1;
    log->torn = false;
    pthread_mutex_init(&log->lock, NULL);
    if (settings->joblog == NULL)
        return 0;
    int err = open_log(log, settings, take, arg);
    if (err == -EBUSY)
        complain("--joblog: another run is writing %s", settings->joblog);
    else if (err == -EBADMSG)
        complain("--joblog: %s is no log of jobs, and is left as it is", settings->joblog);
    else if (err != 0)
        complain("--joblog: %s: %s", settings->joblog, strerror(-err));
    if (err != 0)
        joblog_close(log);
    return err;
}

void joblog_close(struct joblog *log)
{
    if (log->fd >= 0)
        close(log->fd);
    log->fd = -1;
}

int joblog_add(struct joblog *log, const struct job *job, struct bytes command)
{
    const struct result *result = &job->result;
    struct buffer row = {0};
    if (log->fd < 0)
        return 0;
    bool timed_out = result->state == JOB_TIMED_OUT;
    int64_t run_time = result->run_time / 1000000;
    buffer_printf(&row, "%llu\t:\t%lld.%03d\t%6lld.%03d\t0\t%llu\t%d\t%d\t",
                  (unsigned long long)job->log_seq, (long long)(result->start / 1000),
                  (int)(result->start % 1000), (long long)(run_time / 1000), (int)(run_time % 1000),
                  (unsigned long long)result->bytes, timed_out ? -1 : result->exit_code,
                  result->signal);
    size_t begin = row.size;
    buffer_append(&row, command.data, command.size);
    for (size_t i = begin; i < row.size; i++)
        if (row.data[i] == '\n')
            row.data[i] = '\0';
    buffer_append(&row, "\n", 1);
    int err = -ENOMEM;
    if (!row.failed) {
        /* One write: it is all there, or cut off at the end of the file, whatever happens. */
        pthread_mutex_lock(&log->lock);
        ssize_t size = log->torn ? 0 : write(log->fd, row.data, row.size);
        err = size < 0 ? -errno : (size_t)size < row.size ? -ENOSPC : 0;
        log->torn |= size > 0 && err != 0;
        pthread_mutex_unlock(&log->lock);
    }
    buffer_free(&row);
    return err;
}
