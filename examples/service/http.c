/* SPDX-License-Identifier: MIT */
/* http.c - from libmicrohttpd to the chain and back.
 *
 * One thread, that of loop.c, reads and writes for all connections. It has MHD call, for each
 * request in turn:
 *
 *     on_target     its first line is there: the request is made
 *     on_request    its head is there: with a body to come, the chain runs up to that
 *                   each piece of the body, then once more: the chain runs or goes on
 *                   once more after the connection was resumed: the answer goes out
 *     on_completed  the answer is out, or the connection is gone: the request is over
 *
 * MHD's own time-out sees silence only. So each connection has a time at which it is cut, whatever
 * trickles in, which moves on as the request does; http_sweep looks at all of them. */
#include "inside.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    ANSWER_S = 90,
    SWALLOWED = 65536,
    SMALL_ANSWER = 16384,
    MEMORY = 5 * 1024,
    STREAM_ROOM = 16384
};

struct connection {
    struct connection *previous, *next;
    int fd;
    atomic_int_fast64_t due;
};

struct connections {
    pthread_mutex_t lock; /* of the list; also held while one in it is cut, so its fd is open */
    struct connection head;
};

static void set_due(struct MHD_Connection *connection, int64_t due)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct connection *own = info->socket_context;
    if (own != NULL)
        atomic_store_explicit(&own->due, due, memory_order_relaxed);
}

void http_keep(struct request *request)
{
    int room = STREAM_ROOM;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    (void)setsockopt(info->connect_fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    set_due(request->connection, WEIR_FOREVER);
}

/* Without memory for its note a connection is cut by MHD's time-out only. */
static void on_connection(void *arg, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct service *service = arg;
    struct connections *all = service->connections;
    struct connection *own = *context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED && (own = calloc(1, sizeof *own)) != NULL) {
        own->fd =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        atomic_init(&own->due, weir_after(WEIR_S(service->settings.head_s)));
        *context = own;
        pthread_mutex_lock(&all->lock);
        own->previous = &all->head;
        own->next = all->head.next;
        own->next->previous = all->head.next = own;
        pthread_mutex_unlock(&all->lock);
    } else if (code == MHD_CONNECTION_NOTIFY_CLOSED && own != NULL) {
        pthread_mutex_lock(&all->lock);
        own->previous->next = own->next;
        own->next->previous = own->previous;
        pthread_mutex_unlock(&all->lock);
        free(own);
    }
}

void http_sweep(struct service *service)
{
    struct connections *all = service->connections;
    int64_t now = weir_now();
    pthread_mutex_lock(&all->lock);
    for (struct connection *own = all->head.next; own != &all->head; own = own->next)
        if (atomic_load_explicit(&own->due, memory_order_relaxed) < now)
            (void)shutdown(own->fd, SHUT_RDWR); /* MHD sees that, and closes it */
    pthread_mutex_unlock(&all->lock);
}

static void *on_target(void *arg, const char *target, struct MHD_Connection *connection)
{
    struct service *service = arg;
    set_due(connection, weir_after(WEIR_S(service->settings.head_s)));
    return request_new(service, target);
}

static void note_client(struct request *request)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const struct sockaddr *address = info->client_addr;
    const void *bytes =
        address->sa_family == AF_INET6
            ? (const void *)&((const struct sockaddr_in6 *)info->client_addr)->sin6_addr
            : (const void *)&((const struct sockaddr_in *)info->client_addr)->sin_addr;
    if (inet_ntop(address->sa_family, bytes, request->client, sizeof request->client) == NULL)
        strcpy(request->client, "?");
}

/* An answer stays until the client has read it, and counts like the body of a request. A large one
 * for which there is no room is not sent. */
static void reserve_answer(struct request *request)
{
    struct service *service = request->service;
    struct response *response = &request->response;
    if (atomic_load(&request->state) == TIMED_OUT || response->stream != NULL)
        return;
    size_t n = response->size;
    size_t all = atomic_fetch_add(&service->body_bytes, n) + n;
    request->reserved += n;
    if (n <= SMALL_ANSWER || all <= (size_t)service->settings.max_bodies)
        return;
    free(response->body);
    *response = (struct response){0};
    (void)respond_busy(request, "too many bodies at once");
}

static enum MHD_Result send_answer(struct request *request)
{
    reserve_answer(request);
    struct MHD_Response *response = make_response(request);
    if (response == NULL)
        return MHD_NO;
    enum MHD_Result result =
        MHD_queue_response(request->connection, (unsigned)request->answered, response);
    MHD_destroy_response(response);
    if (result == MHD_YES)
        atomic_fetch_add(&request->service->answers[request->answered], 1);
    return result;
}

/* Is it answered already, though it has not been queued? */
static bool is_refused(const struct request *request)
{
    return !request->queued_once && request->response.status != 0;
}

/* The head is there. Without a body the chain starts with the next call: MHD closes a connection
 * that was answered in this one. With a body it starts now, and a refusal goes out at once, for the
 * price of the connection; unless the body is small: to read it is cheaper. */
static enum MHD_Result begin(struct request *request, const char *method)
{
    const char *length = request_header(request, "Content-Length");
    int64_t size = INT64_MAX;
    request->begun = true;
    atomic_fetch_add(&request->service->in_flight, 1); /* before the chain looks at the phase */
    request->body_comes = request_header(request, "Transfer-Encoding") != NULL ||
                          (length != NULL && strcmp(length, "0") != 0);
    set_due(request->connection,
            weir_after(request->body_comes ? WEIR_S(request->service->settings.body_s)
                                           : WEIR_S(ANSWER_S)));
    snprintf(request->method, sizeof request->method, "%s", method);
    note_client(request);
    request->chain_waits = !request->body_comes;
    if (request->body_comes)
        run_chain(request);
    if (!is_refused(request) || read_number(length, 0, SWALLOWED, &size) == 0)
        return MHD_YES;
    return send_answer(request);
}

/* Returns 0; -E2BIG; -EAGAIN: all bodies together are too large; -ENOMEM. */
static int add_to_body(struct request *request, const char *data, size_t n)
{
    struct service *service = request->service;
    size_t needed = request->body_size + n;
    if (needed > (size_t)service->settings.max_body)
        return -E2BIG;
    if (needed > request->reserved) {
        size_t all = atomic_fetch_add(&service->body_bytes, needed - request->reserved) + needed -
                     request->reserved;
        request->reserved = needed;
        if (all > (size_t)service->settings.max_bodies)
            return -EAGAIN;
    }
    if (needed > request->body_room) {
        size_t room = 2 * request->body_room;
        room = room < request->reserved ? request->reserved : room;
        char *larger = realloc(request->body, room);
        if (larger == NULL)
            return -ENOMEM;
        request->body = larger;
        request->body_room = room;
    }
    memcpy(request->body + request->body_size, data, n);
    request->body_size = needed;
    return 0;
}

/* What comes behind a refusal is not kept, and not read for ever. */
static enum MHD_Result take_piece(struct request *request, const char *data, size_t *size)
{
    size_t n = *size;
    *size = 0;
    if (is_refused(request)) {
        request->body_size += n;
        return request->body_size > (size_t)request->service->settings.max_body + SWALLOWED
                   ? MHD_NO
                   : MHD_YES;
    }
    int err = add_to_body(request, data, n);
    if (err == -E2BIG)
        (void)respond_json(request, 413, "{\"error\":\"too large\",\"id\":\"%s\"}\n", request->id);
    else if (err == -EAGAIN)
        (void)respond_busy(request, "too many bodies at once");
    else if (err != 0)
        return MHD_NO;
    return MHD_YES;
}

static enum MHD_Result on_request(void *arg, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **context)
{
    (void)arg;
    (void)url; /* decoded by MHD; on_target had it as it came */
    (void)version;
    struct request *request = *context;
    if (request == NULL)
        return MHD_NO; /* there was no memory for it */
    if (!request->begun) {
        request->connection = connection;
        return begin(request, method);
    }
    if (*size > 0)
        return take_piece(request, data, size);
    if (request->chain_waits && !is_refused(request)) {
        request->chain_waits = false;
        set_due(connection, weir_after(WEIR_S(ANSWER_S)));
        run_chain(request);
    }
    if (request->queued_once && atomic_load(&request->state) == PENDING)
        return MHD_YES; /* it sleeps now */
    return send_answer(request);
}

static void on_completed(void *arg, struct MHD_Connection *connection, void **context,
                         enum MHD_RequestTerminationCode code)
{
    (void)code;
    struct service *service = arg;
    struct request *request = *context;
    *context = NULL;
    if (request == NULL)
        return;
    set_due(connection, weir_after(WEIR_S(service->settings.idle_s + service->settings.head_s)));
    if (request->hooked)
        (void)weir_context_hook_stop(&request->hook);
    for (size_t i = 0; i < request->n_at_end; i++)
        request->at_end[i].fn(request, request->at_end[i].arg);
    atomic_fetch_sub(&service->body_bytes, request->reserved);
    if (request->begun)
        atomic_fetch_sub(&service->in_flight, 1);
    request_unref(request);
}

int http_start(struct service *service, unsigned *ret_port)
{
    struct connections *all = calloc(1, sizeof *all);
    const struct settings *settings = &service->settings;
    if (all == NULL)
        return -ENOMEM;
    pthread_mutex_init(&all->lock, NULL);
    all->head.next = all->head.previous = &all->head;
    service->connections = all;
    int fd = listen_on(settings->listen, ret_port);
    if (fd < 0)
        return fd;
    service->http = MHD_start_daemon(
        MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
        on_request, service, MHD_OPTION_URI_LOG_CALLBACK, on_target, service,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, service, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, service, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)settings->idle_s,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)settings->max_connections,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)MEMORY, MHD_OPTION_END);
    int err = service->http == NULL
                  ? -EIO
                  : loop_start(&service->loop, service->http, fd,
                               (unsigned)settings->max_connections, &service->phase);
    if (err != 0)
        (void)close(fd);
    return err;
}

void http_stop(struct service *service)
{
    loop_stop(&service->loop);
    if (service->http != NULL)
        MHD_stop_daemon(service->http);
    service->http = NULL;
    if (service->connections != NULL)
        pthread_mutex_destroy(&service->connections->lock);
    free(service->connections);
    service->connections = NULL;
}
