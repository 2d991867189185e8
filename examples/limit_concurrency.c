/* SPDX-License-Identifier: MIT */
/* limit_concurrency.c - a semaphore bounds how many tasks use something at once.
 *
 * Six requests run on four workers, but the service behind them takes no more than two units of
 * load at a time. Small requests need one, the large one needs both. */
#include <pthread.h>
#include <stdio.h>

#include <weir.h>

struct service {
    weir_semaphore load;
    pthread_mutex_t lock; /* guards the counts below, which are printed */
    unsigned now, most, served;
};

struct request {
    struct service *service;
    unsigned load;
};

static void count(struct service *service, int change)
{
    pthread_mutex_lock(&service->lock);
    service->now += (unsigned)change;
    if (service->now > service->most)
        service->most = service->now;
    if (change < 0)
        service->served++;
    pthread_mutex_unlock(&service->lock);
}

static int serve(weir_context *ctx, void *arg)
{
    const struct request *request = arg;
    struct service *service = request->service;
    int err = weir_semaphore_acquire_until(&service->load, request->load, ctx, WEIR_FOREVER);
    if (err != 0)
        return err;
    count(service, (int)request->load);
    err = weir_sleep_until(ctx, weir_after(WEIR_MS(2))); /* the service is at work */
    count(service, -(int)request->load);
    weir_semaphore_release(&service->load, request->load);
    return err;
}

static int run(weir_pool *pool, struct service *service)
{
    struct request requests[] = {{service, 1}, {service, 1}, {service, 2},
                                 {service, 1}, {service, 1}, {service, 1}};
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    int err = 0;
    for (size_t i = 0; i < sizeof requests / sizeof requests[0] && err == 0; i++)
        err = weir_waitgroup_go(&wg, pool, serve, &requests[i]);
    int waited = weir_waitgroup_wait(&wg);
    if (err == 0)
        err = waited;
    printf("served %u requests\n", service->served);
    printf("never more than two units of load: %s\n", service->most <= 2 ? "yes" : "no");

    /* Without a wait, and with one that has a limit. */
    if (err == 0)
        err = weir_semaphore_acquire(&service->load, 2);
    if (err != 0)
        return err;
    printf("one more: %s\n", weir_strerror(weir_semaphore_try_acquire(&service->load, 1)));
    printf("one more, in 1 ms: %s\n", weir_strerror(weir_semaphore_acquire_until(
                                          &service->load, 1, NULL, weir_after(WEIR_MS(1)))));
    weir_semaphore_release(&service->load, 2);
    return 0;
}

int main(void)
{
    struct service service = {.lock = PTHREAD_MUTEX_INITIALIZER};
    weir_pool *pool = NULL;
    int err = weir_semaphore_init(&service.load, 2);
    if (err == 0)
        err = weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 4));
    if (err == 0)
        err = run(pool, &service);
    weir_pool_free(pool);
    weir_semaphore_destroy(&service.load);
    if (err != 0)
        fprintf(stderr, "limit_concurrency: %s\n", weir_strerror(err));
    return err != 0;
}
