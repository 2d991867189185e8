/* SPDX-License-Identifier: MIT */
/* stages.h - which item of a pipeline may enter which stage.
 *
 * A token carries an item. It is always in one of four places:
 *   HELD     by a thread, which calls the stage's function, or is about to;
 *   READY    in the list `ready`: it may enter its stage, and waits for a thread;
 *   WAITING  at the gate of a stage that is busy, or whose turn has not come;
 *   RETIRED  there is no more input.
 * Tokens without an item wait for input at the gate of the first stage; after the last stage they
 * go there again. A token whose item goes no further passes the gates as the others do.
 *
 * I1  A gate is busy as long as one token that has passed it is HELD or READY. No token that may
 *     pass waits at a gate that is not busy: the token that leaves lets the next one in.
 * I2  A token that waits for the turn of an earlier item waits for a token that is HELD, READY, or
 *     WAITING at a stage further back. So while tokens wait, one is HELD or READY.
 *
 * I3  A token is READY: all helpers that there may be have joined, or a thread that has seen it
 *     will ask for one more to join. A helper looks and leaves in one step under the lock, so that
 *     none is counted which will not look again.
 *
 * Lock: it guards everything but the tokens that are HELD. `ready_count` can be read without.
 */
#ifndef WEIR_GROUP_STAGES_H
#define WEIR_GROUP_STAGES_H

#include "weir/pipeline.h"

#include "base/atomic.h"
#include "base/heap.h"
#include "base/list.h"
#include "os/lock.h"

struct token {
    struct list link;      /* while READY, or to be dropped */
    struct heap_node node; /* while WAITING */
    void *item;
    int64_t number; /* of the item */
    unsigned stage; /* that it is in, or enters next */
};

struct gate {
    bool busy;
    int64_t turn; /* how many have left: of an ordered stage, the item that enters next */
    struct heap waiting;
};

struct stages {
    const weir_stage *stages;
    unsigned n;
    struct token *tokens;
    size_t count; /* of tokens */
    struct lock lock;
    struct gate gates[WEIR_PIPELINE_MAX_STAGES];
    struct list ready;
    bool no_input;
    size_t retired;
    unsigned helpers, most;       /* threads that will look for READY tokens, besides the caller */
    atomic(uint32_t) ready_count; /* changed under the lock */
};

/* Of a struct that is all-zero but for `stages` and `n`. One token is READY. 0, or -ENOMEM. */
int weir__stages_init(struct stages *stages, size_t tokens);
void weir__stages_destroy(struct stages *stages);

/* A token that is READY, then HELD; or NULL: then the thread, if it is a `helper`, has left.
 * `*ret_more`: one more is READY. */
struct token *weir__stages_take(struct stages *stages, bool helper, bool *ret_more);

/* May one helper more join? It has, then: it has to call weir__stages_take; or to leave. */
bool weir__stages_join(struct stages *stages);
void weir__stages_leave(struct stages *stages);

/* The function of the token's stage has returned, or was not called because the item goes no
 * further. Returns the token that this thread holds now, or NULL; `*ret_more` as above. */
struct token *weir__stages_advance(struct stages *stages, struct token *token, bool helper,
                                   bool *ret_more);

/* There will be no more calls: takes out all items that are READY or WAITING, as a list of tokens,
 * and ends the input. */
void weir__stages_drain(struct stages *stages, struct list *ret_tokens);

/* Is something READY? */
static inline bool stages_ready(const struct stages *stages)
{
    return load_seqcst(&stages->ready_count) != 0; /* pairs with make_ready_locked */
}

/* All items are through; at the end. */
static inline bool stages_finished(const struct stages *stages)
{
    return stages->retired == stages->count;
}

#endif
