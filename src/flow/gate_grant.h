/* SPDX-License-Identifier: MIT */
/* gate_grant.h - a gate, and what its tasks need to be let in. See gate.c. */
#ifndef WEIR_FLOW_GATE_GRANT_H
#define WEIR_FLOW_GATE_GRANT_H

#include "weir/gate.h"

#include "flow/gaps.h"
#include "os/lock.h"
#include "pool/gate.h"
#include "sync/semaphore.h"

struct __attribute__((may_alias)) whole_gate {
    struct job_gate gate;      /* first: what the pool knows of it */
    weir_semaphore *semaphore; /* constant, as all up to `lock` */
    weir_limiter *limiter;
    weir_breaker *breaker;
    uint32_t permits, tokens;
    struct lock lock;
    struct list line;
    size_t waiting, tasks; /* in the line; behind the gate: wherever they are, until their end */
    const struct pass *held;
    bool looking, again;
    bool asked, permitted, paid;
    struct semaphore_request request;
    struct gap taken; /* the tokens; while `paid` */
    int64_t due;
};

_Static_assert(sizeof(struct whole_gate) <= sizeof(weir_gate), "fits");

/* What a pass was let in with, in its words. */
struct __attribute__((may_alias)) grant {
    uint64_t ticket; /* 0: none */
    struct gap taken;
};

_Static_assert(sizeof(struct grant) <= sizeof((struct pass){0}.words), "fits");

/* These are for the thread that looks. They get what the first pass needs, unless the gate has
 * it. False: not yet. The permits will be granted, or *ret_at is when to ask again; then the
 * permits have gone back, unless the tokens come due at that time. */
bool weir__gate_get_permits(struct whole_gate *gate);
bool weir__gate_get_tokens(struct whole_gate *gate, int64_t *ret_at);
bool weir__gate_get_ticket(struct whole_gate *gate, uint64_t *ret_ticket, int64_t *ret_at);

/* Nobody waits: gives back all that the gate has for its first pass. */
void weir__gate_settle(struct whole_gate *gate);

/* Gives back what a pass was let in with. */
void weir__gate_give_back(struct whole_gate *gate, const struct grant *grant, bool started,
                          int status);

#endif
