/* SPDX-License-Identifier: MIT */
/* log.c - the log of attempts, each one write to a file that is only appended to. */
#include "log.h"

#include "complain.h"
#include "json_text.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int log_open(struct log *log, const char *path)
{
    log->fd = -1;
    if (path == NULL)
        return 0;
    log->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0666);
    if (log->fd >= 0)
        return 0;
    int err = -errno;
    complain("--log: %s: %s", path, strerror(-err));
    return err;
}

void log_close(struct log *log)
{
    if (log->fd >= 0)
        close(log->fd);
    log->fd = -1;
}

const char *log_state(const struct result *result)
{
    switch (result->state) {
    case JOB_OK:
        return "ok";
    case JOB_FAILED:
        return result->started ? "failed" : "not started";
    case JOB_SIGNALLED:
        return "signal";
    case JOB_TIMED_OUT:
        return "timeout";
    case JOB_NOT_RUN:
        break;
    }
    return "stopped";
}

static double seconds(struct timeval time)
{
    return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

int log_add(struct log *log, const struct job *job, unsigned slot, struct bytes command)
{
    const struct result *result = &job->result;
    struct buffer line = {0};
    if (log->fd < 0)
        return 0;
    buffer_printf(&line, "{\"seq\":%llu,\"slot\":%u,\"attempt\":%u,\"command\":",
                  (unsigned long long)job->seq, slot, job->attempt);
    json_append(&line, command);
    if (job->id != NULL) {
        buffer_append_text(&line, ",\"id\":");
        json_append(&line, (struct bytes){job->id, strlen(job->id)});
    }
    buffer_printf(&line, ",\"queued\":%lld,\"start\":%lld,\"end\":%lld,\"status\":%d,\"signal\":%d",
                  (long long)result->queued, (long long)result->start, (long long)result->end,
                  result->exit_code, result->signal);
    buffer_printf(&line, ",\"state\":\"%s\",\"bytes\":%llu,\"max_rss\":%lld", log_state(result),
                  (unsigned long long)result->bytes, (long long)result->use.ru_maxrss * 1024);
    buffer_printf(&line, ",\"user\":%.6f,\"system\":%.6f}\n", seconds(result->use.ru_utime),
                  seconds(result->use.ru_stime));
    int err = line.failed ? -ENOMEM : write_all(log->fd, line.data, line.size);
    buffer_free(&line);
    return err;
}
