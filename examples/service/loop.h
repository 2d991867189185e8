/* SPDX-License-Identifier: MIT */
/* loop.h - the thread that accepts, reads and writes for all connections.
 *
 * It is ours and not libmicrohttpd's. MHD's own (0.9.75) asks for 128 events at a time, and when it
 * gets exactly so many, it waits for more before it deals with those: 128 clients that wait for
 * their answers wait for ever. Run from outside, MHD never waits. */
#ifndef LOOP_H
#define LOOP_H

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <weir.h>

struct loop {
    struct MHD_Daemon *daemon;
    const atomic_int *phase; /* at STOPPING it accepts no more */
    unsigned most;           /* connections */
    pthread_t thread;
    bool runs;
    int listen_fd;      /* the loop's to close */
    int64_t accepts_at; /* not before: there were no descriptors left */
    int wake_fd;        /* an eventfd, for the other threads */
    atomic_bool woken;  /* written to, and not read yet */
    atomic_bool ends;
    weir_waitgroup accepting; /* until it accepts no more */
};

/* Takes over listen_fd. Returns 0; or a negative errno, and the descriptor is still the caller's.
 * The daemon is stopped by the caller, after loop_stop. */
int loop_start(struct loop *loop, struct MHD_Daemon *daemon, int listen_fd, unsigned most,
               const atomic_int *phase);

/* Once the phase is STOPPING: returns when no client is accepted any more. */
void loop_stop_accepting(struct loop *loop);

/* Ends the thread. Fine for an all-zero one. */
void loop_stop(struct loop *loop);

/* Goes on with a suspended connection. From any thread. */
void loop_resume(struct loop *loop, struct MHD_Connection *connection);

#endif
