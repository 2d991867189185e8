/* SPDX-License-Identifier: MIT */
/* keyed.c - the calls of weir/keyed.h. What holds when is in keyed_table.h. */
#include "weir/keyed.h"

#include <errno.h>

#include "base/deadline.h"
#include "base/options.h"
#include "flow/keyed_table.h"
#include "os/alloc.h"
#include "pool/lane_options.h"
#include "pool/task_submit.h"

enum { DEFAULT_KEYS = 1024, MAX_KEYS = 1 << 24 };

/* Making. */

void weir_keyed_options_init(weir_keyed_options *options)
{
    if (options != NULL)
        *options = (weir_keyed_options){.size = sizeof *options};
}

static const char *wrong_field(const weir_keyed_options *options)
{
    if (options->keys > MAX_KEYS)
        return "keys: more than 2^24";
    return lane_option_fits(options->lane) ? NULL : "lane: not WEIR_LANE of 0 to 7";
}

static int read_keyed_options(weir_keyed_options *ret, const weir_keyed_options *given)
{
    return read_options(ret, sizeof *ret, offsetof(weir_keyed_options, lane), given);
}

const char *weir_keyed_options_error(const weir_keyed_options *given)
{
    weir_keyed_options options;
    int err = read_keyed_options(&options, given);
    return options_error(err, wrong_field(&options));
}

int weir_keyed_new(weir_keyed **ret, weir_pool *pool, const weir_keyed_options *given)
{
    if (ret == NULL || pool == NULL)
        return -EINVAL;
    if (pool_stale(pool))
        return -ESTALE;
    weir_keyed_options options;
    int err = read_keyed_options(&options, given);
    if (err != 0)
        return err;
    uint32_t lane;
    if (wrong_field(&options) != NULL || weir__lane_named(&pool->queue, options.lane, &lane) != 0)
        return -EINVAL;
    weir_keyed *keyed = weir__alloc(1, sizeof *keyed);
    if (keyed == NULL)
        return -ENOMEM;
    keyed->pool = pool;
    keyed->fork = fork_count();
    keyed->keys = options.keys != 0 ? options.keys : DEFAULT_KEYS;
    err = weir__keyed_build(keyed, &options);
    if (err != 0) {
        weir__keyed_release(keyed);
        return err;
    }
    *ret = keyed;
    return 0;
}

/* Freeing. */

static bool none_active(void *arg)
{
    weir_keyed *keyed = arg;
    mutex_lock(&keyed->lock);
    bool none = keyed->active == 0;
    mutex_unlock(&keyed->lock);
    return none;
}

static bool inside(const weir_keyed *keyed)
{
    uintptr_t first = (uintptr_t)keyed->lines, end = (uintptr_t)(keyed->lines + keyed->keys);
    const struct hold *hold = this_thread()->hold;
    while (hold != NULL && ((uintptr_t)hold->serial < first || (uintptr_t)hold->serial >= end))
        hold = hold->below;
    return hold != NULL;
}

void weir_keyed_free(weir_keyed *keyed)
{
    if (keyed == NULL)
        return;
    if (keyed->fork == fork_count()) {
        if (inside(keyed))
            weir__misuse("weir_keyed_free", "a task cannot free what its key belongs to.");
        for (uint32_t i = 0; i < keyed->keys; i++)
            if (load_rlx(&serial_of(&keyed->lines[i])->left) !=
                0) /* the caller has seen the ends */
                weir__misuse("weir_keyed_free", "a task has not ended.");
        (void)weir__wait_until(TELL("weir_keyed_free", keyed), &keyed->active, none_active, keyed,
                               NULL, NULL, WEIR_FOREVER);
        for (uint32_t i = 0; i < keyed->keys; i++)
            weir_serial_destroy(&keyed->lines[i].serial);
    }
    weir__keyed_release(keyed);
}

/* Submitting. */

static bool entered_or_refused(void *arg)
{
    struct entry *entry = arg;
    weir_keyed *keyed = entry->keyed;
    entry->err = weir__refusal(keyed->pool);
    mutex_lock(&keyed->lock);
    if (keyed->closed)
        entry->err = -EPIPE;
    if (entry->err == 0)
        entry->line = weir__keyed_enter_locked(keyed, entry->key);
    mutex_unlock(&keyed->lock);
    return entry->err != 0 || entry->line != NULL;
}

/* Finds a line for the key, or waits for one. */
static int enter(struct entry *entry, enum submit_mode mode, weir_context *ctx, int64_t deadline)
{
    const struct host *host = &entry->keyed->pool->host;
    const weir_context *also[2] = {host->context, NULL};
    if (entered_or_refused(entry))
        return entry->err;
    if (mode == SUBMIT_TRY)
        return -EAGAIN;
    if (weir__inside(host))
        return -EDEADLK;
    int err =
        weir__wait_until(TELL("weir_keyed_submit", entry->keyed), entry->keyed, entered_or_refused,
                         entry, ctx, also, earlier(deadline, weir_context_deadline(host->context)));
    weir__wake_one(entry->keyed); /* this one may have had the wake of another */
    if (err == 0 && entry->err == 0)
        return 0;
    return entry->err != 0 ? entry->err : weir__refusal(entry->keyed->pool) != 0 ? -EPIPE : err;
}

static int submit(weir_keyed *keyed, uint64_t key, weir_task *task, weir_task_fn *fn, void *arg,
                  const weir_task_options *options, enum submit_mode mode, weir_context *ctx,
                  int64_t deadline)
{
    if (keyed == NULL || task == NULL || fn == NULL)
        return -EINVAL;
    if (keyed->fork != fork_count())
        return -ESTALE;
    struct entry entry = {.keyed = keyed, .key = key};
    int err = weir_context_err(ctx);
    if (err == 0)
        err = enter(&entry, mode, ctx, deadline);
    if (err != 0)
        return weir__count_rejected(keyed->pool, serial_of(keyed->lines)->lane, err);
    err = weir__submit_task_to(serial_of(entry.line), task, fn, arg, options, mode, ctx, deadline);
    weir__keyed_leave(entry.line);
    return err;
}

int weir_keyed_submit(weir_keyed *keyed, uint64_t key, weir_task *task, weir_task_fn *fn, void *arg,
                      const weir_task_options *options)
{
    return submit(keyed, key, task, fn, arg, options, SUBMIT_POLICY, NULL, WEIR_FOREVER);
}

int weir_keyed_try_submit(weir_keyed *keyed, uint64_t key, weir_task *task, weir_task_fn *fn,
                          void *arg, const weir_task_options *options)
{
    return submit(keyed, key, task, fn, arg, options, SUBMIT_TRY, NULL, WEIR_FOREVER);
}

int weir_keyed_submit_until(weir_keyed *keyed, uint64_t key, weir_task *task, weir_task_fn *fn,
                            void *arg, const weir_task_options *options, weir_context *ctx,
                            int64_t deadline)
{
    return submit(keyed, key, task, fn, arg, options, SUBMIT_POLICY, ctx, deadline);
}

/* Draining and closing. */

static int usable(const weir_keyed *keyed)
{
    if (keyed == NULL)
        return -EINVAL;
    return keyed->fork != fork_count() ? -ESTALE : 0;
}

int weir_keyed_drain_until(weir_keyed *keyed, weir_context *ctx, int64_t deadline)
{
    int err = usable(keyed);
    if (err == 0)
        err = weir_context_err(ctx);
    if (err == 0 && inside(keyed))
        err = -EDEADLK;
    for (uint32_t i = 0; err == 0 && i < keyed->keys; i++)
        err = weir_serial_drain_until(&keyed->lines[i].serial, ctx, deadline);
    return err;
}

int weir_keyed_drain(weir_keyed *keyed)
{
    return weir_keyed_drain_until(keyed, NULL, WEIR_FOREVER);
}

int weir_keyed_try_drain(weir_keyed *keyed)
{
    int err = usable(keyed);
    for (uint32_t i = 0; err == 0 && i < keyed->keys; i++)
        err = weir_serial_try_drain(&keyed->lines[i].serial);
    return err;
}

void weir_keyed_close(weir_keyed *keyed)
{
    if (usable(keyed) != 0)
        return;
    mutex_lock(&keyed->lock);
    keyed->closed = true;
    mutex_unlock(&keyed->lock);
    weir__wake_all(keyed);
    for (uint32_t i = 0; i < keyed->keys; i++)
        weir_serial_close(&keyed->lines[i].serial);
}

/* Observers. */

size_t weir_keyed_queued(weir_keyed *keyed, uint64_t key)
{
    if (usable(keyed) != 0)
        return 0;
    mutex_lock(&keyed->lock);
    struct line *line = weir__keyed_find_locked(keyed, key);
    size_t queued = line != NULL ? weir_serial_queued(&line->serial) : 0;
    mutex_unlock(&keyed->lock);
    return queued;
}

size_t weir_keyed_active(weir_keyed *keyed)
{
    if (usable(keyed) != 0)
        return 0;
    mutex_lock(&keyed->lock);
    size_t active = keyed->active;
    mutex_unlock(&keyed->lock);
    return active;
}
