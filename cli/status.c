/* SPDX-License-Identifier: MIT */
/* status.c - how far the run is. */
#include "status.h"

#include "complain.h"

#include <stdio.h>
#include <string.h>

unsigned status_running(struct run *run, char *label, int64_t *ret_since)
{
    unsigned running = 0;
    if (label != NULL)
        *label = '\0';
    *ret_since = WEIR_FOREVER;
    for (unsigned i = 0; i < run->slots.n; i++) {
        struct slot *slot = &run->slots.all[i];
        pthread_mutex_lock(&slot->lock);
        running += slot->seq != 0;
        if (slot->seq != 0 && slot->since < *ret_since) {
            *ret_since = slot->since;
            if (label != NULL)
                memcpy(label, slot->label, LABEL_SIZE);
        }
        pthread_mutex_unlock(&slot->lock);
    }
    return running;
}

void status_say(struct run *run)
{
    struct counts counts = tally_read(&run->tally);
    char label[LABEL_SIZE];
    int64_t since;
    unsigned running = status_running(run, label, &since);
    char total[32] = "";
    if (counts.total >= 0)
        snprintf(total, sizeof(total), " of %lld", (long long)counts.total);
    complain("%llu%s done, %llu failed, %llu timed out, %u running",
             (unsigned long long)(counts.ok + counts.failed + counts.timed_out + counts.skipped),
             total, (unsigned long long)counts.failed, (unsigned long long)counts.timed_out,
             running);
    if (running > 0)
        complain("since %.1f s: %s", (double)(weir_now() - since) / 1e9, label);
}
