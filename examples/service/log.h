/* SPDX-License-Identifier: MIT */
/* log.h - lines of JSON on standard error, written by one thread.
 *
 * The lines of requests go through a channel of that many places; when it is full they are dropped
 * and counted, so that no request ever waits for whoever reads the log. Those of errors are kept in
 * a list when the channel is full, and are never dropped. */
#ifndef LOG_H
#define LOG_H

#include <pthread.h>
#include <stdatomic.h>

#include <weir.h>

struct log_line;

struct log {
    weir_channel *channel; /* of struct log_line * */
    pthread_t thread;
    pthread_mutex_t lock;
    struct log_line *late, **late_end; /* under `lock`: errors that found the channel full */
    atomic_uint_fast64_t dropped;
};

int log_start(struct log *log, size_t capacity);

/* Writes what is there, and ends the thread. */
void log_stop(struct log *log);

struct request;

/* A line for a request that is over. Never blocks. */
void log_request(struct log *log, const struct request *request, int status);

/* What people should know of. Never blocks; `log` NULL, or without a thread: written at once. */
void log_error(struct log *log, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
