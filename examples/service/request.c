/* SPDX-License-Identifier: MIT */
/* request.c - what a request is made of, who may answer it, and what handlers read of it. */
#include "inside.h"

#include <stdlib.h>
#include <string.h>

/* Cuts the target into its path and what follows the question mark. One block has three texts. */
static int split_target(struct request *request, const char *target)
{
    size_t n = strlen(target) + 1;
    request->path = malloc(3 * n);
    if (request->path == NULL)
        return -ENOMEM;
    request->parts = request->path + n;
    request->query = request->parts + n;
    memcpy(request->path, target, n);
    char *mark = strchr(request->path, '?');
    strcpy(request->query, mark != NULL ? mark + 1 : "");
    if (mark != NULL)
        *mark = '\0';
    return 0;
}

struct request *request_new(struct service *service, const char *target)
{
    struct request *request = calloc(1, sizeof *request);
    if (request == NULL)
        return NULL;
    request->service = service;
    request->arrived = weir_now();
    atomic_init(&request->refs, 1);
    if (split_target(request, target) != 0) {
        free(request);
        return NULL;
    }
    return request;
}

/* The parameters are cut out of a second copy of the path. Both are decoded after the match, so
 * that a %2F is no slash. */
int request_take_params(struct request *request)
{
    strcpy(request->parts, request->path);
    request->n_params = match_pattern(request->route->pattern, request->parts, request->params);
    for (int i = 0; i < request->n_params; i++)
        request
            ->parts[request->params[i].value + request->params[i].value_length - request->parts] =
            '\0';
    for (int i = 0; i < request->n_params; i++)
        if (percent_decode(request->parts + (request->params[i].value - request->parts), false) !=
            0)
            return -EINVAL;
    return 0;
}

int request_take_queries(struct request *request)
{
    char *rest = request->query, *pair;
    while ((pair = strsep(&rest, "&")) != NULL) {
        if (*pair == '\0')
            continue;
        if (request->n_queries == MAX_QUERY)
            return -EINVAL;
        char *value = strchr(pair, '=');
        if (value != NULL)
            *value++ = '\0';
        if (percent_decode(pair, true) != 0 || (value != NULL && percent_decode(value, true) != 0))
            return -EINVAL;
        request->queries[request->n_queries].name = pair;
        request->queries[request->n_queries++].value = value != NULL ? value : "";
    }
    return 0;
}

void request_unref(struct request *request)
{
    if (atomic_fetch_sub(&request->refs, 1) != 1)
        return;
    weir_context_unref(request->context);
    if (request->response.stream != NULL)
        MHD_destroy_response(request->response.stream);
    free(request->response.body);
    free(request->idempotency_key);
    free(request->body);
    free(request->path);
    free(request);
}

bool request_take_answer(struct request *request, enum answer_state state)
{
    int expected = PENDING;
    return atomic_compare_exchange_strong(&request->state, &expected, state);
}

int request_at_end(struct request *request, void (*fn)(struct request *request, void *arg),
                   void *arg)
{
    if (request->n_at_end == MAX_AT_END)
        return -ENOSPC;
    request->at_end[request->n_at_end].fn = fn;
    request->at_end[request->n_at_end++].arg = arg;
    return 0;
}

const char *request_param(const struct request *request, const char *name)
{
    for (int i = 0; i < request->n_params; i++)
        if (strlen(name) == request->params[i].name_length &&
            strncmp(request->params[i].name, name, request->params[i].name_length) == 0)
            return request->params[i].value;
    return NULL;
}

const char *request_query(const struct request *request, const char *name)
{
    for (size_t i = 0; i < request->n_queries; i++)
        if (strcmp(request->queries[i].name, name) == 0)
            return request->queries[i].value;
    return NULL;
}

const char *request_header(const struct request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

const char *request_id(const struct request *request)
{
    return request->id;
}

const char *request_body(const struct request *request, size_t *ret_size)
{
    *ret_size = request->body_size;
    return request->body_size > 0 ? request->body : "";
}

weir_context *request_context(const struct request *request)
{
    return request->context;
}
