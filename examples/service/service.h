/* SPDX-License-Identifier: MIT */
/* service.h - what handlers, middleware and plug-ins see of the service.
 *
 *     static int hello(struct request *request)
 *     {
 *         return respond_text(request, 200, request_param(request, "name"));
 *     }
 *
 *     int weir_service_plugin(struct service *service)
 *     {
 *         return service_add_route(service, "GET", "/hello/:name", hello, 0);
 *     }
 *
 * A request goes through a chain of functions. Each of them, a middleware, answers the request or
 * calls request_next, which calls the function behind it; the last one is the handler of its route.
 * The chain may pause twice: until the body has arrived, and until a worker is free. In front of
 * the second pause it runs on the thread that reads from the network, and must not block; behind it
 * on a worker, where it may take its time. That is why a middleware must not count on being back
 * from request_next when the request is over: for that there is request_at_end.
 *
 * They return 0 if the request has been answered, or will be by what they called; else a negative
 * errno, which the service turns into an answer (see answer.c). */
#ifndef SERVICE_H
#define SERVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <weir.h>

struct service;
struct request;

typedef int step_fn(struct request *request);

/* Of a route. */
enum {
    ROUTE_INLINE = 1, /* answered by the network's thread: it never waits, for no lock or disk */
    ROUTE_WRITES = 2, /* needs a token */
    ROUTE_ALWAYS = 4  /* answered whatever the load, the rate and the state: for probes */
};

/* Adds a route, before the service starts. A part of the pattern that begins with a colon is a
 * parameter: /documents/:id. Returns 0; -EINVAL; -EEXIST; -ENOSPC. The texts stay the caller's. */
int service_add_route(struct service *service, const char *method, const char *pattern,
                      step_fn *handler, unsigned flags);

/* Adds a middleware: in front of the queue, behind those of the service there; or right before the
 * handler, on its thread. Returns 0; -EINVAL; -ENOSPC. */
enum place { BEFORE_QUEUE, BEFORE_HANDLER };
int service_add_middleware(struct service *service, enum place place, step_fn *middleware);

/* Calls what comes next in the chain, and returns what that returns. */
int request_next(struct request *request);

/* Has fn(request, arg) called, on the network's thread, when the request is over. Returns 0;
 * -ENOSPC. */
int request_at_end(struct request *request, void (*fn)(struct request *request, void *arg),
                   void *arg);

/* What was asked. NULL if there is no such parameter, header, or word behind the question mark. All
 * of them live as long as the request. Headers can be read in front of the queue only. */
const char *request_param(const struct request *request, const char *name);
const char *request_query(const struct request *request, const char *name);
const char *request_header(const struct request *request, const char *name);
const char *request_id(const struct request *request);
const char *request_body(const struct request *request, size_t *ret_size);

/* It is over when nobody waits for the answer any more. */
weir_context *request_context(const struct request *request);

/* Answers. Each gives one answer, the first wins. respond takes over `body`, which is malloc's or
 * NULL; _text copies. Return 0; -ENOMEM. */
int respond(struct request *request, int status, const char *type, char *body, size_t size);
int respond_text(struct request *request, int status, const char *text);
int respond_json(struct request *request, int status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Adds a header to the answer. `name` is a literal, `value` is copied, and cut to fit. */
void respond_header(struct request *request, const char *name, const char *value);

/* What a plug-in exports, as weir_service_plugin. */
typedef int service_plugin_fn(struct service *service);

#endif
