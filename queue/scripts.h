/* SPDX-License-Identifier: MIT */
/* scripts.h - the scripts by which the server changes a queue, each in one atomic step.
 *
 * scripts/NAME.lua says what it takes, what it returns, and which invariant it keeps.
 */
#ifndef WEIR_QUEUE_SCRIPTS_H
#define WEIR_QUEUE_SCRIPTS_H

#include <stddef.h>

struct script {
    const char *name;
    const char *sha; /* the server's name for it, once it has seen it */
    const char *text;
    size_t size;
};

extern const struct script weir__script_cancel;
extern const struct script weir__script_dead;
extern const struct script weir__script_leave;
extern const struct script weir__script_pause;
extern const struct script weir__script_push;
extern const struct script weir__script_raise;
extern const struct script weir__script_renew;
extern const struct script weir__script_running;
extern const struct script weir__script_settle;
extern const struct script weir__script_start;
extern const struct script weir__script_stats;
extern const struct script weir__script_take;

/* All of them, and NULL. */
extern const struct script *const weir__scripts[];

#endif
