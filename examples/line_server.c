/* SPDX-License-Identifier: MIT */
/* line_server.c - a complete server on epoll: one thread does input and output, a pool computes.
 *
 * A client sends a number on a line, and gets how many primes there are up to it; for a question
 * mark it gets how many requests are under way. While one of its own is, no more is read from it:
 * what it sends meanwhile waits in the socket.
 *
 *   refusal      while all places are taken the answer is "busy"
 *   disconnect   the task of a client that has closed its side is cancelled; the memory of both
 *                goes when the task is reaped
 *   shutdown     after SIGINT or SIGTERM no client and no request is accepted; what still runs
 *                after the grace time is cancelled too. A second signal ends the program at once
 *
 * Usage: line_server [PLACES [GRACE]]     It prints its port. GRACE is in milliseconds. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <weir.h>

struct client {
    weir_task task; /* first: its address is the client's */
    struct client *next, **link;
    int fd;                           /* -1: gone */
    int under_way;                    /* the task was submitted, and not reaped yet */
    unsigned long long limit, primes; /* limit: 0 for a question mark */
    size_t n;
    char text[64]; /* what was read and not yet answered */
};

struct server {
    weir_pool *pool;
    weir_completion *completion;
    weir_context *stop;
    int epoll, listener, stopped;
    struct client *clients, *gone; /* the latter are freed once no event can name them */
    unsigned under_way;
    int stopping;
    int64_t grace, cancel_at;
};

/* On a worker: slow on purpose, but it can be told to stop. */
static int count_primes(weir_context *ctx, void *arg)
{
    struct client *client = arg;
    for (unsigned long long n = 2; n <= client->limit; n++) {
        unsigned long long d = 2;
        while (d * d <= n && n % d != 0)
            d++;
        client->primes += d * d > n;
        if (n % 256 == 0 && weir_context_err(ctx) != 0)
            return weir_context_err(ctx);
    }
    return 0;
}

static int watch(const struct server *server, int how, int fd, uint32_t events, void *what)
{
    struct epoll_event event = {.events = events, .data.ptr = what};
    return epoll_ctl(server->epoll, how, fd, &event) == 0 ? 0 : -errno;
}

/* Clients. */

static void move_to(struct client **list, struct client *client)
{
    if (client->link != NULL && (*client->link = client->next) != NULL)
        client->next->link = client->link;
    client->link = list;
    client->next = *list;
    if (client->next != NULL)
        client->next->link = &client->next;
    *list = client;
}

static void drop(struct server *server, struct client *client)
{
    if (client->fd >= 0)
        (void)close(client->fd); /* which takes it out of the epoll set, too */
    client->fd = -1;
    if (client->under_way)
        (void)weir_task_cancel(&client->task); /* it comes back by the completion all the same */
    else
        move_to(&server->gone, client);
}

/* Short answers fit into the socket; a client that reads none of them is dropped. */
static void answer(struct server *server, struct client *client, const char *text)
{
    size_t n = strlen(text);
    if (send(client->fd, text, n, MSG_NOSIGNAL | MSG_DONTWAIT) != (ssize_t)n)
        drop(server, client);
}

static void answer_number(struct server *server, struct client *client, unsigned long long n,
                          const char *what)
{
    char text[48];
    (void)snprintf(text, sizeof text, "%llu %s\n", n, what);
    answer(server, client, text);
}

/* Takes the first line out of what was read. */
static int next_request(struct client *client)
{
    char *end = memchr(client->text, '\n', client->n);
    if (end == NULL)
        return 0;
    *end++ = '\0';
    client->limit = strtoull(client->text, NULL, 10);
    client->primes = 0;
    client->n -= (size_t)(end - client->text);
    memmove(client->text, end, client->n);
    return 1;
}

/* Submits the next request, if there is one, and reads on if not. */
static void serve_client(struct server *server, struct client *client)
{
    while (client->fd >= 0 && next_request(client)) {
        if (client->limit == 0) {
            answer_number(server, client, server->under_way, "under way");
            continue;
        }
        int err = weir_pool_try_submit_task(server->pool, &client->task, count_primes, client,
                                            WEIR_TASK_OPTIONS(.completion = server->completion));
        if (err == 0) {
            client->under_way = 1;
            server->under_way++;
            (void)watch(server, EPOLL_CTL_MOD, client->fd, EPOLLRDHUP, client);
            return;
        }
        answer(server, client, err == -ENOBUFS || err == -EAGAIN ? "busy\n" : "error\n");
    }
    if (client->fd >= 0)
        (void)watch(server, EPOLL_CTL_MOD, client->fd, EPOLLIN | EPOLLRDHUP, client);
}

static void on_client(struct server *server, struct client *client, uint32_t events)
{
    if (client->fd < 0)
        return; /* dropped by an event before this one */
    ssize_t n = 0;
    if ((events & EPOLLIN) != 0)
        n = recv(client->fd, client->text + client->n, sizeof client->text - client->n, 0);
    if (n <= 0) {
        drop(server, client); /* it has gone, or sends a line that is too long */
        return;
    }
    client->n += (size_t)n;
    serve_client(server, client);
}

static void on_listener(struct server *server)
{
    int fd = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    struct client *client = calloc(1, sizeof *client);
    if (client == NULL || watch(server, EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLRDHUP, client) != 0) {
        free(client);
        (void)close(fd);
        return;
    }
    client->fd = fd;
    move_to(&server->clients, client);
}

/* Results. */

static void on_completion(struct server *server)
{
    weir_task *over[16];
    size_t n = weir_completion_reap(server->completion, over, 16);
    for (size_t i = 0; i < n; i++) {
        struct client *client = (struct client *)over[i];
        client->under_way = 0;
        server->under_way--;
        if (client->fd >= 0 && weir_task_status(&client->task) == 0)
            answer_number(server, client, client->primes, "primes");
        else if (client->fd >= 0)
            answer(server, client, "cancelled\n");
        if (client->fd < 0 || server->stopping)
            drop(server, client);
        else
            serve_client(server, client);
    }
}

/* Stopping. */

static void wake(void *fd)
{
    (void)eventfd_write(*(int *)fd, 1);
}

static void on_stop(struct server *server)
{
    server->stopping = 1;
    server->cancel_at = weir_after(server->grace);
    (void)watch(server, EPOLL_CTL_DEL, server->stopped, 0, NULL);
    (void)close(server->listener);
    server->listener = -1;
    for (struct client *client = server->clients, *next; client != NULL; client = next) {
        next = client->next;
        if (!client->under_way)
            drop(server, client);
    }
}

/* After a batch of events, of which one may have named a client that another has dropped. */
static void bury(struct server *server)
{
    while (server->gone != NULL) {
        struct client *client = server->gone;
        server->gone = client->next;
        free(client);
    }
}

static int serve(struct server *server)
{
    while (!server->stopping || server->under_way > 0) {
        struct epoll_event events[16];
        int n = epoll_wait(server->epoll, events, 16, weir_poll_timeout(server->cancel_at));
        if (n < 0 && errno != EINTR)
            return -errno;
        for (int i = 0; i < n; i++) {
            void *what = events[i].data.ptr;
            if (what == &server->listener)
                on_listener(server);
            else if (what == &server->stopped)
                on_stop(server);
            else if (what == server->completion)
                on_completion(server);
            else
                on_client(server, what, events[i].events);
        }
        bury(server);
        if (server->cancel_at <= weir_now()) { /* never waits: both deadlines are in the past */
            (void)!weir_pool_shutdown(server->pool, 0, 0, NULL);
            server->cancel_at = WEIR_FOREVER;
        }
    }
    return 0;
}

/* Beginning and end. */

static int listen_somewhere(struct server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (server->listener < 0 || bind(server->listener, (struct sockaddr *)&address, size) != 0 ||
        listen(server->listener, SOMAXCONN) != 0 ||
        getsockname(server->listener, (struct sockaddr *)&address, &size) != 0)
        return -errno;
    printf("%d\n", ntohs(address.sin_port));
    return fflush(stdout) == 0 ? 0 : -errno;
}

static int run(struct server *server)
{
    weir_context_hook hook = WEIR_CONTEXT_HOOK_INIT;
    server->epoll = epoll_create1(EPOLL_CLOEXEC);
    server->stopped = eventfd(0, EFD_CLOEXEC);
    if (server->epoll < 0 || server->stopped < 0)
        return -errno;
    int err = weir_context_on_done(server->stop, &hook, wake, &server->stopped);
    if (err != 0)
        return err;
    if ((err = listen_somewhere(server)) == 0 &&
        (err = watch(server, EPOLL_CTL_ADD, server->listener, EPOLLIN, &server->listener)) == 0 &&
        (err = watch(server, EPOLL_CTL_ADD, server->stopped, EPOLLIN, &server->stopped)) == 0 &&
        (err = watch(server, EPOLL_CTL_ADD, weir_completion_fd(server->completion), EPOLLIN,
                     server->completion)) == 0)
        err = serve(server);
    (void)weir_context_hook_stop(&hook);
    return err;
}

int main(int argc, char **argv)
{
    struct server server = {.epoll = -1, .listener = -1, .stopped = -1};
    unsigned places = argc > 1 ? (unsigned)atoi(argv[1]) : 64;
    server.grace = WEIR_MS(argc > 2 ? atoi(argv[2]) : 5000);
    server.cancel_at = WEIR_FOREVER;
    int err = weir_context_from_signals(&server.stop, NULL, NULL, 0);
    if (err == 0)
        err = weir_completion_new(&server.completion, places);
    if (err == 0)
        err = weir_pool_new(&server.pool, WEIR_POOL_OPTIONS(.capacity = places));
    if (err == 0)
        err = run(&server);
    if (err != 0)
        fprintf(stderr, "line_server: %s\n", weir_strerror(err));
    weir_pool_free(server.pool); /* after an error: ends the tasks that are left */
    for (weir_task *left; weir_completion_reap(server.completion, &left, 1) == 1;)
        ((struct client *)left)->under_way = 0;
    while (server.clients != NULL)
        drop(&server, server.clients);
    bury(&server);
    weir_completion_free(server.completion);
    weir_context_cancel(server.stop, 0);
    weir_context_unref(server.stop);
    (void)close(server.epoll);
    (void)close(server.stopped);
    if (server.listener >= 0)
        (void)close(server.listener);
    return err != 0;
}
