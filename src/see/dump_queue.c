/* SPDX-License-Identifier: MIT */
/* dump_queue.c - walking the queue of a pool without taking anything from it.
 *
 * A job that is met may be taken, run and forgotten while it is looked at: its slot is then used
 * again, and its handle, with the name in it, may be freed. So what is read is used only if the
 * ticket is still where it was afterwards, and the claim is the same and not taken. A task with a
 * name is queued under a handle and so cannot start without its claim (queue.c); and the name is
 * borrowed until it has ended. So one that is still to be claimed after its name was read had that
 * name. The handle is read by peek.h, since it may be gone.
 */
#include "see/dump_queue.h"

#include <string.h>

#include "os/peek.h"
#include "pool/task_repeat.h"

#define TURN_NAME "(serial)"

/* If the sink is a handle, its name; and the function that a retried task is called after. */
static void read_name(const struct job *job, struct queued_name *ret)
{
    const struct sink_ops *ops;
    const struct task *task = (const struct task *)job->sink;
    const char *name;
    ret->fn = (uintptr_t)job->fn;
    ret->text[0] = '\0';
    if (job_is_turn(job)) {
        (void)memcpy(ret->text, TURN_NAME, sizeof TURN_NAME);
        return;
    }
    if (task == NULL || !weir__peek(&job->sink->ops, &ops, sizeof(void *)))
        return;
    if (ops == &weir__retried_sink) {
        const struct repeat *repeat = job->arg;
        uintptr_t shown;
        if (weir__peek(&repeat->shown, &shown, sizeof shown))
            ret->fn = shown;
    } else if (ops != &weir__task_sink && ops != &weir__periodic_sink) {
        return;
    }
    if (!weir__peek(&task->name, &name, sizeof name) || name == NULL ||
        !weir__peek_text(name, ret->text, sizeof ret->text))
        ret->text[0] = '\0';
}

/* Reads the job in a slot. False: it was claimed, or the slot is used again. */
static bool look_in(const struct slot *slot, bool with_name, struct job *ret,
                    struct queued_name *ret_name)
{
    uint64_t claim = slot_look(slot);
    if (claim_taken(claim))
        return false;
    slot_read_anywhere(slot, ret);
    if (with_name)
        read_name(ret, ret_name);
    return slot_look(slot) == claim;
}

/* Reads the job at a position of a deque. False: there is none that is still to be taken. */
static bool look_in_deque(const struct queue *queue, const struct deque *deque, uint64_t position,
                          bool with_name, struct job *ret, struct queued_name *ret_name)
{
    uint64_t top, bottom;
    uint32_t index = deque_at(deque, position);
    if (!look_in(&queue->slots[index], with_name, ret, ret_name))
        return false;
    deque_range(deque, &top, &bottom);
    return position >= top && position < bottom && deque_at(deque, position) == index;
}

/* The same in a ring. */
static bool look_at(const struct queue *queue, const struct ring *ring, uint64_t position,
                    bool with_name, struct job *ret, struct queued_name *ret_name)
{
    const ring_word *word = ring_at(ring, position);
    return word_ahead(word, position + 1) == 0 &&
           look_in(&queue->slots[word_item(word)], with_name, ret, ret_name) &&
           word_ahead(word, position + 1) == 0;
}

static void add_kind(struct queue_view *view, const struct queued_name *name)
{
    for (unsigned i = 0; i < view->kinds_used; i++) {
        struct queued_kind *kind = &view->kinds[i];
        bool same = name->text[0] != '\0' ? strcmp(kind->name.text, name->text) == 0
                                          : kind->name.text[0] == '\0' && kind->name.fn == name->fn;
        if (same) {
            kind->count++;
            return;
        }
    }
    if (view->kinds_used == QUEUED_KINDS)
        view->others++;
    else
        view->kinds[view->kinds_used++] = (struct queued_kind){*name, 1};
}

/* At most `looks` positions, from the oldest on. Returns how many were looked at. */
static uint64_t view_deque(const struct queue *queue, const struct deque *deque, uint64_t looks,
                           struct queue_view *view)
{
    uint64_t top, end;
    deque_range(deque, &top, &end);
    if (end - top > looks) {
        view->cut = true;
        end = top + looks;
    }
    for (uint64_t at = top; at != end; at++) {
        struct job job;
        struct queued_name name;
        if (look_in_deque(queue, deque, at, true, &job, &name))
            add_kind(view, &name);
    }
    return end - top;
}

/* The same of a lane. */
static uint64_t view_lane(const struct queue *queue, unsigned k, uint64_t looks,
                          struct queue_view *view)
{
    const struct ring *ring = &queue_lane(queue, k)->ring;
    uint64_t head = ring_end(ring, 1), end = ring_end(ring, 0);
    bool first = true;
    if (end - head > looks) {
        view->cut = true;
        end = head + looks;
    }
    for (uint64_t at = head; at != end; at++) {
        struct job job;
        struct queued_name name;
        if (!look_at(queue, ring, at, true, &job, &name))
            continue;
        add_kind(view, &name);
        if (job.stamp != 0 && view->oldest[k].submitted == 0) {
            view->oldest[k].submitted = stamp_time(job.stamp);
            view->oldest[k].is_head = first;
        }
        if (job.stamp != 0 && view->first_used < QUEUED_FIRST) {
            view->first[view->first_used].name = name;
            view->first[view->first_used++].submitted = stamp_time(job.stamp);
        }
        first = false;
    }
    return end - head;
}

void weir__queue_view(const weir_pool *pool, struct queue_view *ret)
{
    const struct queue *queue = &pool->queue;
    uint64_t looks = QUEUED_LOOKS;
    unsigned parts = queue->lane_count + (queue->deques.count > 0); /* none hides the others */
    memset(ret, 0, sizeof *ret);
    ret->now = weir_now();
    for (unsigned k = 0; k < queue->lane_count; k++)
        looks -= view_lane(queue, k, looks / parts--, ret);
    for (uint32_t i = 0; i < queue->deques.count; i++)
        looks -= view_deque(queue, &queue->deques.of_workers[i].deque, looks, ret);
}

static bool deque_has(const struct queue *queue, const struct deque *deque, const void *sink,
                      uint64_t *looks)
{
    uint64_t at, end;
    for (deque_range(deque, &at, &end); at != end && *looks > 0; at++, --*looks) {
        struct job job;
        if (look_in_deque(queue, deque, at, false, &job, NULL) && job.sink == sink)
            return true;
    }
    return false;
}

bool weir__queue_has(const weir_pool *pool, const void *sink)
{
    enum { LOOKS = 1024 };
    const struct queue *queue = &pool->queue;
    for (unsigned k = 0; k < queue->lane_count; k++) {
        const struct ring *ring = &queue_lane(queue, k)->ring;
        uint64_t head = ring_end(ring, 1), end = ring_end(ring, 0);
        for (uint64_t at = head; at != end && at - head < LOOKS; at++) {
            struct job job;
            if (look_at(queue, ring, at, false, &job, NULL) && job.sink == sink)
                return true;
        }
    }
    uint64_t looks = LOOKS;
    for (uint32_t i = 0; i < queue->deques.count; i++)
        if (deque_has(queue, &queue->deques.of_workers[i].deque, sink, &looks))
            return true;
    return false;
}
