/* SPDX-License-Identifier: MIT */
/* loop.c - the thread that accepts, reads and writes for all connections.
 *
 * No resume is lost. A thread that resumes first tells MHD, then sets `woken`, and writes to the
 * eventfd if it was not set. The loop clears `woken` and then has MHD look. So either MHD sees the
 * resume, or the thread finds `woken` clear and writes. */
#include "inside.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

/* So many are accepted before those that are there get their turn again. */
enum { ACCEPTED_AT_ONCE = 256, NO_DESCRIPTORS_MS = 100, LONGEST_WAIT_MS = 60000 };

static unsigned connections(struct loop *loop)
{
    return MHD_get_daemon_info(loop->daemon, MHD_DAEMON_INFO_CURRENT_CONNECTIONS)->num_connections;
}

/* For those that wait to be accepted until another one goes. */
static bool may_accept(struct loop *loop)
{
    return loop->listen_fd >= 0 && connections(loop) < loop->most &&
           (loop->accepts_at == 0 || weir_now() >= loop->accepts_at);
}

static void accept_some(struct loop *loop, unsigned at_most)
{
    struct sockaddr_storage address;
    loop->accepts_at = 0;
    while (at_most-- > 0 && connections(loop) < loop->most) {
        socklen_t size = sizeof address;
        int fd = accept4(loop->listen_fd, (struct sockaddr *)&address, &size,
                         SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0)
            (void)MHD_add_connection(loop->daemon, fd, (struct sockaddr *)&address, size);
        else if (errno == EAGAIN)
            return;
        else if (errno != EINTR && errno != ECONNABORTED) {
            loop->accepts_at = weir_after(WEIR_MS(NO_DESCRIPTORS_MS));
            return;
        }
    }
}

/* Clients that have connected and were not accepted yet are taken along: they get an answer. From
 * then on the system refuses new ones. */
static void stop_accepting(struct loop *loop)
{
    accept_some(loop, loop->most);
    (void)close(loop->listen_fd);
    loop->listen_fd = -1;
    weir_waitgroup_done(&loop->accepting);
}

/* For how long the loop may wait, in ms. */
static int time_left(struct loop *loop)
{
    MHD_UNSIGNED_LONG_LONG left = LONGEST_WAIT_MS;
    (void)MHD_get_timeout(loop->daemon, &left);
    if (loop->accepts_at != 0 && left > NO_DESCRIPTORS_MS)
        return NO_DESCRIPTORS_MS;
    return left < LONGEST_WAIT_MS ? (int)left : LONGEST_WAIT_MS;
}

static void *run_loop(void *arg)
{
    struct loop *loop = arg;
    int epoll_fd = MHD_get_daemon_info(loop->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    while (!atomic_load(&loop->ends)) {
        struct pollfd fds[] = {{epoll_fd, POLLIN, 0},
                               {loop->wake_fd, POLLIN, 0},
                               {may_accept(loop) ? loop->listen_fd : -1, POLLIN, 0}};
        uint64_t count;
        (void)poll(fds, sizeof fds / sizeof fds[0], time_left(loop));
        if (fds[1].revents != 0 && read(loop->wake_fd, &count, sizeof count) > 0)
            (void)atomic_exchange(&loop->woken, false);
        if (fds[2].revents != 0)
            accept_some(loop, ACCEPTED_AT_ONCE);
        (void)MHD_run(loop->daemon);
        if (loop->listen_fd >= 0 && atomic_load(loop->phase) >= STOPPING)
            stop_accepting(loop);
    }
    return NULL;
}

static void wake(struct loop *loop)
{
    const uint64_t one = 1;
    if (atomic_exchange(&loop->woken, true))
        return;
    while (write(loop->wake_fd, &one, sizeof one) < 0 && errno == EINTR)
        continue;
}

int loop_start(struct loop *loop, struct MHD_Daemon *daemon, int listen_fd, unsigned most,
               const atomic_int *phase)
{
    loop->daemon = daemon;
    loop->phase = phase;
    loop->most = most;
    loop->listen_fd = listen_fd;
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->wake_fd < 0)
        return -errno;
    weir_waitgroup_add(&loop->accepting, 1);
    int err = -pthread_create(&loop->thread, NULL, run_loop, loop);
    if (err != 0)
        (void)close(loop->wake_fd);
    loop->runs = err == 0;
    return err;
}

void loop_stop_accepting(struct loop *loop)
{
    wake(loop);
    int err = weir_waitgroup_wait(&loop->accepting);
    (void)err; /* nothing bounds the wait, so it cannot fail */
}

void loop_stop(struct loop *loop)
{
    if (!loop->runs)
        return;
    atomic_store(&loop->ends, true);
    wake(loop);
    pthread_join(loop->thread, NULL);
    if (loop->listen_fd >= 0)
        (void)close(loop->listen_fd);
    (void)close(loop->wake_fd);
    loop->runs = false;
}

void loop_resume(struct loop *loop, struct MHD_Connection *connection)
{
    MHD_resume_connection(connection);
    wake(loop);
}
