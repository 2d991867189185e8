/* SPDX-License-Identifier: MIT */
/* status.c - how far the run is. */
#include "status.h"

#include "complain.h"

#include <stdio.h>

unsigned status_running(struct run *run, uint64_t *ret_seq, int64_t *ret_since)
{
    unsigned running = 0;
    *ret_seq = 0;
    *ret_since = WEIR_FOREVER;
    for (unsigned i = 0; i < run->slots.n; i++) {
        struct slot *slot = &run->slots.all[i];
        pthread_mutex_lock(&slot->lock);
        running += slot->seq != 0;
        if (slot->seq != 0 && slot->since < *ret_since) {
            *ret_seq = slot->seq;
            *ret_since = slot->since;
        }
        pthread_mutex_unlock(&slot->lock);
    }
    return running;
}

void status_say(struct run *run)
{
    struct counts counts = tally_read(&run->tally);
    uint64_t longest;
    int64_t since;
    unsigned running = status_running(run, &longest, &since);
    char total[32] = "";
    if (counts.total >= 0)
        snprintf(total, sizeof(total), " of %lld", (long long)counts.total);
    complain("%llu%s done, %llu failed, %llu timed out, %u running",
             (unsigned long long)(counts.ok + counts.failed + counts.timed_out + counts.skipped),
             total, (unsigned long long)counts.failed, (unsigned long long)counts.timed_out,
             running);
    if (longest != 0)
        complain("job %llu runs longest: %.1f s", (unsigned long long)longest,
                 (double)(weir_now() - since) / 1e9);
}
