/* SPDX-License-Identifier: MIT */
#include "group/stages.h"

#include <errno.h>

#include "os/alloc.h"

static bool is_ordered(const struct stages *stages, unsigned stage)
{
    return stage > 0 && stages->stages[stage].mode == WEIR_STAGE_IN_ORDER;
}

static bool is_parallel(const struct stages *stages, unsigned stage)
{
    return stage > 0 && stages->stages[stage].mode == WEIR_STAGE_PARALLEL;
}

static void make_ready_locked(struct stages *stages, struct token *token)
{
    list_append(&stages->ready, &token->link);
    add_seqcst(&stages->ready_count, 1); /* pairs with stages_ready */
}

static struct token *take_ready_locked(struct stages *stages)
{
    if (list_empty(&stages->ready))
        return NULL;
    struct token *token = container_of(stages->ready.next, struct token, link);
    list_remove(&token->link);
    sub_rlx(&stages->ready_count, 1); /* a thread that sees it late looks once for nothing */
    return token;
}

/* May the token enter its stage? If not, it waits at the gate. */
static bool enter_locked(struct stages *stages, struct token *token)
{
    if (is_parallel(stages, token->stage))
        return true;
    struct gate *gate = &stages->gates[token->stage];
    bool ordered = is_ordered(stages, token->stage);
    if (!gate->busy && (!ordered || token->number == gate->turn)) {
        gate->busy = true;
        return true;
    }
    heap_add(&gate->waiting, &token->node, ordered ? token->number : 0);
    return false;
}

/* A token has left the stage: the one that may enter now is READY. */
static void leave_locked(struct stages *stages, unsigned stage)
{
    if (is_parallel(stages, stage))
        return;
    struct gate *gate = &stages->gates[stage];
    struct heap_node *first = gate->waiting.first;
    gate->busy = false;
    gate->turn++;
    if (first == NULL || (is_ordered(stages, stage) && first->key != gate->turn))
        return;
    heap_remove(&gate->waiting, first);
    gate->busy = true;
    make_ready_locked(stages, container_of(first, struct token, node));
}

/* There is no more input: the tokens that wait for it have nothing to do. */
static void end_input_locked(struct stages *stages)
{
    struct heap *waiting = &stages->gates[0].waiting;
    stages->no_input = true;
    while (waiting->first != NULL) {
        heap_remove(waiting, waiting->first);
        stages->retired++;
    }
}

/* True: the token may enter its next stage. */
static bool advance_locked(struct stages *stages, struct token *token)
{
    unsigned stage = token->stage;
    bool ends = stage == 0 && token->item == NULL;
    if (ends)
        end_input_locked(stages);
    if (stage == 0)
        token->number = stages->gates[0].turn;
    leave_locked(stages, stage);
    token->stage++;
    if (ends || token->stage == stages->n) {
        token->stage = 0;
        token->item = NULL;
        if (stages->no_input) {
            stages->retired++;
            return false;
        }
    }
    return enter_locked(stages, token);
}

int weir__stages_init(struct stages *stages, size_t tokens)
{
    stages->tokens = weir__alloc_unaligned(tokens * sizeof stages->tokens[0]);
    if (stages->tokens == NULL)
        return -ENOMEM;
    stages->count = tokens;
    list_init(&stages->ready);
    lock_init(&stages->lock);
    for (size_t i = 0; i < tokens; i++)
        if (enter_locked(stages, &stages->tokens[i])) /* nobody else knows them yet */
            make_ready_locked(stages, &stages->tokens[i]);
    return 0;
}

void weir__stages_destroy(struct stages *stages)
{
    weir__free(stages->tokens);
}

/* What the thread goes on with. Nothing: a helper leaves. */
static struct token *settle_locked(struct stages *stages, struct token *token, bool helper,
                                   bool *ret_more)
{
    if (token == NULL)
        token = take_ready_locked(stages);
    if (token == NULL && helper)
        stages->helpers--;
    *ret_more = !list_empty(&stages->ready);
    return token;
}

bool weir__stages_join(struct stages *stages)
{
    lock_acquire(&stages->lock);
    bool joins = !list_empty(&stages->ready) && stages->helpers < stages->most;
    stages->helpers += joins;
    lock_release(&stages->lock);
    return joins;
}

void weir__stages_leave(struct stages *stages)
{
    lock_acquire(&stages->lock);
    stages->helpers--;
    lock_release(&stages->lock);
}

struct token *weir__stages_take(struct stages *stages, bool helper, bool *ret_more)
{
    lock_acquire(&stages->lock);
    struct token *token = settle_locked(stages, NULL, helper, ret_more);
    lock_release(&stages->lock);
    return token;
}

struct token *weir__stages_advance(struct stages *stages, struct token *token, bool helper,
                                   bool *ret_more)
{
    lock_acquire(&stages->lock);
    struct token *own = advance_locked(stages, token) ? token : NULL;
    struct token *next = settle_locked(stages, own, helper, ret_more);
    lock_release(&stages->lock);
    return next;
}

void weir__stages_drain(struct stages *stages, struct list *ret_tokens)
{
    struct token *token;
    list_init(ret_tokens);
    lock_acquire(&stages->lock);
    stages->no_input = true;
    while ((token = take_ready_locked(stages)) != NULL)
        list_append(ret_tokens, &token->link);
    for (unsigned i = 0; i < stages->n; i++) {
        struct heap *waiting = &stages->gates[i].waiting;
        while (waiting->first != NULL) {
            token = container_of(waiting->first, struct token, node);
            heap_remove(waiting, waiting->first);
            list_append(ret_tokens, &token->link);
        }
    }
    lock_release(&stages->lock);
}
