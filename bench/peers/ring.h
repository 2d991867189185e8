/* SPDX-License-Identifier: MIT */
/* ring.h - what the ring workloads ask of a queue of pointers. All queues are called out of line,
 * through these pointers. */
#ifndef BENCH_PEERS_RING_H
#define BENCH_PEERS_RING_H

#include <stdbool.h>
#include <stddef.h>

struct ring_peer {
    const char *name;
    void *(*open)(size_t capacity, unsigned producers);
    void (*close)(void *ring);
    bool (*push)(void *ring, void *item);     /* false: full */
    bool (*pop)(void *ring, void **ret_item); /* false: empty */
};

#ifdef __cplusplus
extern "C" {
#endif

/* All forms of the peer; ends with a NULL. */
extern const struct ring_peer *const ring_forms[];

#ifdef __cplusplus
}
#endif

#endif
