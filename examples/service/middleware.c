/* SPDX-License-Identifier: MIT */
/* middleware.c - the chain that every request goes through, in this order:
 *
 *     set_request_id   a name for it, in the log and in the answer
 *     access_log       a line when it is over
 *     find_route       or none
 *     limit_rate       of one client: 429
 *     read_target      404, 405, 400; and 503 for what comes once the service stops
 *     authenticate     writes need a token: 401
 *     read_body        pauses until it is there: 413, 503 if all bodies together are too large
 *     set_deadline     a context that ends in time
 *     queue            503, or pauses until a worker has it
 *     recover          a handler that fails is an answer too
 *     the handler of the route */
#include "inside.h"

#include <stdio.h>
#include <string.h>

int request_next(struct request *request)
{
    struct service *service = request->service;
    if (request->position < service->n_chain)
        return service->chain[request->position++](request);
    return request->route->handler(request);
}

void run_chain(struct request *request)
{
    int err = request_next(request);
    if (err != 0 && respond_error(request, err) != 0)
        respond(request, 500, NULL, NULL, 0); /* no memory for words */
}

/* An id that came with the request is kept if it is harmless. */
static int set_request_id(struct request *request)
{
    struct service *service = request->service;
    const char *given = request_header(request, "X-Request-Id");
    if (given != NULL && strlen(given) < sizeof request->id && is_plain_name(given))
        strcpy(request->id, given);
    else
        snprintf(request->id, sizeof request->id, "%016llx-%llx", (unsigned long long)service->boot,
                 (unsigned long long)atomic_fetch_add(&service->next_id, 1));
    return request_next(request);
}

static void write_log_line(struct request *request, void *arg)
{
    log_request(arg, request, request->answered);
}

static int access_log(struct request *request)
{
    struct service *service = request->service;
    int err = 0;
    if (service->settings.access_log)
        err = request_at_end(request, write_log_line, &service->log);
    return err != 0 ? err : request_next(request);
}

static bool is_for(const struct request *request, const struct route *route)
{
    bool head = strcmp(request->method, "HEAD") == 0;
    return strcmp(route->method, head ? "GET" : request->method) == 0;
}

static int find_route(struct request *request)
{
    struct service *service = request->service;
    struct param ignored[MAX_PARAMS];
    for (size_t i = 0; i < service->n_routes && request->route == NULL; i++)
        if (is_for(request, &service->routes[i]) &&
            match_pattern(service->routes[i].pattern, request->path, ignored) >= 0)
            request->route = &service->routes[i];
    return request_next(request);
}

static bool is_for_all(const struct request *request)
{
    return request->route != NULL && (request->route->flags & ROUTE_ALWAYS) != 0;
}

static int limit_rate(struct request *request)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    int64_t wait =
        is_for_all(request) ? 0 : rates_take(&request->service->rates, info->client_addr);
    if (wait == 0)
        return request_next(request);
    char seconds[32];
    snprintf(seconds, sizeof seconds, "%lld", (long long)(1 + wait / 1000000000));
    respond_header(request, "Retry-After", seconds);
    return respond_json(request, 429, "{\"error\":\"too many requests\",\"id\":\"%s\"}\n",
                        request->id);
}

static int refuse_unknown(struct request *request)
{
    struct service *service = request->service;
    char allowed[128] = "";
    struct param ignored[MAX_PARAMS];
    for (size_t i = 0; i < service->n_routes; i++) {
        size_t n = strlen(allowed);
        if (match_pattern(service->routes[i].pattern, request->path, ignored) >= 0)
            snprintf(allowed + n, sizeof allowed - n, "%s%s", n > 0 ? ", " : "",
                     service->routes[i].method);
    }
    if (allowed[0] == '\0')
        return -ENOENT;
    respond_header(request, "Allow", allowed);
    return respond_json(request, 405, "{\"error\":\"method not allowed\",\"id\":\"%s\"}\n",
                        request->id);
}

/* Those that come once the service stops go to another one. Probes are answered to the end. */
static int read_target(struct request *request)
{
    if (request->route == NULL)
        return refuse_unknown(request);
    if (request_take_params(request) != 0 || request_take_queries(request) != 0)
        return -EINVAL;
    if (atomic_load(&request->service->phase) >= STOPPING && !is_for_all(request))
        return respond_busy(request, "shutting down");
    return request_next(request);
}

static int authenticate(struct request *request)
{
    struct service *service = request->service;
    if ((request->route->flags & ROUTE_WRITES) == 0)
        return request_next(request);
    const char *given = request_header(request, "Authorization");
    if (given != NULL)
        given = strncasecmp(given, "Bearer ", 7) == 0 ? given + 7 : NULL;
    pthread_mutex_lock(&service->lock);
    bool may = service->open != 0 || tokens_has(service->tokens, given);
    pthread_mutex_unlock(&service->lock);
    if (may)
        return request_next(request);
    respond_header(request, "WWW-Authenticate", "Bearer");
    return respond_json(request, 401, "{\"error\":\"a token is needed\",\"id\":\"%s\"}\n",
                        request->id);
}

static int read_body(struct request *request)
{
    struct service *service = request->service;
    int64_t size = 0; /* of a chunked body it is counted as it comes */
    if (!request->body_comes)
        return request_next(request);
    if (request_header(request, "Transfer-Encoding") == NULL &&
        read_number(request_header(request, "Content-Length"), 0, INT64_MAX, &size) != 0)
        return -EINVAL;
    if (size > service->settings.max_body)
        return respond_json(request, 413, "{\"error\":\"too large\",\"id\":\"%s\"}\n", request->id);
    request->reserved = (size_t)size;
    size_t all = atomic_fetch_add(&service->body_bytes, request->reserved) + request->reserved;
    if (all > (size_t)service->settings.max_bodies)
        return respond_busy(request, "too many bodies at once");
    request->chain_waits = true;
    return 0;
}

static int set_deadline(struct request *request)
{
    struct service *service = request->service;
    const char *given = request_header(request, "Timeout-Ms");
    int64_t timeout;
    pthread_mutex_lock(&service->lock);
    timeout = service->timeout_ms;
    pthread_mutex_unlock(&service->lock);
    if (given != NULL && read_number(given, 1, INT64_MAX, &timeout) != 0)
        return -EINVAL;
    if (timeout > 30000)
        timeout = 30000;
    int err = weir_context_new(&request->context, service->root, weir_after(WEIR_MS(timeout)));
    return err != 0 ? err : request_next(request);
}

/* The deadline's turn: on a thread of weir's, or that of the one who cancels. */
static void answer_late(void *arg)
{
    struct request *request = arg;
    if (request_take_answer(request, TIMED_OUT))
        loop_resume(&request->service->loop, request->connection);
}

static int refuse(struct request *request, enum verdict verdict)
{
    return respond_busy(request, verdict == REFUSED_FULL    ? "the queue is full"
                                 : verdict == REFUSED_DELAY ? "overloaded"
                                                            : "shutting down");
}

/* From here on the connection sleeps, until worker or deadline wake it: so it is put to sleep
 * first. Where it is not needed that the request waits, it is not made to. */
static int queue(struct request *request)
{
    struct service *service = request->service;
    if ((request->route->flags & ROUTE_INLINE) != 0)
        return request_next(request);
    enum verdict verdict = admission_ask(&service->admission, weir_now());
    if (verdict != ADMITTED)
        return refuse(request, verdict);
    const char *key = request_header(request, "Idempotency-Key");
    if (key != NULL && (request->idempotency_key = strdup(key)) == NULL)
        return -ENOMEM;
    request->queued_once = true;
    atomic_fetch_add(&request->refs, 1); /* the task's */
    MHD_suspend_connection(request->connection);
    request->hooked =
        weir_context_on_done(request->context, &request->hook, answer_late, request) == 0;
    verdict = request->hooked ? admission_submit(&service->admission, request) : REFUSED_CLOSED;
    if (verdict == ADMITTED)
        return 0;
    (void)refuse(request, verdict);
    if (request_take_answer(request, DONE))
        loop_resume(&request->service->loop, request->connection);
    request_unref(request);
    return 0;
}

static int recover(struct request *request)
{
    int err = weir_context_err(request->context);
    if (err == 0)
        err = request_next(request);
    if (err == 0 && request->response.status == 0) {
        log_error(&request->service->log, "request %s: %s gave no answer", request->id,
                  request->route->pattern);
        err = -EIO;
    }
    return err != 0 ? respond_error(request, err) : 0;
}

static int add(struct service *service, step_fn *middleware, size_t at)
{
    if (middleware == NULL)
        return -EINVAL;
    if (service->n_chain == MAX_CHAIN)
        return -ENOSPC;
    memmove(&service->chain[at + 1], &service->chain[at],
            (service->n_chain - at) * sizeof service->chain[0]);
    service->chain[at] = middleware;
    service->n_chain++;
    return 0;
}

int service_add_middleware(struct service *service, enum place place, step_fn *middleware)
{
    size_t at = service->n_chain;
    if (place == BEFORE_QUEUE)
        for (at = 0; service->chain[at] != set_deadline;)
            at++;
    return add(service, middleware, at);
}

int add_middleware(struct service *service)
{
    static step_fn *const all[] = {set_request_id, access_log,   find_route, limit_rate,
                                   read_target,    authenticate, read_body,  set_deadline,
                                   queue,          recover};
    int err = 0;
    for (size_t i = 0; i < sizeof all / sizeof all[0] && err == 0; i++)
        err = add(service, all[i], service->n_chain);
    return err;
}
