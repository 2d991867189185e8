/* SPDX-License-Identifier: MIT */
#include "context_model.h"

#include <errno.h>

#include "weir/clock.h"

struct context_model contexts[MAX_CONTEXTS];

static int count;

void contexts_forget(void)
{
    count = 0;
}

int context_add(int parent, int64_t deadline, int64_t now)
{
    if (count == MAX_CONTEXTS)
        return NO_CONTEXT;
    if (deadline > context_deadline(parent))
        deadline = context_deadline(parent);
    struct context_model made = {.parent = parent, .deadline = deadline, .over_at = WEIR_FOREVER};
    if (context_err(parent) != 0)
        made = contexts[parent];
    if (deadline != WEIR_FOREVER && deadline <= now && deadline <= made.over_at) {
        made.err = made.cause = -ETIMEDOUT;
        made.over_at = deadline;
    }
    made.parent = parent;
    made.deadline = deadline;
    contexts[count] = made;
    return count++;
}

void context_cancelled(int index, int cause, int64_t now)
{
    if (contexts[index].err != 0)
        return;
    contexts[index].err = -ECANCELED;
    contexts[index].cause = cause != 0 ? cause : -ECANCELED;
    contexts[index].over_at = now;
    for (int i = index + 1; i < count; i++) /* descendants were made later */
        if (contexts[i].parent == index)
            context_cancelled(i, contexts[index].cause, now);
}

void contexts_pass_time(int64_t now)
{
    for (int i = 0; i < count; i++)
        if (contexts[i].err == 0 && contexts[i].deadline != WEIR_FOREVER &&
            contexts[i].deadline <= now) {
            contexts[i].err = contexts[i].cause = -ETIMEDOUT;
            contexts[i].over_at = contexts[i].deadline;
        }
}

int64_t contexts_next_time(void)
{
    int64_t first = WEIR_FOREVER;
    for (int i = 0; i < count; i++)
        if (contexts[i].err == 0 && contexts[i].deadline < first)
            first = contexts[i].deadline;
    return first;
}

int context_err(int index)
{
    return index != NO_CONTEXT ? contexts[index].err : 0;
}

int64_t context_deadline(int index)
{
    return index != NO_CONTEXT ? contexts[index].deadline : WEIR_FOREVER;
}
