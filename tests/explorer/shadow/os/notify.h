/* SPDX-License-Identifier: MIT */
/* notify.h - in the explorer, the descriptor of a completion is a word to park on: 1 from raise to
 * lower. See src/os/notify.h for the promises. */
#ifndef WEIR_OS_NOTIFY_H
#define WEIR_OS_NOTIFY_H

#include "os/park.h"

struct notify {
    struct park level;
};

int weir__notify_open(struct notify *notify);
void weir__notify_close(struct notify *notify);
void weir__notify_raise(struct notify *notify);
void weir__notify_lower(struct notify *notify);

static inline int weir__notify_fd(const struct notify *notify)
{
    return (int)load_seqcst(&notify->level.word);
}

/* Makes the only descriptor that weir__poll knows ready for these events, and for no others. */
void virtual_descriptor(unsigned events);

/* The descriptor was closed, and its number given to a file that is ready for these. */
void virtual_descriptor_replaced(unsigned events);

/* Blocks until the one that was opened last is raised. */
void virtual_poll(void);

#endif
