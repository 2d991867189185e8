/* SPDX-License-Identifier: MIT */
/* run.c - the life of a service: start, change while it runs, stop. */
#include "run.h"

#include "admin.h"
#include "cache.h"
#include "events.h"
#include "inside.h"
#include "jobs.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

enum { LOG_LINES = 4096, CANCELLED_S = 5 };

int service_add_route(struct service *service, const char *method, const char *pattern,
                      step_fn *handler, unsigned flags)
{
    if (method == NULL || pattern == NULL || pattern[0] != '/' || handler == NULL)
        return -EINVAL;
    for (size_t i = 0; i < service->n_routes; i++)
        if (strcmp(service->routes[i].method, method) == 0 &&
            strcmp(service->routes[i].pattern, pattern) == 0)
            return -EEXIST;
    if (service->n_routes == MAX_ROUTES)
        return -ENOSPC;
    service->routes[service->n_routes++] = (struct route){method, pattern, handler, flags};
    return 0;
}

static int add_routes(struct service *service)
{
    static int (*const parts[])(struct service *) = {add_middleware, add_health, add_documents,
                                                     add_exports,    add_events, add_page};
    int err = 0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0] && err == 0; i++)
        err = parts[i](service);
    return err;
}

static int load_plugin(struct service *service)
{
    if (service->settings.plugin[0] == '\0')
        return 0;
    service->plugin = dlopen(service->settings.plugin, RTLD_NOW | RTLD_LOCAL);
    if (service->plugin == NULL) {
        log_error(NULL, "%s", dlerror());
        return -ENOEXEC;
    }
    service_plugin_fn *fn;
    *(void **)&fn = dlsym(service->plugin, "weir_service_plugin");
    return fn != NULL ? fn(service) : -ENOEXEC;
}

static int read_tokens(struct tokens **ret, const struct settings *settings)
{
    *ret = NULL;
    if (settings->tokens[0] == '\0')
        return 0;
    int err = tokens_read(ret, settings->tokens);
    if (err == -EPERM)
        log_error(NULL, "%s: others can read or write it; chmod 600", settings->tokens);
    return err;
}

static struct store_options store_options(const struct settings *settings)
{
    return (struct store_options){
        .path = settings->database,
        .connections = (unsigned)settings->db_connections,
        .acquire_ms = settings->db_acquire_ms,
        .slow_ms = settings->db_slow_ms,
        .breaker_window = settings->breaker_window,
        .breaker_percent = settings->breaker_percent,
        .breaker_open_ms = settings->breaker_open_ms,
    };
}

static int open_store(struct service *service)
{
    struct store_options options = store_options(&service->settings);
    return store_open(&service->store, &options);
}

static int make_pools(struct service *service)
{
    const struct settings *settings = &service->settings;
    int err = admission_init(&service->admission, (unsigned)settings->workers,
                             (unsigned)settings->capacity);
    if (err == 0)
        (void)admission_change(&service->admission, NULL, WEIR_MS(settings->target_ms),
                               WEIR_MS(settings->interval_ms), (int)settings->shed);
    if (err == 0)
        err = weir_pool_new(&service->background,
                            WEIR_POOL_OPTIONS(.workers = (unsigned)settings->job_workers,
                                              .capacity = 2048, .name = "background"));
    return err;
}

static int clean(weir_context *ctx, void *arg)
{
    struct service *service = arg;
    int err = jobs_clean(service->jobs, ctx);
    if (err != 0 && weir_context_err(ctx) == 0)
        log_error(&service->log, "housekeeping: %s", weir_strerror(err));
    return 0; /* the next time is another try */
}

/* One thing after the other, as each needs those before it. What failed is said. */
static int build(struct service *service, unsigned *ret_port, unsigned *ret_admin)
{
    const struct settings *settings = &service->settings;
    const char *what = "the log";
    int err = log_start(&service->log, LOG_LINES);
    if (err == 0 && (what = "routes") != NULL)
        err = add_routes(service);
    if (err == 0 && (what = settings->plugin) != NULL)
        err = load_plugin(service);
    if (err == 0 && (what = settings->tokens) != NULL)
        err = read_tokens(&service->tokens, settings);
    if (err == 0 && (what = "memory") != NULL)
        err = weir_context_new(&service->root, NULL, WEIR_FOREVER);
    if (err == 0)
        err = rates_init(&service->rates, (double)settings->rate, (uint32_t)settings->burst);
    if (err == 0)
        err = cache_new(&service->cache);
    if (err == 0)
        err = events_new(&service->events, (size_t)settings->subscribers,
                         WEIR_S(settings->heartbeat_s));
    if (err == 0 && (what = "threads") != NULL)
        err = make_pools(service);
    if (err == 0 && (what = settings->database) != NULL)
        err = open_store(service);
    if (err == 0)
        err = jobs_start(&service->jobs, service);
    if (err == 0 && (what = "metrics") != NULL)
        err = admin_add_metrics(service);
    if (err == 0 && (what = "housekeeping") != NULL)
        err = weir_pool_submit_every(service->background, &service->housekeeping, clean, service,
                                     NULL, weir_now(), WEIR_S(60));
    if (err == 0 && (what = settings->admin) != NULL)
        err = admin_start(service, ret_admin);
    if (err == 0 && (what = settings->listen) != NULL)
        err = http_start(service, ret_port);
    if (err != 0)
        log_error(NULL, "%s: %s", what, weir_strerror(err));
    return err;
}

/* Ends all threads and frees what was made, as far as it was. Requests must be over. */
static void tear_down(struct service *service)
{
    http_stop(service);
    admin_stop(service);
    weir_metrics_free(service->metrics);
    if (service->admission.crew != NULL)
        admission_destroy(&service->admission);
    for (struct crew *crew; (crew = service->old_crews) != NULL; crew_free(crew))
        service->old_crews = crew->next;
    weir_pool_free(service->background);
    jobs_free(service->jobs);
    if (service->store.path != NULL)
        store_close(&service->store);
    events_free(service->events);
    cache_free(service->cache);
    free(service->recent);
    if (service->rates.burst != 0)
        rates_destroy(&service->rates);
    tokens_free(service->tokens);
    weir_context_unref(service->root);
    log_stop(&service->log);
    if (service->plugin != NULL)
        dlclose(service->plugin);
    pthread_mutex_destroy(&service->lock);
    free(service);
}

struct service *service_start(const struct settings *settings)
{
    struct service *service = calloc(1, sizeof *service);
    unsigned port = 0, admin = 0;
    if (service == NULL)
        return NULL;
    service->settings = service->latest = *settings;
    service->open = settings->open;
    service->timeout_ms = settings->timeout_ms;
    pthread_mutex_init(&service->lock, NULL);
    if (getrandom(&service->boot, sizeof service->boot, 0) != sizeof service->boot)
        service->boot = (uint64_t)weir_now();
    if (build(service, &port, &admin) != 0) {
        tear_down(service);
        return NULL;
    }
    printf("http port %u, admin port %u\n", port, admin);
    fflush(stdout);
    return service;
}

/* Changes. */

static void free_idle_crews(struct service *service)
{
    for (struct crew **at = &service->old_crews, *crew; (crew = *at) != NULL;) {
        if (weir_pool_drain_until(crew->pool, NULL, 0) == 0) {
            *at = crew->next;
            crew_free(crew);
        } else {
            at = &crew->next;
        }
    }
}

/* The old crew ends what it has; nothing is handed over, and nothing is lost. */
static void change_crew(struct service *service, struct crew *crew, const struct settings *to)
{
    struct crew *old = admission_change(&service->admission, crew, WEIR_MS(to->target_ms),
                                        WEIR_MS(to->interval_ms), (int)to->shed);
    if (old == NULL)
        return;
    if (admin_change_crew(service, old, crew) != 0)
        log_error(&service->log, "no metrics of the new workers");
    old->next = service->old_crews;
    service->old_crews = old;
}

int service_change(struct service *service, const struct settings *to)
{
    const struct settings from = service->latest;
    struct tokens *tokens = NULL;
    struct crew *crew = NULL;
    struct store_options options = store_options(to);
    const char *fixed = settings_fixed_change(&from, to);
    if (fixed != NULL) {
        log_error(&service->log, "%s cannot be changed while the service runs", fixed);
        return -EINVAL;
    }
    int err = read_tokens(&tokens, to);
    if (err == 0 && (from.workers != to->workers || from.capacity != to->capacity))
        err = crew_new(&crew, (unsigned)to->workers, (unsigned)to->capacity);
    if (err == 0)
        err = store_change(&service->store, &options,
                           from.breaker_window != to->breaker_window ||
                               from.breaker_percent != to->breaker_percent ||
                               from.breaker_open_ms != to->breaker_open_ms);
    if (err != 0) {
        tokens_free(tokens);
        crew_free(crew);
        log_error(&service->log, "nothing is changed: %s", weir_strerror(err));
        return err;
    }
    change_crew(service, crew, to);
    rates_change(&service->rates, (double)to->rate);
    pthread_mutex_lock(&service->lock);
    struct tokens *old_tokens = service->tokens;
    service->tokens = tokens;
    service->open = to->open;
    service->timeout_ms = to->timeout_ms;
    pthread_mutex_unlock(&service->lock);
    tokens_free(old_tokens);
    service->latest = *to;
    log_error(&service->log, "settings read again");
    return 0;
}

void service_tick(struct service *service)
{
    http_sweep(service);
    events_beat(service->events);
    free_idle_crews(service);
}

static int dump_pool(weir_pool *pool, void *arg)
{
    (void)arg;
    return weir_pool_dump_fd(pool, STDERR_FILENO);
}

void service_dump(struct service *service)
{
    (void)admission_with_pool(&service->admission, dump_pool, NULL);
    (void)weir_pool_dump_fd(service->background, STDERR_FILENO);
}

/* The end. */

static void sleep_for(int64_t ns)
{
    const struct timespec time = {ns / 1000000000, ns % 1000000000};
    (void)nanosleep(&time, NULL);
}

/* Until every request is over; false: there was not enough time. */
static bool wait_until_idle(struct service *service, int64_t deadline)
{
    while (atomic_load(&service->in_flight) > 0) {
        if (weir_now() >= deadline)
            return false;
        sleep_for(WEIR_MS(2));
    }
    return true;
}

/* Ends the workers. False: a handler does not return. */
static bool end_workers(struct service *service, weir_shutdown_report *ret_report)
{
    int64_t deadline = weir_after(WEIR_S(CANCELLED_S));
    int err = weir_pool_shutdown(service->admission.crew->pool, 0, deadline, ret_report);
    for (struct crew *crew = service->old_crews; crew != NULL && err == 0; crew = crew->next)
        err = weir_pool_shutdown(crew->pool, 0, deadline, NULL);
    if (err == 0)
        err = weir_pool_shutdown(service->background, 0, deadline, NULL);
    return err == 0;
}

int service_stop(struct service *service)
{
    const struct settings settings = service->latest;
    atomic_store(&service->phase, LAME);
    int64_t ends = weir_after(WEIR_MS(settings.lame_duck_ms));
    for (int64_t left; (left = ends - weir_now()) > 0; service_tick(service))
        sleep_for(left < WEIR_S(1) ? left : WEIR_S(1));
    atomic_store(&service->phase, STOPPING);
    loop_stop_accepting(&service->loop);
    events_close(service->events);
    bool clean_end = wait_until_idle(service, weir_after(WEIR_MS(settings.grace_ms)));
    atomic_store(&service->phase, CANCELLED);
    weir_context_cancel(service->root, 0);
    weir_shutdown_report report = {0};
    bool returned = end_workers(service, &report);
    if (!clean_end && !wait_until_idle(service, weir_after(WEIR_S(2))))
        atomic_fetch_add(&service->lost, atomic_load(&service->in_flight));
    uint64_t lost = atomic_load(&service->lost);
    if (lost > 0 || !returned)
        log_error(&service->log,
                  "stopped with %llu requests lost; tasks: %llu drained, %llu cancelled, %llu"
                  " running",
                  (unsigned long long)lost, (unsigned long long)report.drained,
                  (unsigned long long)report.cancelled, (unsigned long long)report.running);
    if (!returned) {
        log_stop(&service->log);
        _exit(1); /* what it uses cannot be freed */
    }
    tear_down(service);
    return lost > 0;
}
