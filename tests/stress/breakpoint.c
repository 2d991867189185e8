/* SPDX-License-Identifier: MIT */
#include "breakpoint.h"

#include <errno.h>
#include <stddef.h>
#include <sys/ptrace.h>
#include <sys/user.h>

#ifdef __x86_64__

/* Of register 7, which says what registers 0 and 1 are for. */
enum {
    FIRST_STOPS_BEFORE_CODE = 1 << 0,
    SECOND_STOPS_AFTER_WRITE = 1 << 2 | 1 << 20,
    SECOND_HAS_FOUR_BYTES = 3 << 22,
};

static bool set_register(pid_t thread, unsigned number, uintptr_t value)
{
    size_t at = offsetof(struct user, u_debugreg) + number * sizeof value;
    return ptrace(PTRACE_POKEUSER, thread, (void *)at, (void *)value) == 0;
}

uintptr_t breakpoint_place(pid_t thread)
{
    errno = 0;
    long place = ptrace(PTRACE_PEEKUSER, thread, (void *)offsetof(struct user, regs.rip), NULL);
    return errno == 0 ? (uintptr_t)place : 0;
}

bool breakpoint_set(pid_t thread, uintptr_t code, const void *data)
{
    return code != 0 && set_register(thread, 0, code) && set_register(thread, 1, (uintptr_t)data) &&
           set_register(thread, 7,
                        FIRST_STOPS_BEFORE_CODE | SECOND_STOPS_AFTER_WRITE | SECOND_HAS_FOUR_BYTES);
}

void breakpoint_clear(pid_t thread)
{
    (void)set_register(thread, 7, 0);
}

#else

uintptr_t breakpoint_place(pid_t thread)
{
    (void)thread;
    return 0;
}

bool breakpoint_set(pid_t thread, uintptr_t code, const void *data)
{
    (void)thread;
    (void)code;
    (void)data;
    return false;
}

void breakpoint_clear(pid_t thread)
{
    (void)thread;
}

#endif
