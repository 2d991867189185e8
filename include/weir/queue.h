/* SPDX-License-Identifier: MIT */
/* weir/queue.h - jobs for many machines: a queue kept by a Redis or Valkey server (libweir-queue).
 *
 *     weir_queue *queue;
 *     err = weir_queue_open(&queue, "redis://localhost/pictures", NULL);
 *     weir_message message = {.body = path, .size = strlen(path), .key = path};
 *     err = weir_queue_push(queue, &message, 1, NULL, NULL, NULL, weir_after(WEIR_S(5)));
 *     ...                                          elsewhere, as often as you like:
 *     err = weir_queue_serve(queue, pool, make_thumbnail, NULL, NULL, ctx);
 *     if (err < 0)
 *         fprintf(stderr, "%s\n", weir_queue_error(queue));
 *
 * A job is done at least once. It is leased to the worker that takes it, and the lease is renewed
 * while it runs. The jobs of a worker that is killed or suspended, or cannot reach the server, go
 * to others when their leases are over, by the server's clock; such a worker finds the contexts of
 * its handlers over, and a result that comes late changes nothing. So a handler may be called twice
 * for one job, at worst twice at once for a moment: what it does must bear that.
 *
 * A job is over once its handler returned 0. One that failed is taken again after a pause, by any
 * worker; after its last attempt it goes to the dead list. A worker that dies costs a job an
 * attempt if its handler had been called.
 *
 * URL: redis://[USER:PASSWORD@]HOST[:PORT]/QUEUE[?db=N], redis+unix:///PATH?queue=QUEUE[&db=N];
 * both take &password-file=PATH, whose first line is the password. User, password and queue may
 * hold %XX. A queue's name has at most 200 bytes, none of them a brace. All its keys begin with
 * weir:{QUEUE}: there. TLS takes a tunnel such as stunnel. No text that this library makes shows
 * the password.
 *
 * Errors besides those of weir/base.h: -ECONNREFUSED, -ECONNRESET, -EHOSTUNREACH or what connecting
 * gave otherwise (no server there); -EACCES (the server wants another user or password, or forbids
 * a command); -EROFS (it takes no writes); -ENOSPC (it is out of memory); -EBUSY (it is loading its
 * data, or busy); -EPROTO (it is no such server, or a key of the queue holds something else);
 * -ETIMEDOUT (it was silent for reply_timeout). weir_queue_error says more.
 *
 * Thread-safety: every call but close may be made by any number of threads at once; those that
 * talk to the server share one connection and take turns, a serve has two of its own. Callable from
 * a task, whose worker it keeps. After fork(), in the child: -ESTALE; close frees the memory.
 */
#ifndef WEIR_QUEUE_H
#define WEIR_QUEUE_H

#include "queue_jobs.h"

WEIR_BEGIN_DECLS

/* Makes a handle; the first call that needs the server connects. Never blocks, but for reading a
 * password file. Returns 0; -EINVAL (`ret` is NULL, a wrong URL, a field out of range); -E2BIG;
 * -ENOMEM; what opening the password file gave. weir_queue_error(NULL) is the text of the last
 * failed open of the calling thread. */
WEIR_API WEIR_NODISCARD int weir_queue_open(weir_queue **ret, const char *url,
                                            const weir_queue_options *options);
/* Closes the connection and frees. close(NULL) is fine.
 * Misuse that aborts: another call on the queue is under way. */
WEIR_API void weir_queue_close(weir_queue *queue);
/* A sentence without a full stop about the last call on the queue that failed on this thread; else
 * "". Valid until the next failure on this thread. Never NULL, never blocks. */
WEIR_API const char *weir_queue_error(const weir_queue *queue);

/* Adds jobs in order. More than fit under the limit go in by portions: it waits while the limit is
 * reached. Nothing is added twice, also if a connection breaks. Blocks; returns at the latest when
 * `ctx` is over or at `deadline`. `ret`, if it is not NULL, and on_pushed are told what became of
 * each, also after an error; where a connection broke at the end, what is left out may yet have
 * been added.
 * Returns 0: no message is left out; -EINVAL (NULL, an empty key or one that is too long, a
 * negative time); -E2BIG; -EMSGSIZE (a body is too large: nothing was added); -ETIMEDOUT;
 * -ECANCELED; -ENOMEM; -ESTALE; the errors above.
 * After a return of 0 a job is lost only if the server loses it (its append-only file). */
WEIR_API WEIR_NODISCARD int weir_queue_push(weir_queue *queue, const weir_message messages[],
                                            size_t n, const weir_push_options *options,
                                            weir_push_counts *ret, weir_context *ctx,
                                            int64_t deadline);

/* Called on a worker of the pool, once an attempt. Returns 0: the job is done; else it has failed,
 * and that is its status. `ctx` is over when the lease is lost (weir_context_cause: -ESTALE), when
 * the job is cancelled (-ECANCELED), and as that of any task of the pool. `message` is valid until
 * the return. */
typedef int weir_message_fn(weir_context *ctx, const weir_message *message, void *arg);

/* Takes jobs, up to slots + batch, and runs fn(ctx, message, arg) for each on `pool`, until `ctx`
 * is over. Then what has not started is given back at once, and it waits until what runs has ended:
 * the contexts of the handlers are not over by that. Blocks for all that time.
 * Before it was connected once, errors end it after `patience`; later it connects again, for as
 * long as that takes, while the handlers go on until their leases are over.
 * Returns 0: `ctx` is over, or nothing is left (drain); -EINVAL (NULL, a field out of range);
 * -E2BIG; -EPIPE (the pool is closed); -EDEADLK (on a worker of the pool); -EMFILE, -ENFILE;
 * -ENOMEM; -ESTALE; the errors above. Of the pool's tasks it uses up to slots + batch. */
WEIR_API WEIR_NODISCARD int weir_queue_serve(weir_queue *queue, weir_pool *pool,
                                             weir_message_fn *fn, void *arg,
                                             const weir_serve_options *options, weir_context *ctx);

/* For a handler, about the message that it was given, on any thread until it returns. */

/* Keeps the last WEIR_QUEUE_ERRORS_MAX bytes of `text`, to be seen in the dead list if this attempt
 * fails. A later call replaces it. Returns 0; -EINVAL; -ENOMEM. */
WEIR_API int weir_message_set_errors(const weir_message *message, const void *text, size_t size);

typedef enum weir_failure {
    WEIR_FAILURE_RETRY,    /* after a pause, if attempts are left; so it is by itself */
    WEIR_FAILURE_BURY,     /* to the dead list at once */
    WEIR_FAILURE_GIVE_BACK /* to any worker at once, and this was no attempt */
} weir_failure;

/* What becomes of the job if this attempt fails. Does nothing for NULL. */
WEIR_API void weir_message_on_failure(const weir_message *message, weir_failure what);

WEIR_END_DECLS

#endif
