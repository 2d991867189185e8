/* SPDX-License-Identifier: MIT */
/* answer.c - answers: what handlers say, what becomes of an error, and what MHD is given.
 *
 * What a handler says is in request->response, which is the worker's until it has won the answer.
 * Where the deadline has won, the network's thread makes up an answer of its own and does not look
 * at the handler's. */
#include "inside.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int respond(struct request *request, int status, const char *type, char *body, size_t size)
{
    struct response *response = &request->response;
    if (response->status != 0) {
        free(body);
        return 0;
    }
    response->status = status;
    response->type = type;
    response->body = body;
    response->size = size;
    return 0;
}

int respond_text(struct request *request, int status, const char *text)
{
    char *copy = strdup(text);
    if (copy == NULL)
        return -ENOMEM;
    return respond(request, status, "text/plain; charset=utf-8", copy, strlen(text));
}

int respond_json(struct request *request, int status, const char *format, ...)
{
    char *body = NULL;
    va_list args;
    va_start(args, format);
    int n = vasprintf(&body, format, args);
    va_end(args);
    if (n < 0)
        return -ENOMEM;
    return respond(request, status, "application/json", body, (size_t)n);
}

void respond_header(struct request *request, const char *name, const char *value)
{
    struct response *response = &request->response;
    if (response->n_headers == MAX_HEADERS)
        return;
    response->headers[response->n_headers].name = name;
    snprintf(response->headers[response->n_headers++].value, sizeof response->headers[0].value,
             "%s", value);
}

/* Seconds until it is worth another try: the wait that is to be expected, and up to as much again
 * and a second, so that those who were refused together do not come back together. */
static void put_retry_after(char *to, size_t size, int64_t wait)
{
    uint64_t spread = (uint64_t)wait + 1000000000u;
    uint64_t random = (uint64_t)weir_now() * 0x9e3779b97f4a7c15u; /* its high bits are well mixed */
    uint64_t total = (uint64_t)wait + (random >> 33) * (spread >> 10) / (1u << 21);
    snprintf(to, size, "%llu", (unsigned long long)(1 + total / 1000000000u));
}

static void add_retry_after(struct request *request, int64_t wait)
{
    char seconds[32];
    put_retry_after(seconds, sizeof seconds, wait);
    respond_header(request, "Retry-After", seconds);
}

int respond_busy(struct request *request, const char *why)
{
    add_retry_after(request, admission_expected_wait(&request->service->admission));
    return respond_json(request, 503, "{\"error\":\"%s\",\"id\":\"%s\"}\n", why, request->id);
}

int respond_error(struct request *request, int err)
{
    int over = weir_context_err(request->context);
    if (over == -ETIMEDOUT)
        return respond_json(request, 504, "{\"error\":\"out of time\",\"id\":\"%s\"}\n",
                            request->id);
    if (over == -ECANCELED)
        return respond_busy(request, "shutting down");
    switch (err) {
    case -EINVAL:
        return respond_json(request, 400, "{\"error\":\"bad request\",\"id\":\"%s\"}\n",
                            request->id);
    case -ENOENT:
        return respond_json(request, 404, "{\"error\":\"not found\",\"id\":\"%s\"}\n", request->id);
    case -EAGAIN: /* the breaker is open */
    case -EBUSY:  /* the database is locked */
    case -ETIMEDOUT:
        return respond_busy(request, "the database does not answer");
    default:
        log_error(&request->service->log, "request %s: %s %s: %s", request->id, request->method,
                  request->path, weir_strerror(err));
        return respond_json(request, 500, "{\"error\":\"internal error\",\"id\":\"%s\"}\n",
                            request->id);
    }
}

/* The answer that the deadline gives: out of time, or cancelled because the service stops. */
static struct MHD_Response *make_late_response(struct request *request, int *ret_status)
{
    char body[160];
    bool late = weir_context_err(request->context) == -ETIMEDOUT;
    *ret_status = late ? 504 : 503;
    int n = snprintf(body, sizeof body, "{\"error\":\"%s\",\"id\":\"%s\"}\n",
                     late ? "out of time" : "shutting down", request->id);
    struct MHD_Response *response =
        MHD_create_response_from_buffer((size_t)n, body, MHD_RESPMEM_MUST_COPY);
    if (response != NULL) {
        MHD_add_response_header(response, "Content-Type", "application/json");
        if (!late)
            MHD_add_response_header(response, "Retry-After", "1");
    }
    return response;
}

static struct MHD_Response *make_own_response(struct response *from)
{
    if (from->stream != NULL) {
        struct MHD_Response *stream = from->stream;
        from->stream = NULL;
        return stream;
    }
    struct MHD_Response *response = MHD_create_response_from_buffer(
        from->size, from->body,
        from->body != NULL ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
    if (response != NULL)
        from->body = NULL; /* MHD's now */
    return response;
}

struct MHD_Response *make_response(struct request *request)
{
    struct service *service = request->service;
    struct response *from = &request->response;
    struct MHD_Response *response;
    int status;
    if (atomic_load(&request->state) == TIMED_OUT) {
        response = make_late_response(request, &status);
    } else {
        status = from->status;
        response = make_own_response(from);
        if (response != NULL && from->type != NULL)
            MHD_add_response_header(response, "Content-Type", from->type);
        for (size_t i = 0; response != NULL && i < from->n_headers; i++)
            MHD_add_response_header(response, from->headers[i].name, from->headers[i].value);
    }
    if (response != NULL) {
        MHD_add_response_header(response, "X-Request-Id", request->id);
        if (atomic_load(&service->phase) != RUNNING)
            MHD_add_response_header(response, "Connection", "close");
    }
    /* It was accepted, and got no answer of its own before the service stopped. */
    if (status == 503 && request->queued_once && weir_context_err(request->context) == -ECANCELED)
        atomic_fetch_add(&service->lost, 1);
    request->answered = status;
    return response;
}
