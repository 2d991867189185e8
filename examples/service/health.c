/* SPDX-License-Identifier: MIT */
/* health.c - is it alive, is it ready; and the routes of --bench.
 *
 * Probes are answered by the network's thread and never go through the pool: a service that has too
 * much to do is alive. An open breaker does not make it unready: every replica would be at once,
 * and nobody would be left to give the answers that need no database. */
#include "inside.h"

#include <string.h>

static int answer_alive(struct request *request)
{
    return respond_text(request, 200, "ok\n");
}

static int answer_ready(struct request *request)
{
    if (atomic_load(&request->service->phase) == RUNNING)
        return respond_text(request, 200, "ready\n");
    return respond_text(request, 503, "draining\n");
}

/* What a document of one KiB costs when it is in memory. */
static int answer_from_memory(struct request *request)
{
    static char page[1024];
    if (page[0] == '\0') /* by the network's thread alone */
        memset(page, 'x', sizeof page);
    request->response.status = 200;
    request->response.type = "text/plain";
    request->response.size = sizeof page;
    request->response.stream =
        MHD_create_response_from_buffer(sizeof page, page, MHD_RESPMEM_PERSISTENT);
    return request->response.stream != NULL ? 0 : -ENOMEM;
}

static int use_cpu(struct request *request)
{
    int64_t us = 1000;
    const char *given = request_query(request, "us");
    if (given != NULL && read_number(given, 0, 1000000, &us) != 0)
        return -EINVAL;
    volatile uint64_t sum = 0;
    for (int64_t ends = weir_after(WEIR_US(us)); weir_now() < ends;)
        for (int i = 0; i < 100; i++)
            sum += (uint64_t)i;
    return respond_text(request, 200, "done\n");
}

/* It waits as a handler waits for a database: without a CPU. */
static int wait_a_while(struct request *request)
{
    int64_t us = 1000;
    const char *given = request_query(request, "us");
    if (given != NULL && read_number(given, 0, 30000000, &us) != 0)
        return -EINVAL;
    int err = weir_sleep_until(request->context, weir_after(WEIR_US(us)));
    return err != 0 ? err : respond_text(request, 200, "done\n");
}

int add_health(struct service *service)
{
    unsigned probe = ROUTE_INLINE | ROUTE_ALWAYS;
    int err = service_add_route(service, "GET", "/healthz", answer_alive, probe);
    if (err == 0)
        err = service_add_route(service, "GET", "/readyz", answer_ready, probe);
    if (!service->settings.bench)
        return err;
    if (err == 0)
        err = service_add_route(service, "GET", "/bench/memory", answer_from_memory, ROUTE_INLINE);
    if (err == 0)
        err = service_add_route(service, "GET", "/bench/cpu", use_cpu, 0);
    if (err == 0)
        err = service_add_route(service, "GET", "/bench/wait", wait_a_while, 0);
    return err;
}
