/* SPDX-License-Identifier: MIT */
/* park_futex.c - parking on Linux: the kernel's queue, no user-space lock. So a thread that is
 * stopped anywhere in here delays no other. */
#include "os/park.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "weir/clock.h"

void weir__park_init(struct park *park)
{
    store_rlx(&park->word, 0);
}

void weir__park_destroy(struct park *park)
{
    (void)park;
}

/* ThreadSanitizer puts a signal's handler off until the thread's next atomic operation. The kernel
 * resumes an endless wait after a signal, so there would be none; a wait with an end returns. */
#if defined(__SANITIZE_THREAD__)
#define ENDLESS false
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define ENDLESS false
#endif
#endif
#ifndef ENDLESS
#define ENDLESS true
#endif

int weir__park_wait(struct park *park, uint32_t expected, int64_t deadline)
{
    struct timespec at, *timeout = NULL;
    if (deadline != WEIR_FOREVER || !ENDLESS) {
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

unsigned weir__park_wake(struct park *park, unsigned n)
{
    long r = syscall(SYS_futex, &park->word, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, n, NULL, NULL, 0);
    return r > 0 ? (unsigned)r : 0;
}
