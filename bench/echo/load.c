/* SPDX-License-Identifier: MIT */
/* load.c - a client of an echo server, with many connections of which some are active.
 *
 * Usage: load PORT CONNECTIONS
 *
 * Opens the connections, has one answer on each, and prints "open". Then, for each line ACTIVE
 * REQUESTS of its input: so many of the connections ask, each again as soon as it has its answer,
 * until so many requests are answered. Prints a line of JSON: how many answers came, in how many
 * seconds, and their times in microseconds. An answer that is wrong, or does not come within ten
 * seconds, ends the program with 1. One thread, on epoll.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { SIZE = 64, EVENTS = 256, MOST = 1000000, PATIENCE_MS = 10000 };

struct connection {
    int fd;
    size_t got;
    int64_t asked; /* when */
    char question[SIZE], answer[SIZE];
};

static int epoll;
static struct connection *all;
static size_t connections, requests, asked, answered;
static double *times; /* of the answers, in microseconds */

static void require(int right, const char *what)
{
    if (!right) {
        (void)fprintf(stderr, "load: %s (%s)\n", what, strerror(errno));
        exit(1);
    }
}

static int64_t now_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* No two questions are the same, so that no answer can be another's. */
static void ask(struct connection *c)
{
    static uint64_t number;
    (void)snprintf(c->question, SIZE, "%0*" PRIu64, SIZE - 1, number++);
    c->got = 0;
    c->asked = now_ns();
    require(send(c->fd, c->question, SIZE, MSG_NOSIGNAL) == SIZE, "a request cannot be sent");
}

static void open_connection(struct connection *c, unsigned port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct timeval patience = {.tv_sec = PATIENCE_MS / 1000};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    int on = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    require(c->fd >= 0, "no socket");
    require(setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0, "timeout");
    require(setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0, "nodelay");
    require(connect(c->fd, (struct sockaddr *)&address, sizeof address) == 0, "no connection");
    ask(c);
    require(recv(c->fd, c->answer, SIZE, MSG_WAITALL) == SIZE, "no first answer");
    require(memcmp(c->answer, c->question, SIZE) == 0, "a wrong first answer");
    require(epoll_ctl(epoll, EPOLL_CTL_ADD, c->fd, &event) == 0, "epoll");
}

static void hear(struct connection *c)
{
    ssize_t n = recv(c->fd, c->answer + c->got, SIZE - c->got, MSG_DONTWAIT);
    require(n > 0, "a connection has ended");
    c->got += (size_t)n;
    if (c->got < SIZE)
        return;
    require(memcmp(c->answer, c->question, SIZE) == 0, "a wrong answer");
    require(answered < requests, "more answers than questions");
    times[answered++] = (double)(now_ns() - c->asked) / 1000;
    if (asked < requests) {
        asked++;
        ask(c);
    }
}

static int compare(const void *a, const void *b)
{
    double one = *(const double *)a, other = *(const double *)b;
    return (one > other) - (one < other);
}

static void run(size_t active)
{
    struct epoll_event events[EVENTS];
    answered = 0;
    int64_t began = now_ns();
    for (asked = 0; asked < active && asked < requests; asked++)
        ask(&all[asked * connections / active]);
    while (answered < requests) {
        int n = epoll_wait(epoll, events, EVENTS, PATIENCE_MS);
        require(n > 0, "an answer does not come");
        for (int i = 0; i < n; i++)
            hear(events[i].data.ptr);
    }
    double seconds = (double)(now_ns() - began) / 1e9;
    qsort(times, answered, sizeof *times, compare);
    (void)printf("{\"answers\":%zu,\"seconds\":%.6f,\"p50\":%.1f,\"p99\":%.1f,\"max\":%.1f}\n",
                 answered, seconds, times[answered / 2], times[answered - 1 - answered / 100],
                 times[answered - 1]);
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    char line[64];
    size_t active;
    long wanted = argc == 3 ? atol(argv[2]) : 0;
    if (wanted < 1 || wanted > MOST)
        return 2;
    connections = (size_t)wanted;
    epoll = epoll_create1(EPOLL_CLOEXEC);
    all = calloc(connections, sizeof *all);
    require(epoll >= 0 && all != NULL, "no memory");
    for (size_t i = 0; i < connections; i++)
        open_connection(&all[i], (unsigned)atoi(argv[1]));
    (void)puts("open");
    (void)fflush(stdout);
    while (fgets(line, sizeof line, stdin) != NULL) {
        if (sscanf(line, "%zu %zu", &active, &requests) != 2 || active < 1 ||
            active > connections || requests < 1 || requests > 100 * (size_t)MOST)
            return 2;
        times = malloc(requests * sizeof *times);
        require(times != NULL, "no memory");
        run(active);
        free(times);
    }
    return 0;
}
