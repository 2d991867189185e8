/* SPDX-License-Identifier: MIT */
/* poller_poll.c - the poller on systems without epoll: poll(), which is given all that is armed.
 *
 * Only what a number names now can be polled: if a descriptor is closed, and the number given to
 * another file before poll() has looked, the other one is polled.
 *
 * What poll() refuses as a whole is polled in parts: more descriptors than RLIMIT_NOFILE says, if
 * that was lowered, or more than the kernel has memory for. Between two looks at all of them the
 * thread sleeps for a moment at most, so that none is forgotten and no CPU is kept busy.
 *
 * Lock: guards all but `polled`, which is the waiting thread's. It takes larger arrays over from
 * `spare` before it polls.
 */
#include "os/poller.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/deadline.h"
#include "os/alloc.h"
#include "os/lock.h"
#include "os/notify.h"
#include "weir/ready.h"

enum { PART = 256, PAUSE_MS = 10 };

struct armed {
    int fd;
    uint32_t tag;
    unsigned events;
    bool polled; /* as it stands; not, if it was armed since */
};

static struct lock lock = LOCK_INIT;
static struct armed *armed;
static struct pollfd *polled, *spare; /* one more than `reserved`, for the waker */
static size_t armed_count, room, reserved;
static bool is_open, raised;
static struct notify waker;
static void *volatile inherited[3]; /* the parent process's arrays: so that no leak is seen */

/* Makes the arrays larger. */
static int grow(size_t to)
{
    struct armed *more = weir__alloc(to, sizeof *more);
    struct pollfd *next = weir__alloc(to + 1, sizeof *next);
    if (more == NULL || next == NULL) {
        weir__free(more);
        weir__free(next);
        return -ENOMEM;
    }
    lock_acquire(&lock);
    if (armed_count > 0)
        memcpy(more, armed, armed_count * sizeof *more);
    struct armed *old = armed;
    struct pollfd *unused = spare;
    armed = more;
    spare = next;
    room = to;
    lock_release(&lock);
    weir__free(old);
    weir__free(unused);
    return 0;
}

static void free_unused(void)
{
    if (reserved != 0 || is_open)
        return;
    weir__free(armed);
    weir__free(polled);
    weir__free(spare);
    armed = NULL;
    polled = spare = NULL;
    room = 0;
}

int weir__poller_reserve(int64_t descriptors)
{
    reserved += (size_t)descriptors; /* it may wrap and wrap back */
    int err = reserved > room ? grow(reserved) : 0;
    if (err != 0)
        reserved -= (size_t)descriptors;
    free_unused();
    return err;
}

int weir__poller_open(void)
{
    int err = weir__notify_open(&waker);
    raised = false;
    is_open = err == 0;
    return err;
}

void weir__poller_close(void)
{
    is_open = false;
    weir__notify_close(&waker);
    free_unused();
}

/* The arrays are left alone, and not freed: the fork may have come in the middle of a change. */
void weir__poller_forget(void)
{
    lock_init(&lock);
    if (is_open)
        weir__notify_close(&waker); /* a copy: the parent's stays */
    is_open = false;
    inherited[0] = armed;
    inherited[1] = polled;
    inherited[2] = spare;
    armed = NULL;
    polled = spare = NULL;
    armed_count = room = reserved = 0;
}

static size_t find_locked(int fd)
{
    size_t i = 0;
    while (i < armed_count && armed[i].fd != fd)
        i++;
    return i;
}

static void disarm_locked(size_t i)
{
    if (i < armed_count)
        armed[i] = armed[--armed_count];
}

/* As epoll has it: what is always ready cannot be waited for. */
static int refusal(int fd)
{
    struct stat status;
    if (fstat(fd, &status) != 0)
        return -errno;
    return S_ISREG(status.st_mode) || S_ISDIR(status.st_mode) ? -EPERM : 0;
}

int weir__poller_arm(int fd, unsigned events, uint32_t tag)
{
    int err = refusal(fd);
    if (err != 0)
        return err;
    lock_acquire(&lock);
    size_t i = find_locked(fd);
    if (i == armed_count)
        armed_count++; /* there is room for all that was reserved */
    armed[i] = (struct armed){fd, tag, events, false};
    lock_release(&lock);
    weir__poller_wake();
    return 0;
}

int weir__poller_rearm(int fd, unsigned events, uint32_t tag)
{
    int err = weir__poller_arm(fd, events, tag);
    if (err != 0)
        weir__poller_disarm(fd);                           /* its room is for what is armed next */
    return err == -EBADF || err == -EPERM ? -ENOENT : err; /* it is another file now, or none */
}

void weir__poller_disarm(int fd)
{
    lock_acquire(&lock);
    disarm_locked(find_locked(fd));
    lock_release(&lock);
}

static nfds_t fill_locked(void)
{
    if (spare != NULL) {
        weir__free(polled);
        polled = spare;
        spare = NULL;
    }
    polled[0] = (struct pollfd){.fd = weir__notify_fd(&waker), .events = POLLIN};
    for (size_t i = 0; i < armed_count; i++) {
        struct pollfd *at = &polled[i + 1];
        *at = (struct pollfd){.fd = armed[i].fd};
        armed[i].polled = true;
        if ((armed[i].events & WEIR_READABLE) != 0)
            at->events |= POLLIN;
        if ((armed[i].events & WEIR_WRITABLE) != 0)
            at->events |= POLLOUT;
    }
    return (nfds_t)armed_count + 1;
}

static unsigned ready_events(short told)
{
    unsigned ready = 0;
    if ((told & POLLNVAL) != 0)
        return 0;
    if ((told & (POLLIN | POLLERR | POLLHUP)) != 0)
        ready |= WEIR_READABLE;
    if ((told & (POLLOUT | POLLERR | POLLHUP)) != 0)
        ready |= WEIR_WRITABLE;
    return ready;
}

static unsigned report_locked(nfds_t count, struct poller_event *events, unsigned n)
{
    unsigned kept = 0;
    for (nfds_t i = 1; i < count && kept < n; i++) {
        size_t at = polled[i].revents != 0 ? find_locked(polled[i].fd) : armed_count;
        if (at == armed_count || !armed[at].polled)
            continue;
        unsigned ready = ready_events(polled[i].revents);
        events[kept++] = (struct poller_event){armed[at].fd, armed[at].tag, ready};
        disarm_locked(at);
    }
    return kept;
}

/* Is any of them ready? The waker is in the first part, in which the thread sleeps. */
static bool poll_in_parts(nfds_t count)
{
    struct rlimit limit;
    nfds_t part = count < PART ? count : PART;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < part)
        part = (nfds_t)limit.rlim_cur;
    bool ready = false;
    for (nfds_t at = part, n; part != 0 && at < count; at += n) {
        n = count - at < part ? count - at : part;
        ready |= poll(&polled[at], n, 0) > 0;
    }
    ready |= poll(polled, part, ready ? 0 : PAUSE_MS) > 0; /* of 0 descriptors, it is a pause */
    return ready;
}

unsigned weir__poller_wait(struct poller_event *events, unsigned n, int64_t deadline)
{
    lock_acquire(&lock);
    nfds_t count = fill_locked();
    lock_release(&lock);
    int ready = poll(polled, count, milliseconds_left(deadline, weir_now()));
    if (ready < 0 && errno != EINTR)
        ready = poll_in_parts(count);
    if (ready <= 0)
        return 0;
    lock_acquire(&lock);
    unsigned kept = report_locked(count, events, n);
    lock_release(&lock);
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
