/* SPDX-License-Identifier: MIT */
#include "record/times.h"

#include "os/thread.h"
#include "weir/clock.h"

/* A task that was due later than it ran has not waited, nor has one whose clock lags. */
static uint64_t span(int64_t from, int64_t to)
{
    return to > from ? (uint64_t)(to - from) : 0;
}

COLD void weir__times_start(struct times *times, uint64_t stamp, uint32_t lane, struct timing *ret)
{
    int64_t now = weir_now();
    uint64_t waited = span(stamp_time(stamp), now);
    *ret = (struct timing){now, -1};
    if (!stamp_counts(stamp))
        return;
    histogram_note(&times->wait, waited, stamp_weight(stamp), times->shared);
    if (times->lanes != NULL)
        histogram_note(&times->lanes[lane].wait, waited, stamp_weight(stamp), times->shared);
    count_more(&times->measured, 1, times->shared);
    if (now - load_rlx(&times->cpu_read) < CPU_PAUSE_NS) /* a number by itself, as the next one */
        return;
    store_rlx(&times->cpu_read, now);
    ret->cpu = weir__thread_cpu_time();
}

COLD void weir__times_end(struct times *times, uint64_t stamp, uint32_t lane,
                          const struct timing *timing)
{
    struct self *self = this_thread();
    if (!stamp_counts(stamp)) {
        activity_stamp(self, weir_now());
        return;
    }
    struct name_run run = {.weight = stamp_weight(stamp),
                           .wait = span(stamp_time(stamp), timing->began)};
    if (timing->cpu >= 0)
        run.cpu = span(timing->cpu, weir__thread_cpu_time()) + 1;
    int64_t now = weir_now();
    run.run = span(timing->began, now);
    histogram_note(&times->run, run.run, run.weight, times->shared);
    if (times->lanes != NULL)
        histogram_note(&times->lanes[lane].run, run.run, run.weight, times->shared);
    weir__activity_own_name(self, &run.fn, run.text, NAMES_WORDS);
    weir__names_note(&times->names, &run);
    activity_stamp(self, now);
}
