/* SPDX-License-Identifier: MIT */
/* seeing.c - a pool of one worker ticks: the bar four times a second, the files once. The pool of
 * the jobs cannot do that, as all its workers may be busy for hours.
 */
#include "seeing.h"

#include "bar.h"
#include "complain.h"
#include "progress.h"

#include <string.h>

#define TICK WEIR_MS(250)
#define TICKS_A_SECOND 4

int seeing_open(struct run *run)
{
    run->seeing.bar = bar_is_wanted(run->settings);
    int err = trace_open(&run->seeing.trace, run->settings->trace);
    return err != 0 ? err : progress_open(run);
}

static bool has_files(const struct run *run)
{
    return run->seeing.progress >= 0 || run->settings->metrics != NULL;
}

static int tick(weir_context *ctx, void *arg)
{
    struct run *run = arg;
    (void)ctx;
    if (run->seeing.bar)
        bar_draw(run);
    bool second = !run->seeing.bar || ++run->seeing.ticks % TICKS_A_SECOND == 0;
    if (has_files(run) && second)
        progress_write(run);
    return 0;
}

int seeing_start(struct run *run)
{
    struct seeing *seeing = &run->seeing;
    if (!seeing->bar && !has_files(run))
        return 0;
    int err = weir_pool_new(&seeing->clock, WEIR_POOL_OPTIONS(.workers = 1, .capacity = 2));
    if (err != 0)
        return err;
    /* Without a bar a tick a second is enough. */
    int64_t period = seeing->bar ? TICK : TICKS_A_SECOND * TICK;
    return weir_pool_submit_every(seeing->clock, &seeing->ticker, tick, run, NULL,
                                  weir_after(period), period);
}

void seeing_stop(struct run *run)
{
    if (run->seeing.clock == NULL)
        return;
    weir_pool_free(run->seeing.clock);
    run->seeing.clock = NULL;
    complain_clear_bar();
    if (has_files(run))
        progress_write(run);
}

void seeing_close(struct run *run)
{
    int err = trace_close(&run->seeing.trace);
    if (err != 0)
        complain("--trace: %s: %s", run->settings->trace, strerror(-err));
    progress_close(run);
}
