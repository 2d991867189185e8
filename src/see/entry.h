/* SPDX-License-Identifier: MIT */
/* entry.h - one thing that is in metrics: an object, or a number of the program's own. */
#ifndef WEIR_SEE_ENTRY_H
#define WEIR_SEE_ENTRY_H

#include "weir/metrics.h"

#include "base/atomic.h"
#include "base/list.h"

enum kind {
    KIND_POOL,
    KIND_SEMAPHORE,
    KIND_CHANNEL,
    KIND_LIMITER,
    KIND_WINDOW,
    KIND_BREAKER,
    KIND_LEASE_POOL,
    KIND_TOPIC,
    KIND_ERRGROUP,
    KIND_OWN, /* the program's own counters and gauges */
    KINDS
};

enum type { TYPE_COUNTER, TYPE_GAUGE, TYPE_HISTOGRAM };

struct entry {
    struct list link; /* this and the next four: metrics.h */
    struct entry *next_removed;
    unsigned refs;
    bool removed;
    atomic(uint32_t) uses;
    enum kind kind;          /* constant, as is all that follows */
    const void *object;      /* of an own one: its arg */
    const char *labels;      /* as they are written, between the braces; "" for none */
    const char *name, *help; /* this and the next two: of an own one */
    enum type type;
    weir_metric_fn *fn;
    char texts[];
};

/* Whether texts are what they must be: the name of an object; all those of an own metric. */
bool weir__entry_valid_name(const char *name);
bool weir__entry_valid_own(const char *name, const char *help, const weir_label labels[]);

/* Makes an entry with these texts, which are valid. NULL: no memory. To be freed by weir__free. */
struct entry *weir__entry_object(enum kind kind, const char *name, const void *object);
struct entry *weir__entry_own(const char *name, const char *help, const weir_label labels[]);

#endif
