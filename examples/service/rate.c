/* SPDX-License-Identifier: MIT */
/* rate.c - how often each client may ask: one limiter for each, for the clients of late. */
#include "rate.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

int rates_init(struct rates *rates, double rate, uint32_t burst)
{
    pthread_mutex_init(&rates->lock, NULL);
    rates->rate = rate;
    rates->burst = burst;
    rates->clients = calloc(RATE_PLACES, sizeof *rates->clients);
    if (rates->clients == NULL)
        return -ENOMEM;
    if (getrandom(&rates->seed, sizeof rates->seed, 0) != sizeof rates->seed)
        return -EIO;
    return 0;
}

void rates_destroy(struct rates *rates)
{
    free(rates->clients);
    pthread_mutex_destroy(&rates->lock);
}

void rates_change(struct rates *rates, double rate)
{
    pthread_mutex_lock(&rates->lock);
    rates->rate = rate;
    for (size_t i = 0; i < RATE_PLACES; i++)
        if (rates->clients[i].seen != 0 &&
            weir_limiter_set_rate(&rates->clients[i].limiter, rate) != 0)
            rates->clients[i].seen = 0; /* begins anew */
    pthread_mutex_unlock(&rates->lock);
}

/* A client is an IPv4 address, or the network of an IPv6 address: whoever has one has 2^64. */
static void client_of(const struct sockaddr *address, unsigned char ret[16])
{
    memset(ret, 0, 16);
    if (address->sa_family == AF_INET)
        memcpy(ret, &((const struct sockaddr_in *)(const void *)address)->sin_addr, 4);
    if (address->sa_family != AF_INET6)
        return;
    const struct in6_addr *six = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(six))
        memcpy(ret, six->s6_addr + 12, 4);
    else
        memcpy(ret, six->s6_addr, 8);
}

/* FNV-1a from a secret start, mixed at the end. */
static uint64_t hash(uint64_t seed, const unsigned char address[16])
{
    for (int i = 0; i < 16; i++)
        seed = (seed ^ address[i]) * 0x100000001b3;
    return seed ^ (seed >> 29);
}

static struct rate_client *place_of_locked(struct rates *rates, const unsigned char address[16])
{
    uint64_t at = hash(rates->seed, address);
    struct rate_client *oldest = NULL;
    for (uint64_t i = 0; i < RATE_TRIES; i++) {
        struct rate_client *client = &rates->clients[(at + i) % RATE_PLACES];
        if (client->seen != 0 && memcmp(client->address, address, 16) == 0)
            return client;
        if (oldest == NULL || client->seen < oldest->seen)
            oldest = client;
    }
    memcpy(oldest->address, address, 16);
    return weir_limiter_init(&oldest->limiter, rates->rate, rates->burst) == 0 ? oldest : NULL;
}

int64_t rates_take(struct rates *rates, const struct sockaddr *address)
{
    unsigned char client_address[16];
    int64_t wait = 0, now = weir_now();
    client_of(address, client_address);
    pthread_mutex_lock(&rates->lock);
    if (rates->rate > 0) {
        struct rate_client *client = place_of_locked(rates, client_address);
        if (client != NULL) {
            client->seen = now;
            if (weir_limiter_allow_at(&client->limiter, 1, now) != 0)
                wait = (int64_t)(1e9 / rates->rate) + 1;
        }
    }
    pthread_mutex_unlock(&rates->lock);
    return wait;
}
