/* SPDX-License-Identifier: MIT */
/* delay.c - a delay now and then: most threads run on while one is late, now and then by a lot. */
#include <sched.h>
#include <stdint.h>
#include <time.h>

#include "dice.h"

void delay_at_random(void);

enum { ONE_IN = 64, SLEEP_ONE_IN = 24, LONGEST_SLEEP_NS = 300000 };

void delay_at_random(void)
{
    static _Thread_local dice mine;
    if (mine.state == 0) /* the threads' addresses differ, and they need not be repeatable */
        mine = dice_make((uint64_t)(uintptr_t)&mine, (uint64_t)time(NULL));
    if (!dice_once_in(&mine, ONE_IN))
        return;
    if (!dice_once_in(&mine, SLEEP_ONE_IN)) {
        (void)sched_yield();
        return;
    }
    struct timespec pause = {0, (long)dice_below(&mine, LONGEST_SLEEP_NS)};
    (void)nanosleep(&pause, NULL);
}
