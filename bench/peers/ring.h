/* SPDX-License-Identifier: MIT */
/* ring.h - what the ring workloads ask of a queue of pointers. All queues are called out of line,
 * through these pointers. A queue that is in a library is reached by one more jump, not by another
 * call, since its functions return what is returned here. */
#ifndef BENCH_PEERS_RING_H
#define BENCH_PEERS_RING_H

#include <stddef.h>

struct ring_peer {
    const char *name;
    void *(*open)(size_t capacity, unsigned producers);
    void (*close)(void *ring);
    int (*push)(void *ring, void *item);     /* not 0: full */
    int (*pop)(void *ring, void **ret_item); /* not 0: empty */
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
