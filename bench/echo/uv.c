/* SPDX-License-Identifier: MIT */
/* uv.c - what examples/echo_server.c does, with libuv: one loop on one thread.
 *
 * Each connection has its buffer, and a timer for the minute of silence. What was read is written
 * back at once; what the socket does not take is left to the loop, which reads no more until it has
 * gone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <uv.h>

enum { SILENCE_MS = 60000 };

struct connection {
    uv_tcp_t socket;
    uv_timer_t silence;
    uv_write_t rest;
    unsigned open; /* handles */
    char bytes[512];
};

static void require(int status, const char *what)
{
    if (status < 0) {
        (void)fprintf(stderr, "uv: %s: %s\n", what, uv_strerror(status));
        exit(1);
    }
}

static void on_closed(uv_handle_t *handle)
{
    struct connection *c = handle->data;
    if (--c->open == 0)
        free(c);
}

static void hang_up(struct connection *c)
{
    if (uv_is_closing((uv_handle_t *)&c->socket))
        return;
    uv_close((uv_handle_t *)&c->socket, on_closed);
    uv_close((uv_handle_t *)&c->silence, on_closed);
}

static void on_silence(uv_timer_t *timer)
{
    hang_up(timer->data);
}

static void give_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buffer)
{
    (void)suggested;
    struct connection *c = handle->data;
    *ret_buffer = uv_buf_init(c->bytes, sizeof c->bytes);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer);

static void on_written(uv_write_t *request, int status)
{
    struct connection *c = request->data;
    if (status < 0 || uv_read_start((uv_stream_t *)&c->socket, give_buffer, on_read) != 0)
        hang_up(c);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
    struct connection *c = stream->data;
    if (n < 0 || uv_timer_again(&c->silence) != 0) {
        hang_up(c);
        return;
    }
    uv_buf_t left = uv_buf_init(buffer->base, (unsigned)n);
    int written = n > 0 ? uv_try_write(stream, &left, 1) : 0;
    if (written == UV_EAGAIN)
        written = 0;
    if (written == n)
        return;
    if (written >= 0) {
        left = uv_buf_init(buffer->base + written, (unsigned)(n - written));
        (void)uv_read_stop(stream);
    }
    if (written < 0 || uv_write(&c->rest, stream, &left, 1, on_written) != 0)
        hang_up(c);
}

static void on_connection(uv_stream_t *listener, int status)
{
    require(status, "listening");
    struct connection *c = calloc(1, sizeof *c);
    require(c != NULL ? 0 : UV_ENOMEM, "a connection");
    require(uv_tcp_init(listener->loop, &c->socket), "a socket");
    require(uv_timer_init(listener->loop, &c->silence), "a timer");
    c->socket.data = c->silence.data = c->rest.data = c;
    c->open = 2;
    require(uv_accept(listener, (uv_stream_t *)&c->socket), "accepting");
    require(uv_tcp_nodelay(&c->socket, 1), "an option");
    require(uv_timer_start(&c->silence, on_silence, SILENCE_MS, SILENCE_MS), "a timer");
    require(uv_read_start((uv_stream_t *)&c->socket, give_buffer, on_read), "reading");
}

int main(void)
{
    struct sockaddr_in address;
    int length = sizeof address;
    uv_tcp_t listener;
    uv_loop_t *loop = uv_default_loop();
    require(uv_ip4_addr("127.0.0.1", 0, &address), "the address");
    require(uv_tcp_init(loop, &listener), "a socket");
    require(uv_tcp_bind(&listener, (struct sockaddr *)&address, 0), "the address");
    require(uv_listen((uv_stream_t *)&listener, SOMAXCONN, on_connection), "listening");
    require(uv_tcp_getsockname(&listener, (struct sockaddr *)&address, &length), "the port");
    (void)printf("port %d\n", ntohs(address.sin_port));
    (void)fflush(stdout);
    return uv_run(loop, UV_RUN_DEFAULT);
}
