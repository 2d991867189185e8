/* SPDX-License-Identifier: MIT */
/* completion.c - finished tasks in a queue of fixed size, announced by a descriptor.
 *
 * `held` counts places: taken by a submit before the task is queued, given back when it is refused
 * or reaped. So at most `capacity` tasks are ever in the queue, and an end always finds room.
 *
 * Locks: `lock` guards the queue and the descriptor, which is raised while the queue is not empty.
 * Both change together under the lock, so no thread finds one without the other. The system calls
 * under it are made only when the queue turns empty or not empty, and never block.
 *
 * Only the address of a task is handled: the task is done when it is put in, and may be gone. The
 * last access of the thread that puts it in is the release of the lock; the thread that reaps it
 * has held the lock since, and may free the completion.
 *
 * `held` orders nothing, and need not: a submit that finds a place which a reap gave back does so
 * before its own task is put in, under the lock. Suppose that this put came before the reap held
 * the lock: then the reap would come after it, and the submit could not have found what the reap
 * gave back.
 */
#include "weir/completion.h"

#include <errno.h>

#include "os/alloc.h"
#include "os/notify.h"
#include "pool/task.h"

struct weir_completion {
    struct reports reports; /* first: what the pool knows of it */
    uint32_t fork;
    size_t capacity;
    struct notify notify;
    atomic(size_t) held;
    struct lock lock;
    size_t first, count; /* of the queue, under the lock */
    weir_task *over[];   /* likewise; `capacity` entries, used in a circle */
};

static bool stale(const weir_completion *completion)
{
    return completion->fork != fork_count();
}

/* What the pool calls. */

static int reserve(struct reports *reports)
{
    weir_completion *completion = (weir_completion *)reports;
    if (stale(completion))
        return -ESTALE;
    size_t held = load_rlx(&completion->held); /* the CAS checks it */
    do
        if (held == completion->capacity)
            return -ENOBUFS;
    while (!cas_rlx(&completion->held, &held, held + 1));
    return 0;
}

static void give_back(struct reports *reports)
{
    (void)sub_rlx(&((weir_completion *)reports)->held, 1); /* orders nothing, see above */
}

static void task_ended(struct reports *reports, void *task)
{
    weir_completion *completion = (weir_completion *)reports;
    lock_acquire(&completion->lock);
    weir_assert(completion->count < completion->capacity);
    size_t before_end = completion->capacity - completion->first;
    size_t at = completion->count < before_end ? completion->first + completion->count
                                               : completion->count - before_end;
    completion->over[at] = task;
    if (completion->count++ == 0)
        weir__notify_raise(&completion->notify);
    lock_release(&completion->lock); /* from here on it may be gone */
}

/* Life. */

int weir_completion_new(weir_completion **ret, size_t capacity)
{
    if (ret == NULL || capacity == 0)
        return -EINVAL;
    if (capacity > SIZE_MAX / 2 / sizeof(weir_task *))
        return -ENOMEM;
    weir_completion *completion =
        weir__alloc(1, sizeof *completion + capacity * sizeof(weir_task *));
    if (completion == NULL)
        return -ENOMEM;
    int err = weir__notify_open(&completion->notify);
    if (err != 0) {
        weir__free(completion);
        return err;
    }
    completion->reports = (struct reports){reserve, give_back, task_ended};
    completion->fork = fork_count();
    completion->capacity = capacity;
    lock_init(&completion->lock);
    *ret = completion;
    return 0;
}

void weir_completion_free(weir_completion *completion)
{
    if (completion == NULL)
        return;
    /* Relaxed: the caller or the lock has ordered every submit and reap before this. */
    if (!stale(completion) && load_rlx(&completion->held) != 0)
        weir__misuse("weir_completion_free", "a task has not been reaped yet.");
    weir__notify_close(&completion->notify);
    weir__free(completion);
}

int weir_completion_fd(const weir_completion *completion)
{
    if (completion == NULL)
        return -EINVAL;
    return stale(completion) ? -ESTALE : weir__notify_fd(&completion->notify);
}

size_t weir_completion_reap(weir_completion *completion, weir_task *ret_tasks[], size_t n)
{
    if (completion == NULL || ret_tasks == NULL || n == 0 || stale(completion))
        return 0;
    lock_acquire(&completion->lock);
    size_t reaped = completion->count < n ? completion->count : n;
    for (size_t i = 0; i < reaped; i++) {
        ret_tasks[i] = completion->over[completion->first];
        if (++completion->first == completion->capacity)
            completion->first = 0;
    }
    completion->count -= reaped;
    if (reaped > 0 && completion->count == 0)
        weir__notify_lower(&completion->notify);
    lock_release(&completion->lock);
    if (reaped > 0)
        (void)sub_rlx(&completion->held, reaped); /* orders nothing, see above */
    return reaped;
}
