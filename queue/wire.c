/* SPDX-License-Identifier: MIT */
/* wire.c - a connection to the server that never blocks its thread. */
#include "wire.h"

#include <hiredis/hiredis.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "reader.h"
#include "scripts.h"

#define READ_SIZE (64 * 1024)

void weir__wire_init(struct wire *wire, const struct address *address,
                     const weir_queue_options *options)
{
    *wire = (struct wire){.address = address,
                          .connect_timeout = options->connect_timeout,
                          .reply_timeout = options->reply_timeout,
                          .fd = -1};
}

void weir__wire_close(struct wire *wire)
{
    if (wire->fd >= 0)
        close(wire->fd);
    wire->fd = -1;
    weir__dial_end(&wire->dial);
    if (wire->reader != NULL)
        redisReaderFree(wire->reader);
    wire->reader = NULL;
    if (wire->out != NULL)
        explicit_bzero(wire->out, wire->out_room); /* the greeting has the password */
    free(wire->out);
    wire->out = NULL;
    wire->out_begin = wire->out_end = wire->out_room = 0;
    wire->expected_first = wire->expected_count = wire->greetings = 0;
    wire->state = WIRE_CLOSED;
}

void weir__wire_destroy(struct wire *wire)
{
    weir__wire_close(wire);
    free(wire->expected);
    wire->expected = NULL;
    wire->expected_room = 0;
}

static int close_with(struct wire *wire, int err)
{
    weir__wire_close(wire);
    return err;
}

static int no_memory(struct wire *wire)
{
    return weir__fail(&wire->failure, -ENOMEM, "no memory");
}

static int lost(struct wire *wire, int code)
{
    return weir__fail(&wire->failure, -code, "lost the connection to %s: %s", wire->address->name,
                      weir_strerror(-code));
}

static int append(struct wire *wire, const char *bytes, size_t size)
{
    if (wire->out_begin == wire->out_end)
        wire->out_begin = wire->out_end = 0;
    if (wire->out_room - wire->out_end < size) {
        size_t room = (wire->out_end + size) * 2;
        char *larger = realloc(wire->out, room);
        if (larger == NULL)
            return -ENOMEM;
        wire->out = larger;
        wire->out_room = room;
    }
    memcpy(wire->out + wire->out_end, bytes, size);
    wire->out_end += size;
    return 0;
}

static int expect(struct wire *wire, struct expected what)
{
    if (wire->expected_count == wire->expected_room) {
        size_t room = wire->expected_room * 2 + 16;
        struct expected *larger = calloc(room, sizeof *larger);
        if (larger == NULL)
            return -ENOMEM;
        for (size_t i = 0; i < wire->expected_count; i++)
            larger[i] = wire->expected[(wire->expected_first + i) % wire->expected_room];
        free(wire->expected);
        wire->expected = larger;
        wire->expected_room = room;
        wire->expected_first = 0;
    }
    size_t place = (wire->expected_first + wire->expected_count++) % wire->expected_room;
    wire->expected[place] = what;
    return 0;
}

int weir__wire_send(struct wire *wire, int tag, void *data, int64_t extra, const struct args *args)
{
    if (args->failed)
        return no_memory(wire);
    char *command = NULL;
    int size =
        redisFormatCommandArgv(&command, (int)args->count, (const char **)args->words, args->sizes);
    if (size < 0)
        return no_memory(wire);
    struct expected what = {.tag = tag, .data = data, .sent = weir_now(), .extra = extra};
    int err = expect(wire, what);
    if (err == 0) {
        err = append(wire, command, (size_t)size);
        if (err < 0)
            wire->expected_count--;
    }
    redisFreeCommand(command);
    return err < 0 ? no_memory(wire) : 0;
}

int weir__wire_flush(struct wire *wire)
{
    while (wire->out_begin < wire->out_end) {
        ssize_t sent = send(wire->fd, wire->out + wire->out_begin, wire->out_end - wire->out_begin,
                            MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno == EAGAIN)
                return 0;
            if (errno != EINTR)
                return close_with(wire, lost(wire, errno));
            continue;
        }
        wire->out_begin += (size_t)sent;
    }
    if (wire->out_room > 4 * READ_SIZE) {
        free(wire->out);
        wire->out = NULL;
        wire->out_begin = wire->out_end = wire->out_room = 0;
    }
    return 0;
}

static int greet(struct wire *wire, struct args *args)
{
    wire->greetings++;
    int err = weir__wire_send(wire, 0, NULL, 0, args);
    weir__args_destroy(args);
    return err;
}

/* The last command is a PING: it says whether the server wants a password, or is not ready. */
static int greet_all(struct wire *wire)
{
    const struct address *address = wire->address;
    struct args args;
    int err = 0;
    if (address->password != NULL) {
        weir__args_init(&args, 3);
        weir__args_text(&args, "AUTH");
        if (address->user != NULL)
            weir__args_text(&args, address->user);
        weir__args_text(&args, address->password);
        err = greet(wire, &args);
    }
    if (err == 0 && address->database != NULL) {
        weir__args_init(&args, 2);
        weir__args_text(&args, "SELECT");
        weir__args_text(&args, address->database);
        err = greet(wire, &args);
    }
    for (size_t i = 0; err == 0 && wire->with_scripts && weir__scripts[i] != NULL; i++) {
        weir__args_init(&args, 3);
        weir__args_text(&args, "SCRIPT");
        weir__args_text(&args, "LOAD");
        weir__args_add(&args, weir__scripts[i]->text, weir__scripts[i]->size);
        err = greet(wire, &args);
    }
    if (err < 0)
        return err;
    weir__args_init(&args, 1);
    weir__args_text(&args, "PING");
    return greet(wire, &args);
}

static int dial_next(struct wire *wire)
{
    wire->fd = weir__dial_next(&wire->dial, wire->address, &wire->failure);
    wire->connect_by = weir_after(wire->connect_timeout);
    return wire->fd < 0 ? close_with(wire, wire->fd) : 0;
}

int weir__wire_connect(struct wire *wire, const struct dial *dial)
{
    weir_assert(wire->state == WIRE_CLOSED);
    wire->dial = *dial;
    wire->reader = weir__reader_new();
    if (wire->reader == NULL)
        return close_with(wire, no_memory(wire));
    wire->state = WIRE_CONNECTING;
    return dial_next(wire);
}

int weir__wire_open(struct wire *wire)
{
    struct dial dial;
    int err = weir__dial_begin(&dial, wire->address, &wire->failure);
    return err < 0 ? err : weir__wire_connect(wire, &dial);
}

short weir__wire_events(const struct wire *wire)
{
    if (wire->state == WIRE_CONNECTING)
        return POLLOUT;
    return wire->out_begin < wire->out_end ? POLLIN | POLLOUT : POLLIN;
}

int64_t weir__wire_deadline(const struct wire *wire)
{
    if (wire->state == WIRE_CONNECTING)
        return wire->connect_by;
    if (wire->state == WIRE_CLOSED || wire->expected_count == 0)
        return WEIR_FOREVER;
    const struct expected *first = &wire->expected[wire->expected_first];
    int64_t since = wire->heard > first->sent ? wire->heard : first->sent;
    int64_t wait = wire->reply_timeout + first->extra;
    return since > WEIR_FOREVER - wait ? WEIR_FOREVER : since + wait;
}

/* CONNECTING: the socket is connected, or has failed, or it took too long. */
static int connected(struct wire *wire)
{
    struct pollfd poll_fd = {.fd = wire->fd, .events = POLLOUT};
    int err;
    if (poll(&poll_fd, 1, 0) > 0)
        err = weir__dial_result(wire->fd, wire->address, &wire->failure);
    else if (weir_now() >= wire->connect_by)
        err = weir__fail(&wire->failure, -ETIMEDOUT, "cannot connect to %s: no answer",
                         wire->address->name);
    else
        return 0;
    if (err < 0) {
        close(wire->fd);
        return dial_next(wire);
    }
    weir__dial_end(&wire->dial);
    wire->state = WIRE_GREETING;
    wire->heard = weir_now();
    err = greet_all(wire);
    return err < 0 ? close_with(wire, err) : 0;
}

static int receive(struct wire *wire)
{
    char bytes[READ_SIZE];
    for (;;) {
        ssize_t size = recv(wire->fd, bytes, sizeof bytes, 0);
        if (size > 0) {
            wire->heard = weir_now();
            if (redisReaderFeed(wire->reader, bytes, (size_t)size) != REDIS_OK)
                return close_with(wire, no_memory(wire));
            if ((size_t)size < sizeof bytes)
                return 0;
        } else if (size == 0) {
            return close_with(wire, lost(wire, ECONNRESET));
        } else if (errno == EAGAIN) {
            return 0;
        } else if (errno != EINTR) {
            return close_with(wire, lost(wire, errno));
        }
    }
}

/* The next reply that has come, of whatever command. Returns 1, 0 or an error. */
static int next_reply(struct wire *wire, struct expected *ret, redisReply **ret_reply)
{
    void *reply = NULL;
    if (redisReaderGetReply(wire->reader, &reply) != REDIS_OK) {
        int err =
            wire->reader->err == REDIS_ERR_OOM
                ? no_memory(wire)
                : weir__fail(&wire->failure, -EPROTO, "%s does not answer as a Redis server does",
                             wire->address->name);
        return close_with(wire, err);
    }
    if (reply == NULL)
        return 0;
    if (wire->expected_count == 0) {
        freeReplyObject(reply);
        (void)weir__fail(&wire->failure, -EPROTO, "%s answers what it was not asked",
                         wire->address->name);
        return close_with(wire, -EPROTO);
    }
    *ret = wire->expected[wire->expected_first];
    wire->expected_first = (wire->expected_first + 1) % wire->expected_room;
    wire->expected_count--;
    *ret_reply = reply;
    return 1;
}

/* GREETING: READY after the last reply. */
static int greeted(struct wire *wire)
{
    struct expected what;
    redisReply *reply = NULL;
    while (wire->greetings > 0) {
        int got = next_reply(wire, &what, &reply);
        if (got <= 0)
            return got;
        wire->greetings--;
        int err = 0;
        if (reply->type == REDIS_REPLY_ERROR)
            err = weir__wire_refused(wire, reply);
        freeReplyObject(reply);
        if (err < 0)
            return close_with(wire, err);
    }
    wire->state = WIRE_READY;
    return 0;
}

int weir__wire_step(struct wire *wire)
{
    int err = 0;
    if (wire->state == WIRE_CLOSED)
        return 0;
    if (wire->state == WIRE_CONNECTING) {
        err = connected(wire);
        if (err < 0 || wire->state == WIRE_CONNECTING)
            return err;
    }
    err = weir__wire_flush(wire);
    if (err == 0)
        err = receive(wire);
    if (err == 0 && wire->state == WIRE_GREETING)
        err = greeted(wire);
    if (err == 0 && weir_now() >= weir__wire_deadline(wire)) {
        err = weir__fail(&wire->failure, -ETIMEDOUT, "%s does not answer", wire->address->name);
        weir__wire_close(wire);
    }
    return err;
}

int weir__wire_next(struct wire *wire, struct expected *ret, redisReply **ret_reply)
{
    return wire->state == WIRE_READY ? next_reply(wire, ret, ret_reply) : 0;
}

int weir__wire_refused(struct wire *wire, const redisReply *reply)
{
    /* Behind " script: " it says where, which tells nobody anything. */
    const char *end = strstr(reply->str, " script: ");
    size_t size = end != NULL ? (size_t)(end - reply->str) : reply->len;
    return weir__fail(&wire->failure, weir__classify(reply->str, reply->len), "%s refuses: %.*s",
                      wire->address->name, (int)(size < 150 ? size : 150), reply->str);
}
