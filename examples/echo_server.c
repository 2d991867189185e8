/* SPDX-License-Identifier: MIT */
/* echo_server.c - a server with thousands of connections, two workers, and no event loop.
 *
 * Each connection is a task that starts when its descriptor is ready, does what can be done without
 * waiting, and is submitted again from its on_done. A client that is silent for a minute is left.
 * The client is a child process. With an argument there is none, and the port is printed. */
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "weir.h"

enum { CONNECTIONS = 10000, SPARE = 64 };

struct connection {
    weir_task task;
    weir_task_fn *fn;
    int fd;
    size_t length, sent; /* of what is to be sent back */
    char bytes[512];
};

static weir_pool *pool;
static struct connection listener, all[CONNECTIONS], *unused[CONNECTIONS];
static unsigned unused_count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* of the unused ones */

static struct connection *take(void)
{
    (void)pthread_mutex_lock(&lock);
    struct connection *c = unused_count > 0 ? unused[--unused_count] : NULL;
    (void)pthread_mutex_unlock(&lock);
    if (c != NULL) /* its on_done may not quite have returned; -EINVAL: it was never used */
        (void)!weir_task_wait(&c->task);
    return c;
}

static void give(struct connection *c)
{
    (void)pthread_mutex_lock(&lock);
    unused[unused_count++] = c;
    (void)pthread_mutex_unlock(&lock);
}

static void wait_again(void *arg, weir_state end, int status)
{
    (void)status;
    struct connection *c = arg;
    unsigned events = c->sent < c->length ? WEIR_WRITABLE : WEIR_READABLE;
    int64_t deadline = c != &listener ? weir_after(WEIR_S(60)) : WEIR_FOREVER;
    if (end == WEIR_TASK_DONE &&
        weir_pool_submit_when_until(pool, &c->task, c->fd, events, c->fn, c,
                                    WEIR_TASK_OPTIONS(.on_done = wait_again), NULL, deadline) == 0)
        return; /* another thread may have it by now */
    (void)close(c->fd);
    if (c != &listener)
        give(c);
}

static int echo(weir_context *ctx, void *arg)
{
    struct connection *c = arg;
    (void)ctx;
    if (c->sent == c->length) {
        ssize_t n = recv(c->fd, c->bytes, sizeof c->bytes, MSG_DONTWAIT);
        if (n <= 0)
            return n < 0 && errno == EAGAIN ? 0 : -EPIPE;
        c->length = (size_t)n;
        c->sent = 0;
    }
    ssize_t n = send(c->fd, c->bytes + c->sent, c->length - c->sent, MSG_DONTWAIT | MSG_NOSIGNAL);
    c->sent += n > 0 ? (size_t)n : 0;
    return n >= 0 || errno == EAGAIN ? 0 : -errno; /* what is left, or comes, is for another run */
}

static int accept_all(weir_context *ctx, void *arg)
{
    (void)arg;
    int fd = -1;
    while (weir_context_err(ctx) == 0 && (fd = accept(listener.fd, NULL, NULL)) >= 0) {
        struct connection *c = take();
        if (c == NULL)
            return close(fd);
        c->fn = echo, c->fd = fd, c->length = c->sent = 0;
        wait_again(c, WEIR_TASK_DONE, 0);
    }
    if (fd < 0 && errno != EAGAIN) /* no descriptor is left: the listener stays ready */
        (void)!weir_sleep_until(ctx, weir_after(WEIR_MS(10)));
    return 0;
}

static int talk(const struct sockaddr_in *address, unsigned connections)
{
    static int fds[CONNECTIONS];
    char line[32], answer[32];
    (void)close(listener.fd);
    for (unsigned i = 0; i < connections; i++)
        if ((fds[i] = socket(AF_INET, SOCK_STREAM, 0)) < 0 ||
            connect(fds[i], (const struct sockaddr *)address, sizeof *address) != 0)
            return 1;
    for (unsigned i = 0; i < connections; i++) {
        ssize_t n = snprintf(line, sizeof line, "hello from %u\n", i);
        if (write(fds[i], line, (size_t)n) != n ||
            recv(fds[i], answer, (size_t)n, MSG_WAITALL) != n || memcmp(line, answer, (size_t)n))
            return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    (void)argv;
    struct rlimit limit = {0};
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    (void)setrlimit(RLIMIT_NOFILE, &(struct rlimit){limit.rlim_max, limit.rlim_max});
    unsigned connections = limit.rlim_max < CONNECTIONS + SPARE ? CONNECTIONS / 20 : CONNECTIONS;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    listener.fn = accept_all;
    listener.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (bind(listener.fd, (struct sockaddr *)&address, length) != 0 ||
        listen(listener.fd, SOMAXCONN) != 0 ||
        getsockname(listener.fd, (struct sockaddr *)&address, &length) != 0)
        return 1;
    pid_t client = argc > 1 ? -1 : fork(); /* before there are threads */
    if (client == 0)
        _exit(talk(&address, connections));
    if ((client < 0 && argc == 1) ||
        weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 2, .capacity = CONNECTIONS,
                                               .descriptors = connections + 1)) != 0)
        return 1;
    for (unsigned i = 0; i < connections; i++)
        unused[unused_count++] = &all[i];
    wait_again(&listener, WEIR_TASK_DONE, 0);
    if (argc > 1)
        return printf("port %u\n", ntohs(address.sin_port)) < 0 || fflush(stdout) != 0 || pause();
    int status = -1;
    (void)waitpid(client, &status, 0);
    puts(status == 0 ? "each connection has got its answer" : "something is missing");
    weir_pool_free(pool); /* what still waits ends as CANCELLED, and its on_done closes it */
    return status != 0;
}
