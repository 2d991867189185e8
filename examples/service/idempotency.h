/* SPDX-License-Identifier: MIT */
/* idempotency.h - the same Idempotency-Key gets the first answer for an hour.
 *
 * The answer is kept in the transaction that does the work: either both are there or none is, also
 * after a crash between them. */
#ifndef IDEMPOTENCY_H
#define IDEMPOTENCY_H

#include "store.h"

#include <stdbool.h>

struct request;

struct idempotency {
    const char *key; /* NULL: none was given, and all calls below do nothing */
    int64_t digest;  /* of the request: another one must not use the same key */
    bool known;      /* it was answered before: `location` has what */
    char location[64];
};

/* Takes the request's key. Returns 0; -EINVAL: it is empty, or longer than 128 characters. */
int idempotency_init(struct idempotency *once, const struct request *request);

/* Within the transaction: before the work, and behind it. Return 0; -EEXIST: the key was used for
 * another request; what the database says. */
int idempotency_look(struct db *db, struct idempotency *once);
int idempotency_keep(struct db *db, const struct idempotency *once);

#endif
