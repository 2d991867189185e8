/* SPDX-License-Identifier: MIT */
/* handle.c - opens and closes a queue. */
#include "handle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/options.h"

#define FIRST_OPTIONS_SIZE sizeof(weir_queue_options)
#define LIMIT 1000000

int64_t weir__to_ms(int64_t ns)
{
    return ns / 1000000 + (ns % 1000000 > 0);
}

void weir__random_word(char ret[17])
{
    unsigned char bytes[8];
    if (getrandom(bytes, sizeof bytes, 0) != (ssize_t)sizeof bytes) {
        /* Only a kernel older than its C library has none. */
        int64_t now = weir_now() ^ ((int64_t)getpid() << 40);
        memcpy(bytes, &now, sizeof bytes);
    }
    for (size_t i = 0; i < sizeof bytes; i++) {
        ret[2 * i] = (char)('a' + (bytes[i] & 15));
        ret[2 * i + 1] = (char)('a' + (bytes[i] >> 4));
    }
    ret[16] = '\0';
}

static int settle(weir_queue_options *options, const weir_queue_options *given,
                  struct failure *failure)
{
    int err = read_options(options, sizeof *options, FIRST_OPTIONS_SIZE, given);
    if (err < 0)
        return weir__fail(failure, err, "%s", weir_strerror(err));
    if (options->connect_timeout < 0 || options->reply_timeout < 0)
        return weir__fail(failure, -EINVAL, "a time-out is negative");
    if (options->connect_timeout == 0)
        options->connect_timeout = WEIR_S(5);
    if (options->reply_timeout == 0)
        options->reply_timeout = WEIR_S(10);
    if (options->patience == 0)
        options->patience = WEIR_S(5);
    if (options->patience < 0)
        options->patience = 0;
    if (options->limit == 0)
        options->limit = LIMIT;
    if (options->limit > INT64_MAX)
        options->limit = INT64_MAX;
    return 0;
}

static int open_queue(weir_queue *queue, const char *url, const weir_queue_options *options,
                      struct failure *failure)
{
    int err = settle(&queue->options, options, failure);
    if (err < 0)
        return err;
    queue->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (queue->wake < 0)
        return weir__fail(failure, -errno, "no file descriptor: %s", weir_strerror(-errno));
    err = weir__address_parse(&queue->address, url, queue->options.password, failure);
    if (err == 0)
        err = weir_semaphore_init(&queue->turn, 1);
    if (err < 0) {
        close(queue->wake);
        return err;
    }
    queue->options.password = NULL; /* the address has a copy */
    queue->process = getpid();
    pthread_mutex_init(&queue->lock, NULL);
    weir__wire_init(&queue->wire, &queue->address, &queue->options);
    weir__random_word(queue->client);
    return 0;
}

int weir_queue_open(weir_queue **ret, const char *url, const weir_queue_options *options)
{
    if (ret == NULL || url == NULL)
        return weir__fail_code(NULL, -EINVAL);
    weir_queue *queue = calloc(1, sizeof *queue);
    if (queue == NULL)
        return weir__fail_code(NULL, -ENOMEM);
    struct failure failure;
    int err = open_queue(queue, url, options, &failure);
    if (err < 0) {
        free(queue);
        return weir__fail_queue(NULL, &failure);
    }
    *ret = queue;
    return 0;
}

void weir_queue_close(weir_queue *queue)
{
    if (queue == NULL)
        return;
    if (queue->process == getpid()) {
        pthread_mutex_lock(&queue->lock);
        unsigned users = queue->users;
        pthread_mutex_unlock(&queue->lock);
        if (users > 0) {
            fputs("weir: weir_queue_close: a call on the queue is under way\n", stderr);
            abort();
        }
        weir_semaphore_destroy(&queue->turn);
        pthread_mutex_destroy(&queue->lock);
    }
    weir__wire_destroy(&queue->wire);
    close(queue->wake);
    weir__address_destroy(&queue->address);
    free(queue);
}

int weir__queue_enter(weir_queue *queue)
{
    if (queue == NULL)
        return weir__fail_code(NULL, -EINVAL);
    if (queue->process != getpid())
        return weir__fail_code(queue, -ESTALE);
    pthread_mutex_lock(&queue->lock);
    queue->users++;
    pthread_mutex_unlock(&queue->lock);
    return 0;
}

void weir__queue_leave(weir_queue *queue)
{
    pthread_mutex_lock(&queue->lock);
    queue->users--;
    pthread_mutex_unlock(&queue->lock);
}
