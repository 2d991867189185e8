/* SPDX-License-Identifier: MIT */
/* event_loop_epoll.c - an epoll loop gives work to the pool and gets the results back.
 *
 * Requests come in through a pipe, one number each. The loop gives each to the pool, and adds up
 * the answers that come back through the completion's descriptor. While all places are in use it
 * reads no further requests, so that a burst of them waits in the pipe, not in memory. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <weir.h>

enum { PLACES = 4, REQUESTS = 100 };

struct request {
    weir_task task; /* first: its address is the request's */
    unsigned long long n, answer;
};

struct server {
    weir_pool *pool;
    weir_completion *completion;
    int epoll, input;
    int watching; /* whether requests are read */
    unsigned outstanding, answered;
    unsigned long long sum;
};

/* Runs on a worker: how many steps until the Collatz sequence reaches 1. */
static int answer(weir_context *ctx, void *arg)
{
    struct request *request = arg;
    (void)ctx;
    for (unsigned long long n = request->n; n > 1; n = n % 2 == 0 ? n / 2 : 3 * n + 1)
        request->answer++;
    return 0;
}

static void watch(struct server *server, int on)
{
    struct epoll_event event = {.events = on ? EPOLLIN : 0, .data.fd = server->input};
    (void)epoll_ctl(server->epoll, EPOLL_CTL_MOD, server->input, &event);
    server->watching = on;
}

/* Reads one request and submits it. */
static int read_request(struct server *server)
{
    unsigned long long n;
    struct request *request = calloc(1, sizeof *request);
    if (request == NULL)
        return -ENOMEM;
    if (read(server->input, &n, sizeof n) != (ssize_t)sizeof n) {
        free(request);
        return -EPIPE;
    }
    request->n = n;
    int err = weir_pool_submit_task(server->pool, &request->task, answer, request,
                                    WEIR_TASK_OPTIONS(.completion = server->completion));
    if (err != 0)
        free(request);
    else
        server->outstanding++;
    return err;
}

static unsigned give_answers(struct server *server)
{
    weir_task *over[PLACES];
    size_t n = weir_completion_reap(server->completion, over, PLACES);
    for (size_t i = 0; i < n; i++) {
        struct request *request = (struct request *)over[i];
        server->sum += request->answer;
        server->answered++;
        server->outstanding--;
        free(request);
    }
    return (unsigned)n;
}

static int serve(struct server *server)
{
    int err = 0;
    while (err == 0 && server->answered < REQUESTS) {
        struct epoll_event events[2];
        int ready = epoll_wait(server->epoll, events, 2, -1);
        if (ready < 0 && errno != EINTR)
            return -errno;
        for (int i = 0; i < ready && err == 0; i++) {
            if (events[i].data.fd == server->input)
                err = read_request(server);
            else
                (void)give_answers(server);
        }
        if (server->watching != (server->outstanding < PLACES))
            watch(server, server->outstanding < PLACES);
    }
    return err;
}

static int show(struct server *server)
{
    int ends[2];
    if (pipe(ends) != 0)
        return -errno;
    for (unsigned long long n = 1; n <= REQUESTS; n++) /* they fit into the pipe */
        if (write(ends[1], &n, sizeof n) != (ssize_t)sizeof n)
            return -errno;
    server->input = ends[0];
    server->watching = 1;
    server->epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event input = {.events = EPOLLIN, .data.fd = ends[0]};
    struct epoll_event results = {.events = EPOLLIN};
    results.data.fd = weir_completion_fd(server->completion);
    if (server->epoll < 0 || epoll_ctl(server->epoll, EPOLL_CTL_ADD, ends[0], &input) != 0 ||
        epoll_ctl(server->epoll, EPOLL_CTL_ADD, results.data.fd, &results) != 0)
        return -errno;
    int err = serve(server);
    (void)close(server->epoll);
    (void)close(ends[0]);
    (void)close(ends[1]);
    if (err == 0)
        printf("answered: %u\nsteps in all: %llu\n", server->answered, server->sum);
    return err;
}

int main(void)
{
    struct server server = {0};
    int err = weir_pool_new(&server.pool, WEIR_POOL_OPTIONS(.workers = 2, .capacity = PLACES));
    if (err == 0)
        err = weir_completion_new(&server.completion, PLACES);
    if (err == 0)
        err = show(&server);
    weir_pool_free(server.pool); /* after an error: ends the tasks that are left */
    while (server.completion != NULL && give_answers(&server) > 0)
        continue;
    weir_completion_free(server.completion);
    if (err != 0)
        fprintf(stderr, "event_loop_epoll: %s\n", strerror(-err));
    return err != 0;
}
