/* SPDX-License-Identifier: MIT */
/* weir/base.h - version, error texts, and the macros that every other header uses.
 *
 * Errors. A call that can fail returns 0 or a negative value of <errno.h>, which comes with this
 * header; there is no thread-local error state. Each code has one meaning throughout the library:
 *
 *   -EAGAIN       full, empty, not yet done, no permit (the try_ forms, REJECT pools, and calls
 *                 that never wait)
 *   -ETIMEDOUT    the deadline passed, or provably will pass before success
 *   -ECANCELED    the context was cancelled
 *   -EPIPE        closed or shut down
 *   -EDEADLK      this wait or submit could never end
 *   -EBUSY        the object is in use
 *   -EINVAL       an argument that can never be valid
 *   -ENOMEM       no memory
 *   -E2BIG        options from a newer version of weir set a field that this one does not know
 *   -EOVERFLOW    a count would wrap
 *   -ESTALE       the handle was inherited through fork()
 *   -EINPROGRESS  the task is running
 *   -EALREADY     done, closed or called already
 *   -ENOBUFS      all places of a completion are held (completion.h)
 *   -EEXIST       it is there already
 *   -EMFILE, -ENFILE  no file descriptor is left
 *
 * Besides these, calls that start a thread pass on what pthread_create() returned, negated.
 *
 * Misuse that no return code can report (a waitgroup counted below zero, for example) prints one
 * sentence that names the call on standard error and aborts, in release builds too.
 *
 * Three forms of a blocking call: try_x(o) never blocks; x(o) waits as long as it takes;
 * x_until(o, ..., ctx, deadline) ends at the latest when `ctx` is over (cancelled or past its
 * deadline; NULL: never) or at `deadline` (see weir/clock.h). With a context that is already over
 * it fails at once and has no effect; with a deadline that has already passed it still succeeds if
 * no wait is needed.
 */
#ifndef WEIR_BASE_H
#define WEIR_BASE_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>

#define WEIR_VERSION_MAJOR 0
#define WEIR_VERSION_MINOR 2
#define WEIR_VERSION_PATCH 0

#ifdef __cplusplus
#define WEIR_BEGIN_DECLS extern "C" {
#define WEIR_END_DECLS }
#else
#define WEIR_BEGIN_DECLS
#define WEIR_END_DECLS
#endif

#if defined(__GNUC__) || defined(__clang__)
#define WEIR_API __attribute__((visibility("default")))
#define WEIR_NODISCARD __attribute__((warn_unused_result))
#else
#define WEIR_API
#define WEIR_NODISCARD
#endif

WEIR_BEGIN_DECLS

/* The version of the library that is linked in, as "major.minor.patch". Never blocks. The text is
 * static. Callable from anywhere, a signal handler included. */
WEIR_API const char *weir_version(void);

/* A short text without a full stop, to be shown to people. In English for 0 and for the codes of
 * the table above, static, and callable from anywhere, a signal handler included. For any other
 * negative code what the C library says of it, so that what a task of yours returned can be given
 * here too: with the GNU C library static and in English as well, else as strerror(-code) is. Never
 * NULL, never blocks. */
WEIR_API const char *weir_strerror(int code);

WEIR_END_DECLS

#endif
