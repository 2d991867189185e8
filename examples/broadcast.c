/* SPDX-License-Identifier: MIT */
/* broadcast.c - a topic: prices for all listeners. One listener keeps up, one has room for two
 * prices only and misses the rest, and one has closed its channel. */
#include <stdio.h>

#include <weir.h>

struct price {
    const char *of;
    int cents;
};

static void listen(const char *name, weir_topic *prices, weir_channel *channel)
{
    struct price price;
    printf("%s hears:", name);
    while (weir_channel_try_recv(channel, &price) == 0)
        printf(" %s %d", price.of, price.cents);
    printf("; missed %d\n", (int)weir_topic_missed(prices, channel));
}

static int run(weir_topic *prices, weir_channel *attentive, weir_channel *slow, weir_channel *gone)
{
    const struct price today[] = {{"bread", 310}, {"milk", 129}, {"tea", 450}};
    int err = weir_topic_subscribe(prices, attentive);
    if (err == 0)
        err = weir_topic_subscribe(prices, slow);
    if (err == 0)
        err = weir_topic_subscribe(prices, gone);
    if (err != 0)
        return err;
    weir_channel_close(gone); /* it receives nothing more, and misses nothing */
    for (int i = 0; i < 3; i++)
        printf("%s: %d heard it\n", today[i].of, weir_topic_publish(prices, &today[i]));
    listen("attentive", prices, attentive);
    listen("slow", prices, slow);
    return 0;
}

int main(void)
{
    weir_topic *prices = NULL;
    weir_channel *channels[3] = {NULL, NULL, NULL};
    const size_t room[] = {8, 2, 8};
    int err = weir_topic_new(&prices);
    for (int i = 0; i < 3 && err == 0; i++)
        err = weir_channel_new(&channels[i], sizeof(struct price), room[i]);
    if (err == 0)
        err = run(prices, channels[0], channels[1], channels[2]);
    weir_topic_free(prices); /* before its channels; or unsubscribe them first */
    for (int i = 0; i < 3; i++)
        weir_channel_free(channels[i]);
    if (err != 0)
        fprintf(stderr, "broadcast: %s\n", weir_strerror(err));
    return err != 0;
}
