/* SPDX-License-Identifier: MIT */
/* metrics_endpoint.c - a program with a page for Prometheus, served by libmicrohttpd.
 *
 * Usage: metrics_endpoint [PORT]      0, the default: a free one
 *
 * It works a little, prints the address of the page, and serves it until it gets SIGINT or SIGTERM.
 * weir has no server and needs none: the page is a text, made on the thread of the request. */
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <microhttpd.h>
#include <weir.h>

/* A text that grows. */
struct page {
    char *text;
    size_t length, room;
};

static int append(const char *text, size_t n, void *arg)
{
    struct page *page = arg;
    if (n > page->room - page->length) {
        size_t room = 2 * page->room + n;
        char *larger = realloc(page->text, room);
        if (larger == NULL)
            return -ENOMEM; /* ends the write, which returns it */
        page->text = larger;
        page->room = room;
    }
    memcpy(page->text + page->length, text, n);
    page->length += n;
    return 0;
}

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status,
                              const struct page *page)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(page->length, page->text, MHD_RESPMEM_MUST_COPY);
    if (response == NULL)
        return MHD_NO;
    enum MHD_Result result = MHD_NO;
    if (MHD_add_response_header(response, "Content-Type", WEIR_METRICS_CONTENT_TYPE) == MHD_YES)
        result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

/* Called by the server for each request, on its own thread. */
static enum MHD_Result on_request(void *metrics, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *size, void **state)
{
    (void)method;
    (void)version;
    (void)data;
    (void)size;
    (void)state;
    struct page page = {NULL, 0, 0};
    unsigned status = MHD_HTTP_NOT_FOUND;
    if (strcmp(url, "/metrics") == 0)
        status = weir_metrics_write(metrics, append, &page) == 0 ? MHD_HTTP_OK
                                                                 : MHD_HTTP_INTERNAL_SERVER_ERROR;
    if (status != MHD_HTTP_OK)
        page.length = 0;
    enum MHD_Result result = answer(connection, status, &page);
    free(page.text);
    return result;
}

static double seconds_up(void *started)
{
    return (double)(weir_now() - *(int64_t *)started) / 1e9;
}

static int work(weir_context *ctx, void *arg)
{
    (void)ctx;
    return arg == NULL ? 0 : -EIO;
}

static int serve_until_signal(weir_metrics *metrics, uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    sigset_t ends;
    int signal_number;
    sigemptyset(&ends);
    sigaddset(&ends, SIGINT);
    sigaddset(&ends, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &ends, NULL); /* before the server's thread, which inherits it */
    struct MHD_Daemon *server =
        MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, port, NULL, NULL, on_request, metrics,
                         MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_END);
    if (server == NULL)
        return -EADDRINUSE;
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(server, MHD_DAEMON_INFO_BIND_PORT);
    printf("http://127.0.0.1:%u/metrics\n", info != NULL ? info->port : port);
    fflush(stdout);
    (void)sigwait(&ends, &signal_number);
    MHD_stop_daemon(server);
    return 0;
}

int main(int argc, char **argv)
{
    long port = argc > 1 ? strtol(argv[1], NULL, 10) : 0;
    int64_t started = weir_now();
    weir_pool *pool = NULL;
    weir_metrics *metrics = NULL;
    weir_breaker backend;
    int err = port < 0 || port > 65535 ? -EINVAL : weir_breaker_init(&backend, NULL);
    if (err == 0)
        err = weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 2, .capacity = 16));
    if (err == 0)
        err = weir_metrics_new(&metrics);
    if (err == 0)
        err = weir_metrics_add_pool(metrics, "jobs", pool);
    if (err == 0)
        err = weir_metrics_add_breaker(metrics, "backend", &backend);
    if (err == 0)
        err = weir_metrics_add_counter(metrics, "app_uptime_seconds_total",
                                       "Seconds since the program was started.", NULL, seconds_up,
                                       &started);
    for (int i = 0; i < 40 && err == 0; i++)
        err = weir_pool_submit(pool, work, i % 20 == 0 ? pool : NULL); /* two of them fail */
    if (err == 0)
        err = weir_pool_drain(pool);
    if (err == 0)
        err = serve_until_signal(metrics, (uint16_t)port);
    weir_metrics_free(metrics); /* before what is in it */
    weir_pool_free(pool);
    if (err != 0)
        fprintf(stderr, "metrics_endpoint: %s\n", strerror(-err));
    return err != 0;
}
