/* SPDX-License-Identifier: MIT */
/* plugin.c - an example of a plug-in: a route of its own, and how long each handler took.
 *
 *     weir-service --plugin ./libhello.so
 *     curl -i http://127.0.0.1:8080/hello/you */
#include "service.h"

#include <stdio.h>
#include <string.h>

static int hello(struct request *request)
{
    const char *name = request_param(request, "name");
    if (strpbrk(name, "\"\\") != NULL)
        return -EINVAL;
    return respond_json(request, 200, "{\"hello\":\"%s\"}\n", name);
}

/* A middleware on the worker is back from request_next when the handler is. */
static int measure(struct request *request)
{
    int64_t began = weir_now();
    int err = request_next(request);
    char took[64];
    snprintf(took, sizeof took, "handler;dur=%.3f", (double)(weir_now() - began) / 1e6);
    respond_header(request, "Server-Timing", took);
    return err;
}

service_plugin_fn weir_service_plugin;

int weir_service_plugin(struct service *service)
{
    int err = service_add_route(service, "GET", "/hello/:name", hello, 0);
    return err != 0 ? err : service_add_middleware(service, BEFORE_HANDLER, measure);
}
