/* SPDX-License-Identifier: MIT */
/* rate.h - how often each client may ask: one limiter for each, for the clients of late.
 *
 * A table of fixed size: a client looks for its place among a few, and takes that of the one there
 * that was silent for longest. So a flood of addresses costs no memory. It may give a client a new
 * bucket, a full one, too early; it never refuses anyone for what another one did. */
#ifndef RATE_H
#define RATE_H

#include <pthread.h>
#include <stdint.h>

#include <weir.h>

enum { RATE_PLACES = 4096, RATE_TRIES = 8 };

struct rates {
    pthread_mutex_t lock;
    double rate; /* 0: any */
    uint32_t burst;
    uint64_t seed; /* so that nobody can aim at another's place */
    struct rate_client {
        unsigned char address[16];
        int64_t seen; /* 0: free */
        weir_limiter limiter;
    } * clients;
};

struct sockaddr;

int rates_init(struct rates *rates, double rate, uint32_t burst);
void rates_destroy(struct rates *rates);
void rates_change(struct rates *rates, double rate);

/* 0; or how many ns the client should wait before it asks again. */
int64_t rates_take(struct rates *rates, const struct sockaddr *address);

#endif
