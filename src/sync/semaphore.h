/* SPDX-License-Identifier: MIT */
/* semaphore.h - asking a semaphore for permits without a thread that waits. */
#ifndef WEIR_SYNC_SEMAPHORE_H
#define WEIR_SYNC_SEMAPHORE_H

#include "weir/semaphore.h"

#include "wait/waiter.h"

/* Stands in the line of the semaphore like a thread that waits. The owner's memory; `granted` is
 * set by the owner. */
struct semaphore_request {
    struct waiter waiter;
    const weir_context *ctx; /* of a thread, or NULL */
    uint32_t n;
    /* It has its permits. Called once, with no lock held, by the thread that gave them; from the
     * call on the request is its owner's again. NULL: a thread waits, and is woken. */
    void (*granted)(struct semaphore_request *request);
};

/* True: `n` permits are taken, at most as many as the semaphore has. False: the request stands in
 * line, and may have been granted since. */
bool weir__semaphore_ask(weir_semaphore *sem, uint32_t n, struct semaphore_request *request);
/* True: it stands in line no longer. False: it is being granted, or was. */
bool weir__semaphore_withdraw(weir_semaphore *sem, struct semaphore_request *request);

#endif
