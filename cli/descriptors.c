/* SPDX-License-Identifier: MIT */
/* descriptors.c - open files. A slot has a nudge, a process, two pipes of which it opens
 * both ends, and two temporary files; a job that waits for its turn has two temporary files.
 */
#include "descriptors.h"

#include "complain.h"

#define OF_WEIR 14
#define OF_SLOT 8
#define OF_RAW_SLOT 3
#define OF_WAITING 2
#define LEAST_AHEAD 64

unsigned descriptors_ahead(unsigned slots)
{
    return 4 * slots > LEAST_AHEAD ? 4 * slots : LEAST_AHEAD;
}

static rlim_t needed(const struct settings *settings, unsigned slots, unsigned ahead)
{
    rlim_t each = settings->output == OUTPUT_RAW ? OF_RAW_SLOT : OF_SLOT;
    return OF_WEIR + each * slots + (settings->keep_order ? OF_WAITING * ahead : 0);
}

void descriptors_make_room(struct launcher *launcher, const struct settings *settings,
                           unsigned *slots, unsigned ahead, bool *ret_share)
{
    struct rlimit limit;
    unsigned wanted = *slots;
    *ret_share = false;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    rlim_t need = needed(settings, *slots, ahead);
    if (limit.rlim_cur < need && limit.rlim_cur < limit.rlim_max) {
        launcher->descriptors = limit;
        launcher->raised = true;
        limit.rlim_cur = need < limit.rlim_max ? need : limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
            limit.rlim_cur = launcher->descriptors.rlim_cur;
    }
    while (*slots > 1 && needed(settings, *slots, 0) > limit.rlim_cur)
        (*slots)--;
    *ret_share = settings->keep_order && needed(settings, *slots, ahead) > limit.rlim_cur;
    if (*slots < wanted && !settings->quiet)
        complain("only %u job%s at once: no more than %llu files may be open", *slots,
                 *slots == 1 ? "" : "s", (unsigned long long)limit.rlim_cur);
}
