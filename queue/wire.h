/* SPDX-License-Identifier: MIT */
/* wire.h - a connection to the server that never blocks its thread.
 *
 * States: CLOSED -> CONNECTING -> GREETING -> READY, and from each back to CLOSED. The greeting
 * gives the password, chooses the database, and asks whether the server is ready at all.
 *
 * Replies come in the order of the commands; each command has a tag and a pointer by which its
 * reply is known. What failed is told by weir__wire_step, once: then the wire is closed, and no
 * reply to what was sent will come.
 *
 * Not thread-safe.
 */
#ifndef WEIR_QUEUE_WIRE_H
#define WEIR_QUEUE_WIRE_H

#include "args.h"
#include "dial.h"

struct redisReader;
struct redisReply;

enum wire_state { WIRE_CLOSED, WIRE_CONNECTING, WIRE_GREETING, WIRE_READY };

/* A command whose reply is to come. */
struct expected {
    int tag;
    void *data;
    int64_t sent;  /* when */
    int64_t extra; /* ns that the server may take for it beyond reply_timeout */
};

struct wire {
    const struct address *address;
    int64_t connect_timeout, reply_timeout;
    bool with_scripts; /* load them all in the greeting */
    enum wire_state state;
    int fd;
    struct dial dial;
    int64_t connect_by;
    struct redisReader *reader;
    char *out; /* what is not sent yet: from out_begin to out_end */
    size_t out_begin, out_end, out_room;
    struct expected *expected; /* a ring */
    size_t expected_first, expected_count, expected_room;
    size_t greetings; /* of them, the first so many */
    int64_t heard;    /* when the server last said something */
    struct failure failure;
};

void weir__wire_init(struct wire *wire, const struct address *address,
                     const weir_queue_options *options);
void weir__wire_destroy(struct wire *wire);
/* Back to CLOSED. What was expected is forgotten. */
void weir__wire_close(struct wire *wire);

/* CLOSED -> CONNECTING, to the addresses that weir__dial_begin found, which it takes over. Returns
 * 0 or an error; text in `failure`, as for all below. */
int weir__wire_connect(struct wire *wire, const struct dial *dial);

/* The same, and finds them, for which it may block as long as the system's resolver does. */
int weir__wire_open(struct wire *wire);

/* Appends a command to what is to be sent. Only in READY. Returns 0 or -ENOMEM. */
int weir__wire_send(struct wire *wire, int tag, void *data, int64_t extra, const struct args *args);

/* Sends what the socket takes now. Returns 0 or an error. */
int weir__wire_flush(struct wire *wire);

/* What to poll for; and until when, or WEIR_FOREVER. */
short weir__wire_events(const struct wire *wire);
int64_t weir__wire_deadline(const struct wire *wire);

/* Connects, greets, sends, receives, as far as that goes without blocking. Returns 0 or an error,
 * with the wire closed. */
int weir__wire_step(struct wire *wire);

/* The next reply, to be freed by freeReplyObject. Returns 1; 0: none yet; or an error, with the
 * wire closed. */
int weir__wire_next(struct wire *wire, struct expected *ret, struct redisReply **ret_reply);

/* The failure that an error reply stands for, in `failure`. Returns its code. */
int weir__wire_refused(struct wire *wire, const struct redisReply *reply);

#endif
