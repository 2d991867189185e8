/* SPDX-License-Identifier: MIT */
/* park_futex.c - parking on Linux: the kernel's queue, no user-space lock. So a thread that is
 * stopped anywhere in here delays no other. */
#include "os/park.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/tsan.h"
#include "weir/clock.h"

enum { TSAN_SLEEP_NS = 50 * 1000 * 1000 };

void weir__park_init(struct park *park)
{
    store_rlx(&park->word, 0);
}

void weir__park_destroy(struct park *park)
{
    (void)park;
}

static int wait_once(struct park *park, uint32_t expected, int64_t deadline)
{
    struct timespec at, *timeout = NULL;
    if (deadline != WEIR_FOREVER || tsan_present()) { /* see below */
        if (deadline < 0)
            deadline = 0;
        at.tv_sec = (time_t)(deadline / 1000000000);
        at.tv_nsec = (long)(deadline % 1000000000);
        timeout = &at;
    }
    /* BITSET, because its time-out is absolute: an interrupted wait keeps its end. */
    long r = syscall(SYS_futex, &park->word, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, expected,
                     timeout, NULL, FUTEX_BITSET_MATCH_ANY);
    if (r == 0)
        return 0;
    return errno == EAGAIN || errno == ETIMEDOUT ? -errno : -EINTR;
}

/* Under ThreadSanitizer (base/tsan.h). A signal whose handler it has put off interrupts the sleep:
 * the kernel resumes an endless one, but not one with an end. If the signal came just before the
 * sleep, the end of a short one lets the handler run. An instrumented library does without, since
 * its tests look whether it wakes for no reason. */
static COLD int wait_with_handlers(struct park *park, uint32_t expected, int64_t deadline)
{
    const int64_t longest = TSAN_IN_LIBRARY ? WEIR_FOREVER : TSAN_SLEEP_NS;
    int64_t until;
    int err;
    do {
        int64_t now = weir_now();
        bool far = deadline > now && deadline - now > longest;
        until = far ? now + longest : deadline;
        err = wait_once(park, expected, until);
        tsan_run_handlers();
    } while (err == -ETIMEDOUT && until != deadline);
    return err;
}

int weir__park_wait(struct park *park, uint32_t expected, int64_t deadline)
{
    if (tsan_present())
        return wait_with_handlers(park, expected, deadline);
    return wait_once(park, expected, deadline);
}

unsigned weir__park_wake(struct park *park, unsigned n)
{
    long r = syscall(SYS_futex, &park->word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, n, NULL, NULL, 0);
    return r > 0 ? (unsigned)r : 0;
}
