/* SPDX-License-Identifier: MIT */
/* page.c - GET /, a page that shows how the service is; and GET /stats, the numbers that it asks
 * for, twice a second. They are few and harmless; what is not is on the other listener. */
#include "admin.h"
#include "inside.h"

#include <stdlib.h>

extern const char page_html[];
extern const unsigned page_html_size;

static int send_page(struct request *request)
{
    request->response.stream = MHD_create_response_from_buffer(
        page_html_size, (void *)(uintptr_t)page_html, MHD_RESPMEM_PERSISTENT);
    if (request->response.stream == NULL)
        return -ENOMEM;
    respond_header(request, "Content-Security-Policy",
                   "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline';"
                   " connect-src 'self'");
    return respond(request, 200, "text/html; charset=utf-8", NULL, 0);
}

/* What the pool counted some seconds ago, so that the page shows what is and not what was. Of the
 * network's thread alone. */
struct recent {
    const weir_pool *pool; /* another one begins anew */
    int64_t taken_at;
    weir_pool_stats now;
    weir_histogram wait[2], run[2]; /* of the last two looks; [1] is the older one */
};

static int read_pool(weir_pool *pool, void *arg)
{
    struct recent *recent = arg;
    int64_t now = weir_now();
    recent->now.size = sizeof recent->now;
    int err = weir_pool_read_stats(pool, &recent->now);
    if (err != 0)
        return err;
    if (recent->pool != pool)
        *recent = (struct recent){.pool = pool, .now = recent->now};
    weir_histogram wait = recent->now.wait, run = recent->now.run;
    weir_histogram_sub(&recent->now.wait, &recent->wait[1]);
    weir_histogram_sub(&recent->now.run, &recent->run[1]);
    if (now - recent->taken_at > WEIR_S(5)) {
        recent->taken_at = now;
        recent->wait[1] = recent->wait[0];
        recent->run[1] = recent->run[0];
        recent->wait[0] = wait;
        recent->run[0] = run;
    }
    return 0;
}

static double ms(const weir_histogram *histogram, double q)
{
    return (double)weir_histogram_quantile(histogram, q) / 1e6;
}

static void put_answers(struct text *text, struct service *service)
{
    uint64_t classes[6] = {0};
    for (size_t status = 100; status < 600; status++)
        classes[status / 100] += atomic_load(&service->answers[status]);
    text_format(text,
                "\"answers\":{\"2xx\":%llu,\"4xx\":%llu,\"429\":%llu,\"503\":%llu,\"5xx\":%llu},",
                (unsigned long long)classes[2],
                (unsigned long long)(classes[4] - atomic_load(&service->answers[429])),
                (unsigned long long)atomic_load(&service->answers[429]),
                (unsigned long long)atomic_load(&service->answers[503]),
                (unsigned long long)(classes[5] - atomic_load(&service->answers[503])));
}

static int send_stats(struct request *request)
{
    static const char *const states[] = {"closed", "open", "half open"};
    struct service *service = request->service;
    struct text text = {0};
    struct admission_state state;
    const weir_pool_stats *stats = &service->recent->now;
    admission_read(&service->admission, &state);
    int err = admission_with_pool(&service->admission, read_pool, service->recent);
    text_put(&text, "{");
    put_answers(&text, service);
    text_format(&text,
                "\"queued\":%zu,\"capacity\":%u,\"head_age_ms\":%.3f,\"shedding\":%s,"
                "\"workers\":%u,\"busy\":%u,\"blocked\":%u,",
                state.queued, state.capacity, (double)state.head_age / 1e6,
                state.shedding ? "true" : "false", state.workers, stats->workers_busy,
                stats->workers_blocked);
    text_format(&text,
                "\"wait_ms\":{\"p50\":%.3f,\"p99\":%.3f},\"run_ms\":{\"p50\":%.3f,\"p99\":%.3f},"
                "\"breaker\":\"%s\",\"in_flight\":%zu}\n",
                ms(&stats->wait, 0.5), ms(&stats->wait, 0.99), ms(&stats->run, 0.5),
                ms(&stats->run, 0.99),
                states[weir_breaker_read_state(store_breaker(&service->store))],
                atomic_load(&service->in_flight));
    size_t size = 0;
    char *body = text_take(&text, &size);
    if (err != 0 || body == NULL) {
        free(body);
        return err != 0 ? err : -ENOMEM;
    }
    respond_header(request, "Cache-Control", "no-store");
    return respond(request, 200, "application/json", body, size);
}

int add_page(struct service *service)
{
    service->recent = calloc(1, sizeof *service->recent);
    int err = service->recent == NULL ? -ENOMEM : 0;
    if (err == 0)
        err = service_add_route(service, "GET", "/", send_page, ROUTE_INLINE);
    if (err == 0)
        err = service_add_route(service, "GET", "/stats", send_stats, ROUTE_INLINE | ROUTE_ALWAYS);
    return err;
}
