/* SPDX-License-Identifier: MIT */
/* trace.c - starting and stopping a trace, and the program's own events.
 *
 * States: OFF -> ON -> WRITING -> OFF; and OFF -> STARTING -> ON or OFF. Each change is made under
 * the lock, which is held for nothing else: so whoever moved it from OFF or ON has the fields below
 * to himself until the next change, and can write for as long as that takes.
 *
 * fork: in the child the state is OFF again, and its copy of the file is closed at once, for it may
 * use the number for something else. The memory is freed by its next start. What a thread of the
 * parent was just making or freeing is left alone.
 */
#include "weir/trace.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/options.h"
#include "os/alloc.h"
#include "os/cpus.h"
#include "os/file.h"
#include "os/fork.h"
#include "os/lock.h"
#include "pool/pool.h"
#include "see/trace_json.h"

enum {
    DEFAULT_EVENTS = 65536,
    MAX_EVENTS = 1 << 24,
    DEFAULT_THREADS = 64,
    MAX_THREADS = 4096,
    BUFFER = 65536,
};

struct page {
    char buffer[BUFFER];
    struct trace_names names;
};

enum state { TRACE_OFF, TRACE_STARTING, TRACE_ON, TRACE_WRITING };

static struct {
    struct lock lock;
    enum state state; /* under the lock */
    struct json json;
    struct page *page; /* allocated at the start, so that a stop needs no memory */
    int fd;
    int64_t began;
} trace = {.lock = LOCK_INIT, .fd = -1};

static void reset_after_fork(void)
{
    lock_init(&trace.lock);
    if (trace.state == TRACE_ON && trace.fd >= 0)
        (void)weir__file_close(trace.fd);
    if (trace.state != TRACE_ON)
        trace.page = NULL;
    trace.fd = -1;
    trace.state = TRACE_OFF;
}

__attribute__((constructor)) static void watch_forks(void)
{
    (void)weir__at_fork_child(reset_after_fork); /* fails only if memory ends while loading */
}

/* False: the state was another one. */
static bool change(enum state from, enum state to)
{
    lock_acquire(&trace.lock);
    bool changed = trace.state == from;
    if (changed)
        trace.state = to;
    lock_release(&trace.lock);
    return changed;
}

/* Options. */

void weir_trace_options_init(weir_trace_options *options)
{
    if (options != NULL)
        *options = (weir_trace_options){.size = sizeof *options};
}

static int read_trace_options(weir_trace_options *ret, const weir_trace_options *given)
{
    return read_options(ret, sizeof *ret, offsetof(weir_trace_options, pool) + sizeof(void *),
                        given);
}

static const char *wrong_field(const weir_trace_options *options)
{
    if (options->path == NULL && options->write == NULL)
        return "path: not set, nor is write";
    if (options->path != NULL && options->write != NULL)
        return "path: set, and write too";
    if (options->events > MAX_EVENTS)
        return "events: above 2^24";
    return options->threads > MAX_THREADS ? "threads: above 4096" : NULL;
}

const char *weir_trace_options_error(const weir_trace_options *given)
{
    weir_trace_options options;
    int err = read_trace_options(&options, given);
    return options_error(err, wrong_field(&options));
}

static int settle(weir_trace_options *options, const weir_trace_options *given)
{
    int err = read_trace_options(options, given);
    if (err == 0 && wrong_field(options) != NULL)
        err = -EINVAL;
    if (err != 0)
        return err;
    if (options->pool != NULL && pool_stale(options->pool))
        return -ESTALE;
    if (options->events == 0)
        options->events = DEFAULT_EVENTS;
    if (options->threads == 0)
        options->threads = DEFAULT_THREADS + weir__usable_cpus();
    return 0;
}

/* Start and stop. */

static int write_file(const char *text, size_t n, void *unused)
{
    (void)unused;
    return weir__file_write(trace.fd, text, n);
}

/* Frees what begin() makes. 0, or what closing the file returned. */
static int release(void)
{
    int err = trace.fd >= 0 ? weir__file_close(trace.fd) : 0;
    weir__free(trace.page);
    trace.page = NULL;
    trace.fd = -1;
    return err;
}

static int begin(const weir_trace_options *options)
{
    (void)release(); /* what a parent process has left behind */
    trace.page = weir__alloc(1, sizeof *trace.page);
    if (trace.page == NULL)
        return -ENOMEM;
    trace.json = (struct json){.write = options->write,
                               .arg = options->arg,
                               .buffer = trace.page->buffer,
                               .size = sizeof trace.page->buffer};
    if (options->path != NULL) {
        trace.json.write = write_file;
        int fd = weir__file_create(options->path);
        if (fd < 0)
            return fd;
        trace.fd = fd;
    }
    trace.began = weir_now();
    return weir__recording_begin(options->events, options->threads,
                                 options->pool != NULL ? options->pool->host.trace.number : 0);
}

int weir_trace_start(const weir_trace_options *given)
{
    weir_trace_options options;
    int err = settle(&options, given);
    if (err != 0)
        return err;
    if (!change(TRACE_OFF, TRACE_STARTING))
        return -EBUSY;
    err = begin(&options);
    if (err != 0)
        (void)release();
    (void)change(TRACE_STARTING, err == 0 ? TRACE_ON : TRACE_OFF);
    return err;
}

int weir_trace_stop(void)
{
    if (!change(TRACE_ON, TRACE_WRITING))
        return -EALREADY;
    struct recording *recording = weir__recording_end();
    struct trace_span span = {
        .began = trace.began, .ended = weir_now(), .lost = weir__recording_lost()};
    weir__trace_write(&trace.json, &trace.page->names, recording, &span);
    weir__recording_release();
    int err = trace.json.err, closed = release();
    (void)change(TRACE_WRITING, TRACE_OFF);
    return err != 0 ? err : closed;
}

uint64_t weir_trace_lost(void)
{
    return weir__recording_lost();
}

/* The program's own. */

static void note(enum event_kind kind, const char *name, int64_t value)
{
    if (unlikely(load_rlx(&weir__trace) != 0)) /* a hint, as in tracing.h */
        weir__note(kind, NULL, (uintptr_t)(name != NULL ? name : ""), value);
}

void weir_trace_begin(const char *name)
{
    note(EVENT_OWN, name, 0);
}

void weir_trace_end(void)
{
    note(EVENT_OWN_END, NULL, 0);
}

void weir_trace_count(const char *name, int64_t value)
{
    note(EVENT_COUNT, name, value);
}
