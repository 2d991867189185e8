/* SPDX-License-Identifier: MIT */
/* customer_order.c - what one customer asks for is done one after the other and in order, what
 * several ask for at once, on a few workers. */
#include <stdio.h>
#include <string.h>

#include <weir.h>

enum { CUSTOMERS = 3, ORDERS = 5 };

struct customer {
    const char *name;
    char log[64]; /* no lock: only tasks of this customer write here, one at a time */
};

struct order {
    weir_task task; /* carries the order in the queue: nothing is allocated */
    struct customer *customer;
    int number;
};

static int book(weir_context *ctx, void *arg)
{
    const struct order *order = arg;
    char *log = order->customer->log;
    size_t length = strlen(log);
    snprintf(log + length, sizeof order->customer->log - length, " %d", order->number);
    return weir_sleep_until(ctx, weir_after(WEIR_MS(1))); /* the booking takes its time */
}

static int run(weir_keyed *orders, struct customer customers[])
{
    static struct order all[ORDERS * CUSTOMERS];
    int err = 0;
    for (int i = 0; i < ORDERS * CUSTOMERS && err == 0; i++) {
        int k = i % CUSTOMERS; /* in turns */
        all[i] = (struct order){.customer = &customers[k], .number = i / CUSTOMERS + 1};
        err = weir_keyed_submit(orders, (uint64_t)k, &all[i].task, book, &all[i], NULL);
    }
    int drained = weir_keyed_drain(orders); /* also after an error: what was accepted is in `all` */
    return err != 0 ? err : drained;
}

int main(void)
{
    struct customer customers[CUSTOMERS] = {{"ann", ""}, {"bob", ""}, {"eve", ""}};
    weir_pool *pool = NULL;
    weir_keyed *orders = NULL;
    int err = weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 2));
    if (err == 0) /* at most 100 customers at once, each with at most 10 orders that wait */
        err = weir_keyed_new(&orders, pool, WEIR_KEYED_OPTIONS(.keys = 100, .limit = 10));
    if (err == 0)
        err = run(orders, customers);
    for (int k = 0; k < CUSTOMERS && err == 0; k++)
        printf("%s:%s\n", customers[k].name, customers[k].log);
    weir_keyed_free(orders);
    weir_pool_free(pool);
    return err != 0;
}
