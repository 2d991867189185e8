/* SPDX-License-Identifier: MIT */
/* page.c - prints the metrics of two objects of each kind, some with names that need care. */
#include <errno.h>
#include <stdio.h>

#include "weir.h"

/* check.py knows them too. */
static const char *const names[] = {"plain",
                                    "quote\" back\\slash new\nline, {a=\"b\"} \xe2\x82\xac"};

struct objects {
    weir_pool *pool;
    weir_semaphore semaphore;
    weir_channel *channel;
    weir_limiter limiter;
    weir_window *window;
    weir_breaker breaker;
    weir_lease_pool *leases;
    weir_topic *topic;
    weir_errgroup *group;
};

static int make_resource(void *user, void **ret_resource)
{
    *ret_resource = user;
    return 0;
}

static int make(struct objects *objects)
{
    int err = weir_pool_new(&objects->pool, NULL);
    if (err == 0)
        err = weir_semaphore_init(&objects->semaphore, 3);
    if (err == 0)
        err = weir_channel_new(&objects->channel, 1, 3);
    if (err == 0)
        err = weir_limiter_init(&objects->limiter, 1e9, 3);
    if (err == 0 && weir_limiter_reserve(&objects->limiter, 3) < 0)
        err = -EINVAL;
    if (err == 0)
        err = weir_window_new(&objects->window, 3, WEIR_S(1));
    if (err == 0)
        err = weir_breaker_init(&objects->breaker, NULL);
    if (err == 0)
        err = weir_lease_pool_new(&objects->leases, WEIR_LEASE_OPTIONS(.make = make_resource));
    if (err == 0)
        err = weir_topic_new(&objects->topic);
    if (err == 0)
        err = weir_errgroup_new(&objects->group, objects->pool, NULL, NULL);
    return err;
}

static int add(weir_metrics *metrics, const char *name, struct objects *objects)
{
    int err = weir_metrics_add_pool(metrics, name, objects->pool);
    if (err == 0)
        err = weir_metrics_add_semaphore(metrics, name, &objects->semaphore);
    if (err == 0)
        err = weir_metrics_add_channel(metrics, name, objects->channel);
    if (err == 0)
        err = weir_metrics_add_limiter(metrics, name, &objects->limiter);
    if (err == 0)
        err = weir_metrics_add_window(metrics, name, objects->window);
    if (err == 0)
        err = weir_metrics_add_breaker(metrics, name, &objects->breaker);
    if (err == 0)
        err = weir_metrics_add_lease_pool(metrics, name, objects->leases);
    if (err == 0)
        err = weir_metrics_add_topic(metrics, name, objects->topic);
    if (err == 0)
        err = weir_metrics_add_errgroup(metrics, name, objects->group);
    return err;
}

static void drop(struct objects *objects)
{
    weir_errgroup_free(objects->group);
    weir_topic_free(objects->topic);
    weir_lease_pool_free(objects->leases);
    weir_window_free(objects->window);
    weir_channel_free(objects->channel);
    weir_semaphore_destroy(&objects->semaphore);
    weir_pool_free(objects->pool);
}

static int nothing(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return 0;
}

static double third(void *arg)
{
    (void)arg;
    return 1.0 / 3;
}

/* Families that others of the program's own come between. */
static int add_own(weir_metrics *metrics)
{
    int err = 0;
    for (int i = 0; i < 2 && err == 0; i++) {
        err = weir_metrics_add_counter(metrics, "app_things_total", "Things, \\ and\nmore.",
                                       WEIR_LABELS({"zone", names[i]}, {"kind", names[1 - i]}),
                                       third, NULL);
        if (err == 0)
            err = weir_metrics_add_gauge(metrics, "app_level", "A level.",
                                         i == 0 ? NULL : WEIR_LABELS({"zone", "a"}), third, NULL);
    }
    return err;
}

static int print(const char *text, size_t n, void *arg)
{
    return fwrite(text, 1, n, arg) == n ? 0 : -EIO;
}

int main(void)
{
    struct objects objects[2] = {{.pool = NULL}};
    weir_metrics *metrics = NULL;
    int err = weir_metrics_new(&metrics);
    for (int i = 0; i < 2 && err == 0; i++) {
        err = make(&objects[i]);
        if (err == 0)
            err = add(metrics, names[i], &objects[i]);
    }
    if (err == 0)
        err = add_own(metrics);
    for (int i = 0; i < 100 && err == 0; i++)
        err = weir_pool_submit(objects[0].pool, nothing, NULL);
    if (err == 0)
        err = weir_pool_drain(objects[0].pool);
    if (err == 0)
        err = weir_metrics_write(metrics, print, stdout);
    weir_metrics_free(metrics);
    for (int i = 0; i < 2; i++)
        drop(&objects[i]);
    if (err != 0)
        fprintf(stderr, "page: %s\n", weir_strerror(err));
    return err != 0;
}
