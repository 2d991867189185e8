/* SPDX-License-Identifier: MIT */
/* keyed_table.h - a table of serials, one for each key in use.
 *
 * A line is free, or in use for a key: from the submit that takes it until no submit is under way
 * for it and its serial has no task. The last of these gives it back: a submit
 * (weir__keyed_leave), or the thread that lets go of the serial (emptied). Lines in use are found
 * by their keys, in chains.
 *
 * Locks: the table's guards lines and chains, and is taken last: a serial calls `emptied` with its
 * mutex, and a submit that leaves takes it first. To put a task into a serial, neither is held.
 *
 * Who wakes whom. A line that becomes free wakes one thread that waits for a key, under the address
 * of the table; one that leaves wakes the next, whatever became of it. A key that comes in use
 * wakes those that wait for it. A close wakes all, and so does the close of the pool, for which
 * they wait with its context. weir_keyed_free waits under the address of `active`.
 */
#ifndef WEIR_FLOW_KEYED_TABLE_H
#define WEIR_FLOW_KEYED_TABLE_H

#include "weir/keyed.h"

#include "pool/serial_work.h"

struct line {
    weir_serial serial;
    weir_keyed *keyed;
    uint64_t key;
    uint32_t next;    /* index+1, in its chain or among the free ones */
    uint32_t submits; /* under way */
    bool used;
};

struct weir_keyed {
    weir_pool *pool;
    uint32_t fork;
    uint32_t keys; /* of lines */
    uint32_t shift;
    uint64_t factor; /* by chance: nobody can choose keys that are all in one chain */
    struct line *lines;
    uint32_t *chains; /* index+1 of the first, or 0 */
    struct mutex lock;
    uint32_t free; /* index+1, or 0 */
    uint32_t active;
    bool closed;
};

/* A submit on its way to a line. */
struct entry {
    weir_keyed *keyed;
    uint64_t key;
    struct line *line;
    int err;
};

static inline struct serial *serial_of(struct line *line)
{
    return (struct serial *)&line->serial;
}

/* Makes what the keyed has of its own: 0, or -ENOMEM; to be released either way. */
int weir__keyed_build(weir_keyed *keyed, const weir_keyed_options *options);
void weir__keyed_release(weir_keyed *keyed);

/* The line in use for the key, or NULL. */
struct line *weir__keyed_find_locked(const weir_keyed *keyed, uint64_t key);
/* The same, or a free one that is now in use for it. With a submit under way. */
struct line *weir__keyed_enter_locked(weir_keyed *keyed, uint64_t key);
/* That submit is over. */
void weir__keyed_leave(struct line *line);

#endif
