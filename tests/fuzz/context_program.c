/* SPDX-License-Identifier: MIT */
/* context_program.c - weir/context.h against context_model.h: after each call every context is
 * asked for all that it can say. */
#include "context_model.h"
#include "input.h"
#include "programs.h"
#include "scenario.h"

enum { CALLS = 48, KEYS = 3 };

static const char keys[KEYS];

struct tree {
    int count;
    weir_context *made[MAX_CONTEXTS]; /* NULL: given back; children may still hold it */
    void *values[MAX_CONTEXTS][KEYS];
};

static int any(const struct tree *tree)
{
    return (int)input_below((unsigned)tree->count + 1) - 1;
}

static weir_context *at(const struct tree *tree, int index)
{
    return index != NO_CONTEXT ? tree->made[index] : NULL;
}

static int64_t any_deadline(void)
{
    switch (input_below(4)) {
    case 0:
        return WEIR_FOREVER;
    case 1:
        return weir_now() - (int64_t)input_below(2);
    default:
        return weir_after(input_duration());
    }
}

static void add(struct tree *tree)
{
    int parent = any(tree), index = tree->count;
    if (parent != NO_CONTEXT && tree->made[parent] == NULL)
        parent = NO_CONTEXT;
    unsigned key = input_below(KEYS + 2);
    int64_t deadline = key < KEYS ? WEIR_FOREVER : any_deadline();
    if (context_add(parent, deadline, weir_now()) == NO_CONTEXT)
        return;
    for (int i = 0; i < KEYS; i++)
        tree->values[index][i] = parent != NO_CONTEXT ? tree->values[parent][i] : NULL;
    int err;
    if (key < KEYS) {
        tree->values[index][key] = &tree->values[index];
        err = weir_context_with_value(&tree->made[index], at(tree, parent), &keys[key],
                                      &tree->values[index]);
    } else {
        err = weir_context_new(&tree->made[index], at(tree, parent), deadline);
    }
    check(err == 0);
    tree->count++;
}

static void cancel(struct tree *tree)
{
    int index = any(tree), cause = -(int)input_below(3);
    if (at(tree, index) == NULL) {
        weir_context_cancel(NULL, cause);
        return;
    }
    weir_context_cancel(tree->made[index], cause);
    context_cancelled(index, cause, weir_now());
}

static void ref_and_unref(struct tree *tree)
{
    weir_context *ctx = at(tree, any(tree));
    check(weir_context_ref(ctx) == ctx);
    weir_context_unref(ctx);
}

static void give_back(struct tree *tree)
{
    int index = any(tree);
    weir_context_unref(at(tree, index));
    if (index != NO_CONTEXT)
        tree->made[index] = NULL;
}

/* When a wait for the context ends by itself; the model's clock goes there. */
static int64_t end_of_wait(int index, int64_t deadline)
{
    int64_t end = context_err(index) != 0 ? weir_now() : context_deadline(index);
    end = end < deadline ? end : deadline;
    end = end > weir_now() ? end : weir_now();
    return end;
}

static void wait(struct tree *tree)
{
    int index = any(tree);
    if (at(tree, index) == NULL)
        index = NO_CONTEXT;
    int64_t deadline = weir_after(input_duration()), end = end_of_wait(index, deadline);
    if (input_below(8) == 0)
        end = deadline = weir_now();
    int err = weir_context_wait_until(at(tree, index), deadline);
    check(weir_now() == end);
    contexts_pass_time(end);
    check(err == (context_err(index) != 0 ? 0 : -ETIMEDOUT));
}

static void sleep_until(struct tree *tree)
{
    int index = any(tree);
    if (at(tree, index) == NULL)
        index = NO_CONTEXT;
    int64_t deadline = weir_after(input_duration()), end = end_of_wait(index, deadline);
    int err = weir_sleep_until(at(tree, index), deadline);
    check(weir_now() == end);
    contexts_pass_time(end);
    check(err == context_err(index));
}

static void compare(const struct tree *tree)
{
    for (int i = 0; i < tree->count; i++) {
        const weir_context *ctx = tree->made[i];
        if (ctx == NULL)
            continue;
        check(weir_context_err(ctx) == contexts[i].err);
        check(weir_context_cause(ctx) == contexts[i].cause);
        check(weir_context_deadline(ctx) == contexts[i].deadline);
        for (int key = 0; key < KEYS; key++)
            check(weir_context_value(ctx, &keys[key]) == tree->values[i][key]);
        calls += 3 + KEYS;
    }
}

void context_program(void)
{
    static void (*const steps[])(struct tree *) = {add,       cancel, ref_and_unref,
                                                   give_back, wait,   sleep_until};
    struct tree *tree = make(sizeof *tree);
    contexts_forget();
    explore_begin();
    for (unsigned i = 0; i < CALLS && input_left(); i++) {
        steps[input_below(6)](tree);
        calls++;
        compare(tree);
    }
    explore_end();
    for (int i = 0; i < tree->count; i++)
        weir_context_unref(tree->made[i]);
    drop(tree);
}
