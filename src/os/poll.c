/* SPDX-License-Identifier: MIT */
#include "os/poll.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <time.h>

#include "weir/clock.h"
#include "weir/ready.h"

/* What is left until `deadline`; NULL: no end. */
static struct timespec *time_left(int64_t deadline, struct timespec *memory)
{
    if (deadline == WEIR_FOREVER)
        return NULL;
    int64_t now = weir_now();
    int64_t left = deadline > now ? deadline - now : 0; /* no wrap: times are not negative */
    memory->tv_sec = (time_t)(left / 1000000000);
    memory->tv_nsec = (long)(left % 1000000000);
    return memory;
}

static unsigned ready_events(unsigned events, short told)
{
    if ((told & (POLLERR | POLLHUP)) != 0)
        return events; /* neither call would block */
    unsigned ready = 0;
    if ((told & POLLIN) != 0)
        ready |= WEIR_READABLE;
    if ((told & POLLOUT) != 0)
        ready |= WEIR_WRITABLE;
    return ready & events;
}

int weir__poll(int fd, unsigned events, const struct notify *also, int64_t deadline)
{
    struct pollfd polled[2] = {{.fd = fd}, {.fd = -1, .events = POLLIN}};
    if ((events & WEIR_READABLE) != 0)
        polled[0].events |= POLLIN;
    if ((events & WEIR_WRITABLE) != 0)
        polled[0].events |= POLLOUT;
    if (also != NULL)
        polled[1].fd = weir__notify_fd(also);
    struct timespec memory, *left = time_left(deadline, &memory);
    /* No other wait of weir's is a place where a thread can be cancelled. */
    int state;
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &state);
    int n = ppoll(polled, also != NULL ? 2 : 1, left, NULL);
    int err = n < 0 ? -errno : 0;
    (void)pthread_setcancelstate(state, &state);
    if (err == -EINVAL) /* more than RLIMIT_NOFILE permits */
        return -EMFILE;
    if (err != 0)
        return err == -EAGAIN ? -EINTR : err;
    if (n == 0)
        return deadline <= weir_now() ? -ETIMEDOUT : -EINTR;
    if ((polled[0].revents & POLLNVAL) != 0)
        return -EBADF;
    return (int)ready_events(events, polled[0].revents);
}
