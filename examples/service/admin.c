/* SPDX-License-Identifier: MIT */
/* admin.c - metrics, a dump, a timeline: on a listener of their own.
 *
 * They are for those who run the service, not for those who use it, and they have to work when the
 * service does not: so MHD gives each connection a thread, and nothing here goes through the pool.
 * Few connections at once, so that they cannot be many threads. */
#include "admin.h"

#include "events.h"
#include "inside.h"
#include "jobs.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int add_text(const char *data, size_t n, void *arg)
{
    struct text *text = arg;
    text_add(text, data, n);
    return text->failed ? -ENOMEM : 0;
}

static int dump_pool(weir_pool *pool, void *arg)
{
    return weir_pool_dump(pool, add_text, arg);
}

static int write_dump(struct service *service, struct text *text)
{
    int err = admission_with_pool(&service->admission, dump_pool, text);
    text_put(text, "\n");
    return err != 0 ? err : weir_pool_dump(service->background, add_text, text);
}

static int write_trace(const char *seconds, struct text *text)
{
    int64_t n = 1;
    if (seconds != NULL && read_number(seconds, 1, 60, &n) != 0)
        return -EINVAL;
    int err = weir_trace_start(WEIR_TRACE_OPTIONS(.write = add_text, .arg = text));
    if (err != 0)
        return err;
    err = weir_sleep_until(NULL, weir_after(WEIR_S(n)));
    int stopped = weir_trace_stop();
    return err != 0 ? err : stopped;
}

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status, const char *type,
                              struct text *text)
{
    size_t size = 0;
    char *body = text_take(text, &size);
    struct MHD_Response *response =
        body == NULL ? NULL : MHD_create_response_from_buffer(size, body, MHD_RESPMEM_MUST_FREE);
    if (response == NULL)
        return MHD_NO;
    MHD_add_response_header(response, "Content-Type", type);
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static enum MHD_Result on_admin(void *arg, struct MHD_Connection *connection, const char *url,
                                const char *method, const char *version, const char *data,
                                size_t *size, void **context)
{
    (void)version;
    (void)data;
    (void)context;
    struct service *service = arg;
    struct text text = {0};
    const char *type = "text/plain; charset=utf-8";
    int err = -ENOENT;
    *size = 0;
    if (strcmp(method, "GET") != 0) {
        err = -EINVAL;
    } else if (strcmp(url, "/metrics") == 0) {
        type = WEIR_METRICS_CONTENT_TYPE;
        err = weir_metrics_write(service->metrics, add_text, &text);
    } else if (strcmp(url, "/debug/dump") == 0) {
        err = write_dump(service, &text);
    } else if (strcmp(url, "/debug/trace") == 0) {
        type = "application/json";
        err = write_trace(MHD_lookup_connection_value(connection, MHD_GET_ARGUMENT_KIND, "seconds"),
                          &text);
    }
    if (err == 0)
        return answer(connection, 200, type, &text);
    free(text.data);
    text = (struct text){0};
    text_format(&text, "%s\n", weir_strerror(err));
    return answer(connection,
                  err == -ENOENT   ? 404
                  : err == -EINVAL ? 400
                  : err == -EBUSY  ? 409
                                   : 500,
                  "text/plain", &text);
}

int admin_start(struct service *service, unsigned *ret_port)
{
    int fd = listen_on(service->settings.admin, ret_port);
    if (fd < 0)
        return fd;
    service->admin = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL, 0, NULL,
        NULL, on_admin, service, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, 16u,
        MHD_OPTION_CONNECTION_TIMEOUT, 10u, MHD_OPTION_END);
    if (service->admin == NULL) {
        (void)close(fd);
        return -EIO;
    }
    return 0;
}

void admin_stop(struct service *service)
{
    if (service->admin != NULL)
        MHD_stop_daemon(service->admin);
    service->admin = NULL;
}

/* Metrics. */

static double read_counter(void *arg)
{
    return (double)atomic_load((atomic_uint_fast64_t *)arg);
}

static double read_size(void *arg)
{
    return (double)atomic_load((atomic_size_t *)arg);
}

static double read_shedding(void *arg)
{
    struct admission_state state;
    admission_read(arg, &state);
    return state.shedding;
}

static double read_head_age(void *arg)
{
    struct admission_state state;
    admission_read(arg, &state);
    return (double)state.head_age / 1e9;
}

static double read_breaker(void *arg)
{
    return weir_breaker_read_state(store_breaker(arg)) != WEIR_BREAKER_CLOSED;
}

static double read_jobs(void *arg)
{
    return (double)jobs_live(arg);
}

static int add_answers(struct service *service)
{
    static const struct {
        int status;
        const char *text;
    } known[] = {{200, "200"}, {201, "201"}, {202, "202"}, {204, "204"}, {400, "400"},
                 {401, "401"}, {404, "404"}, {405, "405"}, {409, "409"}, {413, "413"},
                 {422, "422"}, {429, "429"}, {500, "500"}, {503, "503"}, {504, "504"}};
    int err = 0;
    for (size_t i = 0; i < sizeof known / sizeof known[0] && err == 0; i++)
        err = weir_metrics_add_counter(service->metrics, "service_requests_total",
                                       "Requests that were answered.",
                                       WEIR_LABELS({"status", known[i].text}), read_counter,
                                       &service->answers[known[i].status]);
    return err;
}

static int add_verdicts(struct service *service)
{
    static const char *const names[VERDICTS] = {"admitted", "full", "delay", "closed"};
    int err = 0;
    for (size_t i = 0; i < VERDICTS && err == 0; i++)
        err = weir_metrics_add_counter(service->metrics, "service_admission_total",
                                       "Requests by what became of them at the queue.",
                                       WEIR_LABELS({"verdict", names[i]}), read_counter,
                                       &service->admission.verdicts[i]);
    return err;
}

static int add_gauges(struct service *service)
{
    const struct {
        const char *name, *help;
        weir_metric_fn *fn;
        void *arg;
    } gauges[] = {
        {"service_requests_in_flight", "Requests that were queued and are not over.", read_size,
         &service->in_flight},
        {"service_body_bytes", "Bytes of all bodies that are in memory, or were announced.",
         read_size, &service->body_bytes},
        {"service_shedding", "1 while requests are refused by delay.", read_shedding,
         &service->admission},
        {"service_queue_head_age_seconds", "How long the oldest request has waited.", read_head_age,
         &service->admission},
        {"service_breaker_open", "1 while the database is not asked.", read_breaker,
         &service->store},
        {"service_jobs", "Background jobs that are not over.", read_jobs, service->jobs},
    };
    int err = 0;
    for (size_t i = 0; i < sizeof gauges / sizeof gauges[0] && err == 0; i++)
        err = weir_metrics_add_gauge(service->metrics, gauges[i].name, gauges[i].help, NULL,
                                     gauges[i].fn, gauges[i].arg);
    return err;
}

int admin_add_metrics(struct service *service)
{
    int err = weir_metrics_new(&service->metrics);
    if (err == 0)
        err = weir_metrics_add_pool(service->metrics, "requests", service->admission.crew->pool);
    if (err == 0)
        err = weir_metrics_add_pool(service->metrics, "background", service->background);
    if (err == 0)
        err = weir_metrics_add_lease_pool(service->metrics, "readers", service->store.lanes[READ]);
    if (err == 0)
        err = weir_metrics_add_lease_pool(service->metrics, "writer", service->store.lanes[WRITE]);
    if (err == 0)
        err = weir_metrics_add_topic(service->metrics, "documents", events_topic(service->events));
    if (err == 0)
        err = weir_metrics_add_channel(service->metrics, "log", service->log.channel);
    if (err == 0)
        err = weir_metrics_add_counter(service->metrics, "service_log_dropped_total",
                                       "Lines of requests that found the log's channel full.", NULL,
                                       read_counter, &service->log.dropped);
    if (err == 0)
        err = add_answers(service);
    if (err == 0)
        err = add_verdicts(service);
    return err != 0 ? err : add_gauges(service);
}

int admin_change_crew(struct service *service, struct crew *from, struct crew *to)
{
    (void)weir_metrics_remove(service->metrics, from->pool);
    return weir_metrics_add_pool(service->metrics, "requests", to->pool);
}
