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

/* Each step needs the result of the one before, so that it takes the same time wherever it runs. */
static uint64_t take_steps(int64_t n, uint64_t x)
{
    while (n-- > 0)
        x = x * 6364136223846793005u + 1442695040888963407u;
    return x;
}

/* How many steps a CPU takes in a microsecond, when nothing disturbs it. */
static int64_t measure_steps(void)
{
    enum { STEPS = 100000, TRIES = 20 };
    int64_t best = INT64_MAX;
    volatile uint64_t sink = 1;
    for (int i = 0; i < TRIES; i++) {
        int64_t began = weir_now();
        sink = take_steps(STEPS, sink);
        int64_t took = weir_now() - began;
        best = took < best ? took : best;
    }
    return best > 0 ? (int64_t)STEPS * 1000 / best + 1 : STEPS;
}

/* It uses a CPU for so long, and takes longer by the clock if it has none to itself. It tells how
 * many steps that were, so that another server can be asked for the same. */
static int use_cpu(struct request *request)
{
    int64_t us = 1000, steps;
    const char *time = request_query(request, "us"), *given = request_query(request, "steps");
    if (time != NULL && read_number(time, 0, 1000000, &us) != 0)
        return -EINVAL;
    steps = us * request->service->steps_per_us;
    if (given != NULL && read_number(given, 0, INT64_C(1000000000), &steps) != 0)
        return -EINVAL;
    volatile uint64_t sink = take_steps(steps, (uint64_t)steps);
    (void)sink;
    return respond_json(request, 200, "{\"steps\":%lld}\n", (long long)steps);
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
    service->steps_per_us = measure_steps();
    if (err == 0)
        err = service_add_route(service, "GET", "/bench/memory", answer_from_memory, ROUTE_INLINE);
    if (err == 0)
        err = service_add_route(service, "GET", "/bench/cpu", use_cpu, 0);
    if (err == 0)
        err = service_add_route(service, "GET", "/bench/wait", wait_a_while, 0);
    return err;
}
