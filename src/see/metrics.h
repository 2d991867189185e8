/* SPDX-License-Identifier: MIT */
/* metrics.h - what metrics are made of: entries in lists, one list for each kind.
 *
 * States of an entry: LISTED -> REMOVED -> freed. It is freed when it is removed and nothing refers
 * to it any more.
 *
 * Two things keep a writer and a remove apart:
 *   refs  a writer that stands at an entry keeps its memory and its place in the list, so that it
 *         finds the next one from there; also while the callback blocks. A remove does not wait for
 *         that.
 *   uses  a writer that reads the object keeps a remove from returning. No callback of the write
 *         is called meanwhile, only the program's own function of that entry.
 *
 * Lock: the metrics' guards the lists and what of an entry is not constant. Nothing
 * is called under it. `uses` is changed under it and looked at without, by the remove that waits.
 */
#ifndef WEIR_SEE_METRICS_H
#define WEIR_SEE_METRICS_H

#include "os/fork.h"
#include "os/lock.h"
#include "os/thread.h"
#include "see/entry.h"

/* A writer that reads an object, on its stack. */
struct use {
    struct list link;
    struct entry *entry;
    const struct self *thread; /* compared only */
};

struct weir_metrics {
    uint32_t fork;
    struct lock lock;
    struct list entries[KINDS]; /* own ones of one name stand together */
    struct list uses;
    unsigned calls; /* writes and removes that are under way */
};

static inline bool metrics_stale(const weir_metrics *metrics)
{
    return metrics->fork != fork_count();
}

/* Goes on from `entry` (NULL: the first) to the next one of that kind that is not removed, which it
 * then keeps instead. NULL: there is none, and nothing is kept. */
struct entry *weir__metrics_next(weir_metrics *metrics, enum kind kind, struct entry *entry);
/* Keeps it once more; and gives back what was kept, where a writer ends early too. */
void weir__metrics_keep(weir_metrics *metrics, struct entry *entry);
void weir__metrics_leave(weir_metrics *metrics, struct entry *entry);

/* From begin to end no remove of the entry's object returns. False: it was removed. */
bool weir__metrics_use_begin(weir_metrics *metrics, struct entry *entry, struct use *use);
void weir__metrics_use_end(weir_metrics *metrics, struct use *use);

#endif
