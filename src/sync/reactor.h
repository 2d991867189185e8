/* SPDX-License-Identifier: MIT */
/* reactor.h - calls a function once a descriptor is ready, from a thread that exists while
 * something waits and for a moment longer. There is one for the whole process.
 *
 *     static void on_ready(struct interest *interest, uint64_t use, unsigned ready) { ... }
 *
 *     interest.ready = on_ready;
 *     err = weir__reactor_add(&interest, fd, WEIR_READABLE);
 *     ...
 *     weir__reactor_remove(&interest);
 *
 * The interest is the owner's memory, and stays until weir__reactor_release. A call may come late:
 * after the interest was removed, and even when it was added again. So the owner has a lock of its
 * own under which it adds, removes and looks: a call that finds under it another `use` than its own
 * is to do nothing. Two interests in one descriptor may not have an event in common.
 */
#ifndef WEIR_SYNC_REACTOR_H
#define WEIR_SYNC_REACTOR_H

#include <stdint.h>

#include "base/address_tree.h"
#include "base/list.h"

enum interest_state { INTEREST_OUT, INTEREST_IN, INTEREST_CLOSED };

/* All zero but for `ready` at first. */
struct interest {
    /* `ready`: of WEIR_READABLE and WEIR_WRITABLE; 0: the descriptor was closed. No lock is
     * held. */
    void (*ready)(struct interest *interest, uint64_t use, unsigned ready);
    uint64_t use; /* a number for each time that it is added; 0: it is not */
    /* Of the reactor, under its lock. */
    struct tree_node node;  /* by its descriptor; of two the first */
    struct interest *other; /* in the same descriptor */
    struct list link;       /* of those whose descriptor was closed */
    int fd;
    unsigned events;
    uint32_t tag; /* of what is armed for it (os/poller.h) */
    enum interest_state state;
};

/* Makes room for so many interests at a time, until a release of as many, which waits until no call
 * is under way to the caller's interests: none of them is added any more. 0, or -ENOMEM. A call to
 * one owner's interest may release what another owner holds, but not its own: so that release is
 * not the last one, after which the thread is joined. */
int weir__reactor_hold(unsigned interests);
void weir__reactor_release(unsigned interests);

/* Has interest->ready called once. It must not be added yet. Returns 0; -EBUSY: there is an
 * interest in one of these events already; -EBADF; -EPERM: a file that is always ready; -ELOOP: it
 * watches descriptors too many deep; -EINVAL: it is the reactor's own; -ENOSPC, -ENOMEM, -EMFILE,
 * -ENFILE; or why no thread could be started. */
int weir__reactor_add(struct interest *interest, int fd, unsigned events);

/* It is not called any more, but for a call that is under way; `use` is 0. */
void weir__reactor_remove(struct interest *interest);

#endif
