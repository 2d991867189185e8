/* SPDX-License-Identifier: MIT */
/* trace.c - writes trace events as JSON, in the form that is a list: what reads it takes a list
 * without its end, so that the file of a run that was killed opens, too.
 */
#include "trace.h"

#include "complain.h"
#include "json_text.h"
#include "log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define NAME_SIZE ((size_t)200)

int trace_open(struct trace *trace, const char *path)
{
    *trace = (struct trace){.fd = -1, .lock = PTHREAD_MUTEX_INITIALIZER};
    if (path == NULL)
        return 0;
    trace->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (trace->fd >= 0)
        return 0;
    int err = -errno;
    complain("--trace: %s: %s", path, strerror(-err));
    return err;
}

static void begin_event_locked(struct trace *trace, struct buffer *event)
{
    buffer_append_text(event, trace->begun ? ",\n" : "[\n");
    trace->begun = true;
}

static void name_lanes_locked(struct trace *trace, struct buffer *event, unsigned slot)
{
    while (trace->lanes < slot) {
        trace->lanes++;
        begin_event_locked(trace, event);
        buffer_printf(event,
                      "{\"ph\":\"M\",\"name\":\"thread_name\",\"pid\":%d,\"tid\":%u,"
                      "\"args\":{\"name\":\"slot %u\"}}",
                      (int)getpid(), trace->lanes, trace->lanes);
    }
}

int trace_add(struct trace *trace, const struct job *job, unsigned slot, struct bytes command)
{
    const struct result *result = &job->result;
    struct buffer event = {0};
    if (trace->fd < 0)
        return 0;
    if (command.size > NAME_SIZE)
        command.size = NAME_SIZE;
    pthread_mutex_lock(&trace->lock);
    name_lanes_locked(trace, &event, slot);
    begin_event_locked(trace, &event);
    buffer_append_text(&event, "{\"ph\":\"X\",\"cat\":\"job\",\"name\":");
    json_append(&event, command);
    buffer_printf(&event,
                  ",\"pid\":%d,\"tid\":%u,\"ts\":%lld,\"dur\":%lld,\"args\":{\"seq\":%llu,"
                  "\"attempt\":%u,\"state\":\"%s\",\"status\":%d,\"signal\":%d}}",
                  (int)getpid(), slot, (long long)result->start * 1000,
                  (long long)(result->run_time / 1000), (unsigned long long)job->seq, job->attempt,
                  log_state(result), result->exit_code, result->signal);
    int err = event.failed ? -ENOMEM : write_all(trace->fd, event.data, event.size);
    pthread_mutex_unlock(&trace->lock);
    buffer_free(&event);
    return err;
}

int trace_close(struct trace *trace)
{
    if (trace->fd < 0)
        return 0;
    const char *end = trace->begun ? "\n]\n" : "[]\n";
    int err = write_all(trace->fd, end, strlen(end));
    close(trace->fd);
    trace->fd = -1;
    return err;
}
