/* SPDX-License-Identifier: MIT */
#include "pool/quiet.h"

/* The loads are sequentially consistent, for a job that a thread outside runs inline, which is in
 * no ring: it raises `in` and then looks whether the pool is open; shutdown closes the pool and
 * then reads `in`. If the look found the pool open, the read finds the job. */
bool weir__quiet_is_reached(struct quiet *quiet)
{
    uint64_t in = 0, out = 0;
    TALLY_SUM(&quiet->tallies, out, &out); /* what is through first */
    TALLY_SUM(&quiet->tallies, unclaimed, &out);
    in = quiet_pushed(quiet);
    TALLY_SUM(&quiet->tallies, in, &in);
    TALLY_SUM(&quiet->tallies, claimed, &in);
    tsan_acquire(quiet);
    return in == out;
}

static bool reached_or_stopped(void *arg)
{
    struct quiet *quiet = arg;
    if (load_seqcst(&quiet->stopped) != 0) /* pairs with weir__quiet_stop */
        return true;
    add_acqrel(&quiet->meet, 1); /* pairs with weir__quiet_idle */
    return weir__quiet_is_reached(quiet);
}

int weir__quiet_wait(struct told told, struct quiet *quiet, weir_context *ctx, int64_t deadline)
{
    return weir__wait_until(told, quiet, reached_or_stopped, quiet, ctx, NULL, deadline);
}

void weir__quiet_idle(struct quiet *quiet)
{
    add_acqrel(&quiet->meet, 1); /* pairs with reached_or_stopped */
    weir__wake_all(quiet);
}

void weir__quiet_stop(struct quiet *quiet)
{
    (void)xchg_seqcst(&quiet->stopped, 1); /* pairs with reached_or_stopped */
    weir__wake_all(quiet);
}
