/* SPDX-License-Identifier: MIT */
/* poller_epoll.c - the poller on Linux: an epoll instance, in which descriptors are armed for one
 * shot.
 *
 * A registration is of a file and a number together. It stays when it is disarmed, so that to arm a
 * descriptor again is one system call, and goes with the file. A number that names another file by
 * now has none: so it is told apart.
 */
#include "os/poller.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/deadline.h"
#include "os/notify.h"
#include "weir/ready.h"

enum { MANY = 64 };

/* What is reported for the wake: no descriptor has this number. */
static const uint64_t woken = UINT32_MAX;

static int epoll = -1; /* if it is open, so is the waker */
static struct notify waker;
static bool raised;

int weir__poller_reserve(int64_t descriptors)
{
    (void)descriptors; /* the kernel has the memory */
    return 0;
}

static int watch_waker(void)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = woken};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, weir__notify_fd(&waker), &event) == 0 ? 0 : -errno;
}

int weir__poller_open(void)
{
    int err = weir__notify_open(&waker);
    if (err != 0)
        return err;
    raised = false;
    epoll = epoll_create1(EPOLL_CLOEXEC);
    err = epoll >= 0 ? watch_waker() : -errno;
    if (err != 0)
        weir__poller_close();
    return err;
}

void weir__poller_close(void)
{
    int old = epoll;
    epoll = -1; /* first: a child that is forked meanwhile does not close them again */
    if (old >= 0)
        (void)close(old);
    weir__notify_close(&waker);
}

void weir__poller_forget(void)
{
    if (epoll >= 0)
        weir__poller_close(); /* these are copies: the parent's stay */
}

static int control(int operation, int fd, unsigned events, uint32_t tag)
{
    struct epoll_event event = {.events = EPOLLONESHOT,
                                .data.u64 = (uint64_t)tag << 32 | (uint32_t)fd};
    if ((events & WEIR_READABLE) != 0)
        event.events |= EPOLLIN | EPOLLRDHUP;
    if ((events & WEIR_WRITABLE) != 0)
        event.events |= EPOLLOUT;
    return epoll_ctl(epoll, operation, fd, &event) == 0 ? 0 : -errno;
}

int weir__poller_rearm(int fd, unsigned events, uint32_t tag)
{
    int err = control(EPOLL_CTL_MOD, fd, events, tag);
    return err == -EBADF ? -ENOENT : err; /* it was closed */
}

int weir__poller_arm(int fd, unsigned events, uint32_t tag)
{
    int err = control(EPOLL_CTL_MOD, fd, events, tag);
    return err == -ENOENT ? control(EPOLL_CTL_ADD, fd, events, tag) : err;
}

void weir__poller_disarm(int fd)
{
    (void)control(EPOLL_CTL_DEL, fd, 0, 0); /* it may have been closed */
}

static unsigned ready_events(uint32_t told)
{
    unsigned ready = 0;
    if ((told & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP)) != 0)
        ready |= WEIR_READABLE;
    if ((told & (EPOLLOUT | EPOLLERR | EPOLLHUP)) != 0)
        ready |= WEIR_WRITABLE;
    return ready;
}

unsigned weir__poller_wait(struct poller_event *events, unsigned n, int64_t deadline)
{
    struct epoll_event told[MANY];
    int count =
        epoll_wait(epoll, told, n < MANY ? (int)n : MANY, milliseconds_left(deadline, weir_now()));
    unsigned kept = 0;
    for (int i = 0; i < count; i++) {
        uint64_t data = told[i].data.u64;
        if (data != woken)
            events[kept++] = (struct poller_event){(int)(uint32_t)data, (uint32_t)(data >> 32),
                                                   ready_events(told[i].events)};
    }
    return kept;
}

void weir__poller_wake(void)
{
    if (!raised)
        weir__notify_raise(&waker);
    raised = true;
}

void weir__poller_calm(void)
{
    if (raised)
        weir__notify_lower(&waker);
    raised = false;
}
