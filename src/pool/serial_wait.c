/* SPDX-License-Identifier: MIT */
/* serial_wait.c - waiting for a change of a serial, and running tasks of it meanwhile. */
#include "base/deadline.h"
#include "pool/help.h"
#include "pool/serial_work.h"

struct serial_wait {
    struct serial *serial;
    bool (*over_locked)(const struct serial *serial);
    bool helps, found;
    struct job job;
};

static bool over_or_found(void *arg)
{
    struct serial_wait *wait = arg;
    struct serial *serial = wait->serial;
    mutex_lock(&serial->mutex);
    bool over = wait->over_locked(serial);
    wait->found = !over && wait->helps && weir__serial_help_locked(serial, NULL, &wait->job);
    mutex_unlock(&serial->mutex);
    if (wait->found)
        weir__serial_give_room(serial);
    return over || wait->found;
}

int weir__serial_wait(struct told told, struct serial *serial, const void *key,
                      bool (*over_locked)(const struct serial *serial), weir_context *ctx,
                      int64_t deadline)
{
    struct host *host = &serial->pool->host;
    const weir_context *also[2] = {host->context, NULL};
    struct serial_wait wait = {.serial = serial, .over_locked = over_locked};
    for (;;) {
        /* Not when the deadline has passed: a task may take long. */
        wait.helps = helped(host) != NULL && (deadline == WEIR_FOREVER || deadline > weir_now());
        wait.found = false;
        int err = weir__wait_until(told, key, over_or_found, &wait, ctx, also, deadline);
        if (!wait.found)
            return err;
        weir__serial_run_helping(serial, &wait.job);
    }
}
