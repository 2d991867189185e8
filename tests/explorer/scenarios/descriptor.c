/* SPDX-License-Identifier: MIT */
/* descriptor.c - tasks that wait for a descriptor: readiness against cancel, expiry, the end of
 * their context, close and shutdown, a second wait, and a number that names another file. */
#include "base/list.h"
#include "os/notify.h"
#include "scenario.h"

enum { SOON = 2000, FD = 3 };

struct work {
    weir_pool *pool;
    weir_context *ctx;
    weir_task task, other;
    unsigned runs, other_runs;
    weir_state end, other_end;
    int err;
};

static int run(weir_context *ctx, void *arg)
{
    (void)ctx;
    ++*(unsigned *)arg;
    return 0;
}

static void ended(void *arg, weir_state end, int status)
{
    (void)status;
    struct work *work = container_of((unsigned *)arg, struct work, runs);
    check(work->end == WEIR_TASK_IDLE); /* once */
    work->end = end;
}

static struct work *new_work(unsigned descriptors)
{
    struct work *work = make(sizeof *work);
    virtual_descriptor(0);
    work->pool =
        new_pool(WEIR_POOL_OPTIONS(.workers = 1, .capacity = 1, .descriptors = descriptors));
    int err = weir_context_new(&work->ctx, NULL, WEIR_FOREVER);
    check(err == 0);
    return work;
}

static void end_work(struct work *work)
{
    weir_context_unref(work->ctx);
    drop(work);
}

static int wait_to_read(struct work *work, weir_context *ctx, int64_t deadline)
{
    return weir_pool_submit_when_until(work->pool, &work->task, FD, WEIR_READABLE, run, &work->runs,
                                       WEIR_TASK_OPTIONS(.on_done = ended), ctx, deadline);
}

static void make_ready(void *unused)
{
    (void)unused;
    virtual_descriptor(WEIR_READABLE | WEIR_WRITABLE);
}

static void cancel_task(void *arg)
{
    int err = weir_task_cancel(&((struct work *)arg)->task);
    check(err == 0 || err == -EINPROGRESS || err == -EALREADY);
}

static void cancel_context(void *arg)
{
    weir_context_cancel(((struct work *)arg)->ctx, 0);
}

static void finish_task(struct work *work)
{
    int err = weir_task_wait(&work->task);
    check(err == 0 && weir_task_state(&work->task) == work->end);
    check(work->runs == (work->end == WEIR_TASK_DONE));
}

/* Nothing else starts it. */
static void ready_against_submit(void)
{
    struct work *work = new_work(1);
    explore_begin();
    struct vthread *writer = start(make_ready, work);
    int err = wait_to_read(work, NULL, WEIR_FOREVER);
    check(err == 0);
    finish_task(work);
    finish(writer);
    end_pool(work->pool);
    explore_end();
    check(work->end == WEIR_TASK_DONE);
    end_work(work);
}

static void ready_against_cancel(void)
{
    struct work *work = new_work(1);
    int err = wait_to_read(work, NULL, WEIR_FOREVER);
    check(err == 0);
    explore_begin();
    struct vthread *writer = start(make_ready, work), *canceller = start(cancel_task, work);
    finish_task(work);
    finish(writer);
    finish(canceller);
    end_pool(work->pool);
    explore_end();
    check(work->end == WEIR_TASK_DONE || work->end == WEIR_TASK_CANCELLED);
    end_work(work);
}

static void ready_against_context(void)
{
    struct work *work = new_work(1);
    explore_begin();
    struct vthread *canceller = start(cancel_context, work);
    int err = wait_to_read(work, work->ctx, WEIR_FOREVER);
    struct vthread *writer = start(make_ready, work);
    check(err == 0 || err == -ECANCELED);
    if (err == 0)
        finish_task(work);
    finish(writer);
    finish(canceller);
    end_pool(work->pool);
    explore_end();
    check(err != 0 || work->end == WEIR_TASK_DONE || work->end == WEIR_TASK_CANCELLED);
    end_work(work);
}

/* Nothing else ends it. */
static void context_against_submit(void)
{
    struct work *work = new_work(1);
    explore_begin();
    struct vthread *canceller = start(cancel_context, work);
    int err = wait_to_read(work, work->ctx, WEIR_FOREVER);
    if (err == 0)
        finish_task(work);
    finish(canceller);
    end_pool(work->pool);
    explore_end();
    check(err == -ECANCELED || work->end == WEIR_TASK_CANCELLED);
    end_work(work);
}

/* The place is left, and its hook stopped, while the hook may be called. */
static void cancel_against_context(void)
{
    struct work *work = new_work(1);
    int err = wait_to_read(work, work->ctx, WEIR_FOREVER);
    check(err == 0);
    explore_begin();
    struct vthread *by_context = start(cancel_context, work), *by_task = start(cancel_task, work);
    finish_task(work);
    finish(by_context);
    finish(by_task);
    end_pool(work->pool);
    explore_end();
    check(work->end == WEIR_TASK_CANCELLED);
    end_work(work);
}

static void ready_against_expiry(void)
{
    struct work *work = new_work(1);
    explore_begin();
    instant(SOON);
    int err = wait_to_read(work, NULL, SOON);
    struct vthread *writer = start(make_ready, work);
    check(err == 0 || err == -ETIMEDOUT);
    if (err == 0)
        finish_task(work);
    finish(writer);
    end_pool(work->pool);
    explore_end();
    check(err != 0 || work->end == WEIR_TASK_DONE || work->end == WEIR_TASK_EXPIRED);
    end_work(work);
}

static void ready_against_shutdown(void)
{
    struct work *work = new_work(1);
    int err = wait_to_read(work, NULL, WEIR_FOREVER);
    check(err == 0);
    explore_begin();
    struct vthread *writer = start(make_ready, work);
    err = weir_pool_shutdown(work->pool, 0, WEIR_FOREVER, NULL);
    check(err == 0);
    finish(writer);
    end_pool(work->pool);
    explore_end();
    check(work->end == WEIR_TASK_DONE || work->end == WEIR_TASK_CANCELLED);
    check(work->runs == (work->end == WEIR_TASK_DONE));
    end_work(work);
}

static void ready_against_close(void)
{
    struct work *work = new_work(1);
    int err = wait_to_read(work, NULL, WEIR_FOREVER);
    check(err == 0);
    explore_begin();
    struct vthread *writer = start(make_ready, work);
    weir_pool_close(work->pool);
    finish_task(work);
    finish(writer);
    end_pool(work->pool);
    explore_end();
    check(work->end == WEIR_TASK_DONE);
    end_work(work);
}

static void make_ready_by_and_by(void *unused)
{
    (void)unused;
    virtual_descriptor(WEIR_READABLE);
    virtual_descriptor(WEIR_READABLE | WEIR_WRITABLE);
}

/* A writer comes while the reader's readiness is on its way, and before its own. */
static void ready_against_a_second_wait(void)
{
    struct work *work = new_work(2);
    int err = wait_to_read(work, NULL, WEIR_FOREVER);
    check(err == 0);
    explore_begin();
    struct vthread *writer = start(make_ready_by_and_by, work);
    err = weir_pool_submit_when(work->pool, &work->other, FD, WEIR_WRITABLE, run, &work->other_runs,
                                NULL);
    check(err == 0);
    finish_task(work);
    err = weir_task_wait(&work->other);
    check(err == 0 && weir_task_state(&work->other) == WEIR_TASK_DONE && work->other_runs == 1);
    finish(writer);
    end_pool(work->pool);
    explore_end();
    check(work->end == WEIR_TASK_DONE);
    end_work(work);
}

static void make_readable(void *unused)
{
    (void)unused;
    virtual_descriptor(WEIR_READABLE);
}

/* The place is used again, for what does not come, while the readiness of its last wait may still
 * be on its way. */
static void ready_against_cancel_and_again(void)
{
    struct work *work = new_work(1);
    int err = wait_to_read(work, NULL, WEIR_FOREVER);
    check(err == 0);
    explore_begin();
    struct vthread *writer = start(make_readable, work);
    cancel_task(work);
    finish_task(work);
    err = weir_pool_submit_when(work->pool, &work->other, FD, WEIR_WRITABLE, run, &work->other_runs,
                                NULL);
    check(err == 0);
    finish(writer);
    err = weir_pool_shutdown(work->pool, 0, WEIR_FOREVER, NULL);
    check(err == 0 && weir_task_state(&work->other) == WEIR_TASK_CANCELLED);
    check(work->other_runs == 0);
    end_pool(work->pool);
    explore_end();
    end_work(work);
}

static void cancel_against_another_file(void)
{
    struct work *work = new_work(2);
    int err = wait_to_read(work, NULL, WEIR_FOREVER);
    check(err == 0);
    virtual_descriptor_replaced(0);
    explore_begin();
    struct vthread *canceller = start(cancel_task, work);
    err = weir_pool_submit_when(work->pool, &work->other, FD, WEIR_READABLE, run, &work->other_runs,
                                NULL);
    check(err == 0);
    make_ready(NULL);
    finish_task(work);
    err = weir_task_wait(&work->other);
    check(err == 0 && work->other_runs == 1);
    finish(canceller);
    end_pool(work->pool);
    explore_end();
    check(work->end == WEIR_TASK_CANCELLED);
    end_work(work);
}

/* Only that it is found out ends the first wait. */
static void another_file(void)
{
    struct work *work = new_work(2);
    explore_begin();
    int err = wait_to_read(work, NULL, WEIR_FOREVER);
    check(err == 0);
    virtual_descriptor_replaced(0);
    err = weir_pool_submit_when(work->pool, &work->other, FD, WEIR_READABLE, run, &work->other_runs,
                                NULL);
    check(err == 0);
    finish_task(work);
    err = weir_pool_shutdown(work->pool, 0, WEIR_FOREVER, NULL);
    check(err == 0 && work->other_runs == 0);
    end_pool(work->pool);
    explore_end();
    check(work->end == WEIR_TASK_CANCELLED);
    end_work(work);
}

/* The only worker waits for it, and has to run it. */
static int wait_inside(weir_context *ctx, void *arg)
{
    (void)ctx;
    struct work *work = arg;
    int err = wait_to_read(work, NULL, WEIR_FOREVER);
    check(err == 0);
    finish_task(work);
    return 0;
}

static void the_only_worker_waits(void)
{
    struct work *work = new_work(1);
    explore_begin();
    int err = weir_pool_submit(work->pool, wait_inside, work);
    check(err == 0);
    make_ready(NULL);
    end_pool(work->pool);
    explore_end();
    check(work->end == WEIR_TASK_DONE);
    end_work(work);
}

const struct scenario descriptor_scenarios[] = {
    {"descriptor: readiness against submit", ready_against_submit, false},
    {"descriptor: readiness against cancel", ready_against_cancel, false},
    {"descriptor: readiness against a context", ready_against_context, false},
    {"descriptor: a context against submit", context_against_submit, false},
    {"descriptor: cancel against a context", cancel_against_context, false},
    {"descriptor: readiness against expiry", ready_against_expiry, false},
    {"descriptor: readiness against shutdown", ready_against_shutdown, false},
    {"descriptor: readiness against close", ready_against_close, false},
    {"descriptor: readiness against a second wait", ready_against_a_second_wait, false},
    {"descriptor: cancel and wait again", ready_against_cancel_and_again, false},
    {"descriptor: cancel against another file", cancel_against_another_file, false},
    {"descriptor: another file", another_file, false},
    {"descriptor: the only worker waits", the_only_worker_waits, false},
    {0},
};
