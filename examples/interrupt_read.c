/* SPDX-License-Identifier: MIT */
/* interrupt_read.c - a context hook ends a call that weir does not know: a read from a socket.
 *
 * A task that is blocked in read() does not see that it was cancelled or has run out of time. A
 * hook on its context shuts the socket down, which ends the read. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <weir.h>

struct connection {
    int sockets[2]; /* ours, and that of a peer that never says a word */
};

static void hang_up(void *arg)
{
    (void)shutdown(((struct connection *)arg)->sockets[0], SHUT_RDWR);
}

static int receive(weir_context *ctx, void *arg)
{
    struct connection *connection = arg;
    weir_context_hook hook = WEIR_CONTEXT_HOOK_INIT;
    int err = weir_context_on_done(ctx, &hook, hang_up, connection);
    if (err != 0)
        return err;
    char text[100];
    ssize_t n = read(connection->sockets[0], text, sizeof text);
    /* The hook is on this stack, so it must be stopped before the function returns. */
    (void)weir_context_hook_stop(&hook);
    return n > 0 ? 0 : weir_context_err(ctx);
}

static const char *result(int status)
{
    return status == 0 ? "it received something" : weir_strerror(status);
}

static int show(weir_pool *pool, const char *what, int64_t timeout, int say, int cancel)
{
    struct connection connection;
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, connection.sockets) != 0)
        return -errno;
    weir_task task = WEIR_TASK_INIT;
    int err = weir_pool_submit_task(pool, &task, receive, &connection,
                                    WEIR_TASK_OPTIONS(.timeout = timeout));
    if (err == 0) {
        if (say && write(connection.sockets[1], "hello", 5) != 5)
            err = -errno;
        if (cancel) {
            /* Once it runs: cancelled earlier, it would never start. */
            while (weir_task_state(&task) == WEIR_TASK_QUEUED)
                (void)!weir_sleep_until(NULL, weir_after(WEIR_MS(1)));
            (void)weir_task_cancel(&task);
        }
        int waited = weir_task_wait(&task);
        if (waited == 0)
            printf("%s: %s\n", what, result(weir_task_status(&task)));
        err = err != 0 ? err : waited;
    }
    (void)close(connection.sockets[0]);
    (void)close(connection.sockets[1]);
    return err;
}

int main(void)
{
    weir_pool *pool;
    int err = weir_pool_new(&pool, WEIR_POOL_OPTIONS(.workers = 1));
    if (err == 0) {
        err = show(pool, "the peer says hello", WEIR_S(60), 1, 0);
        if (err == 0)
            err = show(pool, "50 ms, and not a word", WEIR_MS(50), 0, 0);
        if (err == 0)
            err = show(pool, "cancelled", 0, 0, 1);
        weir_pool_free(pool);
    }
    if (err != 0)
        fprintf(stderr, "interrupt_read: %s\n", strerror(-err));
    return err != 0;
}
