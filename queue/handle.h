/* SPDX-License-Identifier: MIT */
/* handle.h - a queue's handle, and calls that wait for their reply on its shared connection.
 *
 * `turn` guards the connection, `client` and `pushes`: one call at a time. `lock` guards `users`.
 */
#ifndef WEIR_QUEUE_HANDLE_H
#define WEIR_QUEUE_HANDLE_H

#include <pthread.h>
#include <sys/types.h>

#include "weir/semaphore.h"

#include "scripts.h"
#include "wire.h"

struct weir_queue {
    struct address address;
    weir_queue_options options; /* with defaults filled in */
    pid_t process;              /* that opened it */
    pthread_mutex_t lock;
    unsigned users; /* calls that are under way */
    weir_semaphore turn;
    struct wire wire;
    int wake;        /* an eventfd: a context is over */
    char client[20]; /* names this handle to the server, for pushes */
    uint64_t pushes; /* portions so far */
};

/* Begins and ends a call on the queue. Returns 0, -EINVAL (NULL) or -ESTALE. */
int weir__queue_enter(weir_queue *queue);
void weir__queue_leave(weir_queue *queue);

/* Takes and gives back the turn. Returns 0, or an error with its text set. */
int weir__queue_take_turn(weir_queue *queue, weir_context *ctx, int64_t deadline);
void weir__queue_end_turn(weir_queue *queue);

/* With the turn: has the server do a command, tries again for `patience` if it cannot be reached,
 * and returns its reply, which is no error. The text of an error is set, but for -ENOEXEC: the
 * server does not know the script. */
int weir__queue_ask(weir_queue *queue, const struct args *args, weir_context *ctx, int64_t deadline,
                    struct redisReply **ret);

/* Begins the words of a script: its name and the key; `room` is for what is added. */
void weir__script_args(struct args *args, const struct script *script,
                       const struct address *address, size_t room);

/* The same as ask, of a script; the reply must be of `type`, or it is -EPROTO. */
int weir__queue_run(weir_queue *queue, const struct script *script, const struct args *args,
                    weir_context *ctx, int64_t deadline, int type, struct redisReply **ret);

/* Takes the turn, runs, ends the turn: what all calls but push do. Destroys the words. */
int weir__queue_do(weir_queue *queue, const struct script *script, struct args *args, int type,
                   struct redisReply **ret);

/* -EPROTO: the reply is not as it should be. Sets the text. */
int weir__queue_puzzled(weir_queue *queue);

/* Milliseconds, rounded up so that what is not 0 stays so. */
int64_t weir__to_ms(int64_t ns);

/* A random word of 16 letters and a NUL. */
void weir__random_word(char ret[17]);

#endif
