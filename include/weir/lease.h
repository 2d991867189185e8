/* SPDX-License-Identifier: MIT */
/* weir/lease.h - a bounded pool of resources that are costly to make, such as connections.
 *
 *     weir_lease_pool *connections;
 *     err = weir_lease_pool_new(&connections, WEIR_LEASE_OPTIONS(.max = 8, .make = open_connection,
 *                                                                .destroy = close_connection));
 *     ...
 *     void *connection;
 *     err = weir_lease_acquire_until(connections, &connection, ctx, weir_after(WEIR_S(1)));
 *     if (err == 0)
 *         weir_lease_release(connections, connection, use(connection));
 *
 * At most `max` resources exist at any time, those that are being made or destroyed included. An
 * acquire gets the one that was returned last; if none is idle, a new one; if there are `max`
 * already, it waits, in order. A resource that is too old, fails its check or comes back with an
 * error is destroyed, and a new one made when one is needed.
 *
 * Nothing happens by itself: an acquire or a release also destroys what is too old, and makes
 * resources until min_idle are idle. `make`, `check` and `destroy` are called on the threads that
 * make these calls, several at once, with no lock held. They must return (if a thread ends in one,
 * the pool has one resource less for ever), and must not use the pool.
 *
 * Thread-safety: every call but free may be made by any number of threads at once. A task may make
 * every call; one that waits keeps its worker.
 * After fork(), in the child: every call returns -ESTALE, and a release does nothing; free releases
 * the memory and leaves the resources alone, for they are the parent's.
 */
#ifndef WEIR_LEASE_H
#define WEIR_LEASE_H

#include "context.h"

WEIR_BEGIN_DECLS

typedef struct weir_lease_pool weir_lease_pool;

typedef struct weir_lease_options {
    size_t size;          /* filled by WEIR_LEASE_OPTIONS or weir_lease_options_init */
    unsigned max;         /* the most at any time, up to 2^20; 0: 10 */
    unsigned min_idle;    /* how many are kept idle if `max` permits; at most `max` */
    int64_t idle_timeout; /* ns; one that is idle for longer is destroyed if more than min_idle are
                           * idle; 0: never */
    int64_t max_lifetime; /* ns; an older one is destroyed, unless it is lent; 0: never */
    int (*make)(void *user, void **ret_resource); /* 0, or an error; required; no two alike */
    int (*check)(void *user, void *resource);     /* 0: still good; asked when one that was idle is
                                                   * acquired; 0: always good */
    void (*destroy)(void *user, void *resource);  /* 0: nothing to do */
    void *user;                                   /* passed to the three */
} weir_lease_options;

/* A pointer to options with the fields named set and the others default (C only). */
#define WEIR_LEASE_OPTIONS(...)                                                                    \
    (&(weir_lease_options){.size = sizeof(weir_lease_options), __VA_ARGS__})
/* The same for C++ and for options that are filled step by step. */
WEIR_API void weir_lease_options_init(weir_lease_options *options);
/* What is wrong with them, or NULL: see weir_pool_options_error. */
WEIR_API const char *weir_lease_options_error(const weir_lease_options *options);

/* Makes a pool, and its first min_idle resources. Blocks for `make` only.
 * Returns 0; -EINVAL (`ret` or `make` is NULL, a negative time, a number out of range, options of a
 * size that never was); -E2BIG; -ENOMEM; what `make` returned: then what it had made before is
 * destroyed. */
WEIR_API WEIR_NODISCARD int weir_lease_pool_new(weir_lease_pool **ret,
                                                const weir_lease_options *options);

/* Destroys the resources and frees the pool; no thread may be in a call on it. free(NULL) is fine.
 * Blocks for `destroy` only. Misuse that aborts: a resource is lent, or a thread waits for one. */
WEIR_API void weir_lease_pool_free(weir_lease_pool *pool);

/* Borrows a resource. Blocks while `max` are lent, being made, checked or destroyed (so it may
 * block although none is lent). Blocks also for the three functions, in the upkeep too, which no
 * deadline cuts short; try_ does not wait, but calls them.
 * Returns 0; -EINVAL (NULL); -ESTALE; what `make` returned, if it is not 0; try_: -EAGAIN;
 * _until: -ETIMEDOUT, -ECANCELED. After an error nothing is borrowed.
 * Ordering: a release happens-before the return of the acquire that lends the same resource. */
WEIR_API WEIR_NODISCARD int weir_lease_acquire(weir_lease_pool *pool, void **ret_resource);
WEIR_API WEIR_NODISCARD int weir_lease_try_acquire(weir_lease_pool *pool, void **ret_resource);
WEIR_API WEIR_NODISCARD int weir_lease_acquire_until(weir_lease_pool *pool, void **ret_resource,
                                                     weir_context *ctx, int64_t deadline);

/* Gives a resource back, from any thread. A `code` other than 0 says that it is no longer usable:
 * it is destroyed. Blocks for a short lock, which is held longer the more are lent, and for
 * `destroy` and `make`.
 * Misuse that aborts: `pool` is NULL, or the resource is not lent. */
WEIR_API void weir_lease_release(weir_lease_pool *pool, void *resource, int code);

/* Resources that are lent and idle now; acquires that wait; and since the pool was made: resources
 * made and destroyed, and calls of `make` that failed. */
typedef struct weir_lease_counts {
    uint64_t lent, idle, waiting, made, destroyed, failed;
} weir_lease_counts;

/* Zeroes for NULL or a stale pool. Blocks for a short lock only. And the most resources there may
 * be; 0 for NULL. */
WEIR_API void weir_lease_read_counts(const weir_lease_pool *pool, weir_lease_counts *ret);
WEIR_API unsigned weir_lease_max(const weir_lease_pool *pool);

WEIR_END_DECLS

#endif
