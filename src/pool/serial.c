/* SPDX-License-Identifier: MIT */
/* serial.c - the calls of weir/serial.h. What holds when is in serial_state.h. */
#include "weir/serial.h"

#include <errno.h>

#include "base/options.h"
#include "pool/lane_options.h"
#include "pool/serial_work.h"
#include "pool/task_submit.h"

enum { DEFAULT_BATCH = 16 };

void weir_serial_options_init(weir_serial_options *options)
{
    if (options != NULL)
        *options = (weir_serial_options){.size = sizeof *options};
}

static int read_serial_options(weir_serial_options *ret, const weir_serial_options *given)
{
    return read_options(ret, sizeof *ret, offsetof(weir_serial_options, lane), given);
}

static const char *wrong_field(const weir_serial_options *options)
{
    return lane_option_fits(options->lane) ? NULL : "lane: not WEIR_LANE of 0 to 7";
}

const char *weir_serial_options_error(const weir_serial_options *given)
{
    weir_serial_options options;
    int err = read_serial_options(&options, given);
    return options_error(err, wrong_field(&options));
}

int weir_serial_init(weir_serial *handle, weir_pool *pool, const weir_serial_options *given)
{
    struct serial *serial = (struct serial *)handle;
    if (serial == NULL || pool == NULL)
        return -EINVAL;
    if (pool_stale(pool))
        return -ESTALE;
    weir_serial_options options;
    uint32_t lane;
    int err = read_serial_options(&options, given);
    if (err == 0)
        err = weir__lane_named(&pool->queue, options.lane, &lane);
    if (err != 0)
        return err;
    *handle = (weir_serial){{0}};
    serial->fork = fork_count();
    serial->parallel = options.parallel != 0 ? options.parallel : 1;
    uint32_t batch = options.batch != 0 ? options.batch : DEFAULT_BATCH;
    if (batch > MOST_IN_A_BATCH) /* as good as no end */
        batch = MOST_IN_A_BATCH;
    serial->batch = batch & MOST_IN_A_BATCH;
    serial->lane = lane & 0xf;
    serial->limit = options.limit != 0 ? options.limit : UINT64_MAX;
    store_rlx(&serial->sink.ops, &weir__turn_sink); /* nobody uses it yet */
    list_init(&serial->tasks);
    serial->pool = pool;
    return 0;
}

/* May it be used? 0, -EINVAL or -ESTALE. */
static int usable(const struct serial *serial)
{
    if (serial == NULL || serial->pool == NULL)
        return -EINVAL;
    return serial_stale(serial) ? -ESTALE : 0;
}

/* Submitting. */

static int submit(weir_serial *handle, weir_task *task, weir_task_fn *fn, void *arg,
                  const weir_task_options *options, enum submit_mode mode, weir_context *ctx,
                  int64_t deadline)
{
    struct serial *serial = (struct serial *)handle;
    int err = usable(serial);
    if (err != 0)
        return err;
    return weir__submit_task_to(serial, task, fn, arg, options, mode, ctx, deadline);
}

int weir_serial_submit(weir_serial *serial, weir_task *task, weir_task_fn *fn, void *arg,
                       const weir_task_options *options)
{
    return submit(serial, task, fn, arg, options, SUBMIT_POLICY, NULL, WEIR_FOREVER);
}

int weir_serial_try_submit(weir_serial *serial, weir_task *task, weir_task_fn *fn, void *arg,
                           const weir_task_options *options)
{
    return submit(serial, task, fn, arg, options, SUBMIT_TRY, NULL, WEIR_FOREVER);
}

int weir_serial_submit_until(weir_serial *serial, weir_task *task, weir_task_fn *fn, void *arg,
                             const weir_task_options *options, weir_context *ctx, int64_t deadline)
{
    return submit(serial, task, fn, arg, options, SUBMIT_POLICY, ctx, deadline);
}

/* Draining. */

static bool drained_locked(const struct serial *serial)
{
    return serial_drained_locked(serial);
}

int weir_serial_drain_until(weir_serial *handle, weir_context *ctx, int64_t deadline)
{
    struct serial *serial = (struct serial *)handle;
    int err = usable(serial);
    if (err == 0)
        err = weir_context_err(ctx);
    if (err != 0)
        return err;
    if (weir__inside_serial(serial))
        return -EDEADLK;
    return weir__serial_wait(TELL("weir_serial_drain", serial), serial, serial, drained_locked, ctx,
                             deadline);
}

int weir_serial_drain(weir_serial *serial)
{
    return weir_serial_drain_until(serial, NULL, WEIR_FOREVER);
}

int weir_serial_try_drain(weir_serial *handle)
{
    struct serial *serial = (struct serial *)handle;
    int err = usable(serial);
    if (err != 0)
        return err;
    mutex_lock(&serial->mutex);
    bool drained = serial_drained_locked(serial);
    mutex_unlock(&serial->mutex);
    return drained ? 0 : -EAGAIN;
}

/* Ending. */

void weir_serial_close(weir_serial *handle)
{
    struct serial *serial = (struct serial *)handle;
    if (usable(serial) != 0)
        return;
    mutex_lock(&serial->mutex);
    serial->closed = true;
    mutex_unlock(&serial->mutex);
    weir__wake_all(&serial->limit); /* only the address */
    weir__room_wake_all(&serial->pool->queue.lanes[serial->lane]->room);
}

static bool left_alone_locked(const struct serial *serial)
{
    return serial->holders == 0 && serial->place == NOWHERE;
}

static bool left_alone(void *arg)
{
    struct serial *serial = arg;
    mutex_lock(&serial->mutex);
    bool alone = left_alone_locked(serial);
    mutex_unlock(&serial->mutex);
    return alone;
}

void weir_serial_destroy(weir_serial *handle)
{
    struct serial *serial = (struct serial *)handle;
    if (usable(serial) != 0)
        return;
    if (weir__inside_serial(serial))
        weir__misuse("weir_serial_destroy", "a task cannot destroy the serial that it runs in.");
    if (load_rlx(&serial->left) != 0) /* the caller has seen the tasks end */
        weir__misuse("weir_serial_destroy", "a task of the serial has not ended.");
    (void)weir__wait_until(TELL("weir_serial_destroy", serial), serial, left_alone, serial, NULL,
                           NULL, WEIR_FOREVER);
    serial->pool = NULL;
}

size_t weir_serial_queued(const weir_serial *handle)
{
    return handle != NULL ? (size_t)serial_queued((const struct serial *)handle) : 0;
}
