/* SPDX-License-Identifier: MIT */
/* customer_order.c - jobs of one customer in order, of all within limits; alerts before others. */
#include <stdio.h>
#include <string.h>

#include <weir.h>

enum { CUSTOMERS = 3, ORDERS = 5, URGENT = 0, LANES = 2 };

static struct customer {
    const char *name;
    char log[64]; /* no lock: only tasks of this customer write here, one at a time */
} customers[CUSTOMERS + 1] = {{"ann", ""}, {"bob", ""}, {"eve", ""}, {"alert", ""}};

static struct order {
    weir_task task; /* carries the order in the queue: nothing is allocated */
    struct customer *customer;
    int number;
} orders[ORDERS * CUSTOMERS];

static int book(weir_context *ctx, void *arg)
{
    const struct order *order = arg;
    char *log = order->customer->log, *end = log + strlen(log);
    snprintf(end, sizeof order->customer->log - (size_t)(end - log), " %d", order->number);
    return weir_sleep_until(ctx, weir_after(WEIR_MS(1))); /* the booking takes its time */
}

static int run(weir_pool *pool, weir_keyed *keyed)
{
    static struct order alert = {.customer = &customers[CUSTOMERS], .number = 1};
    int err = 0;
    for (int i = 0; i < ORDERS * CUSTOMERS && err == 0; i++) {
        int k = i % CUSTOMERS; /* in turns */
        orders[i] = (struct order){.customer = &customers[k], .number = i / CUSTOMERS + 1};
        err = weir_keyed_submit(keyed, (uint64_t)k, &orders[i].task, book, &orders[i], NULL);
    }
    if (err == 0) /* starts before every turn that is still queued */
        err = weir_pool_submit_lane(pool, URGENT, book, &alert);
    int drained = weir_pool_drain(pool); /* also after an error: what was accepted is in `orders` */
    return err != 0 ? err : drained;
}

int main(void)
{
    weir_pool *pool = NULL;
    weir_keyed *keyed = NULL;
    int err = weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 2, .lanes = LANES));
    if (err == 0) /* at most 100 customers at once, each with at most 10 orders that wait */
        err = weir_keyed_new(&keyed, pool, WEIR_KEYED_OPTIONS(.keys = 100, .limit = 10));
    if (err == 0)
        err = run(pool, keyed);
    for (int k = 0; k <= CUSTOMERS && err == 0; k++)
        printf("%s:%s\n", customers[k].name, customers[k].log);
    weir_keyed_free(keyed);
    weir_pool_free(pool);
    return err != 0;
}
