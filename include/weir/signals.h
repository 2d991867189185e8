/* SPDX-License-Identifier: MIT */
/* weir/signals.h - a context that is over when the process is told to stop.
 *
 *     weir_context *stop;
 *     err = weir_context_from_signals(&stop, NULL, NULL, 0);        SIGINT and SIGTERM
 *     while (err == 0 && next_line(line))
 *         err = weir_pool_submit_until(pool, work, line, stop, WEIR_FOREVER);
 *     ...
 *     if (weir_context_cause(stop) == SIGINT)
 *         ...
 *     weir_context_cancel(stop, 0);                                 gives the signals back
 *     weir_context_unref(stop);
 *
 * A thread that is blocked with this context, or with a child of it, is woken by the signal. After
 * the first signal all of them do again what they did before: the second ^C ends a program that
 * does not stop.
 */
#ifndef WEIR_SIGNALS_H
#define WEIR_SIGNALS_H

#include "context.h"

WEIR_BEGIN_DECLS

/* Makes a child of `parent` (NULL: a root) that is cancelled when one of `n` signals arrives, with
 * the number of the signal as its cause. NULL and 0: SIGINT and SIGTERM. A signal that is ignored
 * when this is called (SIGHUP under nohup) stays ignored.
 * The signals are given back when the context is over: the first has arrived, it was cancelled, or
 * its parent is over. To unref it is not enough. Until then a thread of weir's waits for them,
 * which also receives them if all other threads block them. It makes the cancellation, so that
 * hooks of the context (weir_context_on_done) are called there. If the program sets another handler
 * meanwhile, that one stays. A signal that arrives just as the context ends for another reason may
 * be taken to be meant for it.
 * Never blocks. Returns 0; -EBUSY (there can be one at a time; one that was cancelled counts until
 * weir_context_cancel has returned); -EINVAL (`ret` is NULL; `signals` is NULL or `n` is 0, but not
 * both; more than 32; one that cannot be caught, or that stands for a fault, such as SIGSEGV);
 * -ENOMEM; what pthread_create returned, negated.
 * In a child process made by fork() the context is not cancelled by signals, which do there what
 * they did before; the child can make such a context of its own. */
WEIR_API WEIR_NODISCARD int weir_context_from_signals(weir_context **ret, weir_context *parent,
                                                      const int signals[], size_t n);

WEIR_END_DECLS

#endif
