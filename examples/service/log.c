/* SPDX-License-Identifier: MIT */
/* log.c - lines of JSON on standard error, written by one thread. */
#include "inside.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct log_line {
    struct log_line *next;
    size_t length;
    char text[];
};

static void write_all(const char *text, size_t n)
{
    while (n > 0) {
        ssize_t written = write(STDERR_FILENO, text, n);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return; /* nobody is left to be told */
        text += written;
        n -= (size_t)written;
    }
}

static void write_late(struct log *log)
{
    pthread_mutex_lock(&log->lock);
    struct log_line *line = log->late;
    log->late = NULL;
    log->late_end = &log->late;
    pthread_mutex_unlock(&log->lock);
    while (line != NULL) {
        struct log_line *next = line->next;
        write_all(line->text, line->length);
        free(line);
        line = next;
    }
}

static void *write_lines(void *arg)
{
    struct log *log = arg;
    struct log_line *line;
    while (weir_channel_recv(log->channel, &line) == 0) {
        write_all(line->text, line->length);
        free(line);
        write_late(log);
    }
    write_late(log);
    return NULL;
}

int log_start(struct log *log, size_t capacity)
{
    log->late_end = &log->late;
    pthread_mutex_init(&log->lock, NULL);
    int err = weir_channel_new(&log->channel, sizeof(struct log_line *), capacity);
    if (err == 0)
        err = -pthread_create(&log->thread, NULL, write_lines, log);
    if (err != 0) {
        weir_channel_free(log->channel);
        log->channel = NULL;
    }
    return err;
}

void log_stop(struct log *log)
{
    if (log->channel == NULL)
        return;
    weir_channel_close(log->channel);
    pthread_join(log->thread, NULL);
    weir_channel_free(log->channel);
    log->channel = NULL;
    pthread_mutex_destroy(&log->lock);
}

static void put_time(struct text *text)
{
    struct timespec now;
    struct tm parts;
    char date[32];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &parts);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &parts);
    text_format(text, "{\"time\":\"%s.%03ldZ\"", date, now.tv_nsec / 1000000);
}

/* The line as the channel wants it; NULL: no memory. */
static struct log_line *make_line(struct text *text)
{
    struct log_line *line = text->failed ? NULL : malloc(sizeof *line + text->length);
    if (line != NULL) {
        line->next = NULL;
        line->length = text->length;
        memcpy(line->text, text->data, text->length);
    }
    free(text->data);
    return line;
}

void log_request(struct log *log, const struct request *request, int status)
{
    struct text text = {0};
    int64_t now = weir_now();
    put_time(&text);
    text_format(&text, ",\"id\":\"%s\",\"client\":\"%s\",\"method\":", request->id,
                request->client);
    text_json(&text, request->method);
    text_put(&text, ",\"path\":");
    text_json(&text, request->path);
    text_format(&text, ",\"status\":%d,\"body\":%zu,\"total_us\":%lld", status, request->body_size,
                (long long)(now - request->arrived) / 1000);
    /* After a time-out a worker may still be at it, and its times are its own. */
    if (request->queued != 0 && atomic_load(&request->state) == DONE && request->started != 0)
        text_format(&text, ",\"wait_us\":%lld,\"run_us\":%lld",
                    (long long)(request->started - request->queued) / 1000,
                    (long long)(request->ended - request->started) / 1000);
    text_put(&text, "}\n");
    struct log_line *line = make_line(&text);
    if (line == NULL || weir_channel_try_send(log->channel, &line) != 0) {
        free(line);
        atomic_fetch_add_explicit(&log->dropped, 1, memory_order_relaxed);
    }
}

void log_error(struct log *log, const char *format, ...)
{
    char message[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    struct text text = {0};
    put_time(&text);
    text_put(&text, ",\"message\":");
    text_json(&text, message);
    text_put(&text, "}\n");
    if (log == NULL || log->channel == NULL) {
        if (!text.failed)
            write_all(text.data, text.length);
        free(text.data);
        return;
    }
    struct log_line *line = make_line(&text);
    if (line == NULL) {
        write_all(message, strlen(message));
    } else if (weir_channel_try_send(log->channel, &line) != 0) {
        pthread_mutex_lock(&log->lock);
        *log->late_end = line;
        log->late_end = &line->next;
        pthread_mutex_unlock(&log->lock);
    }
}
