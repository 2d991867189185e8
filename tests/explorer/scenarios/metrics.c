/* SPDX-License-Identifier: MIT */
/* metrics.c - a write against a remove, after which what was removed is freed. */
#include "scenario.h"

struct work {
    weir_metrics *metrics;
    double *a, *b; /* plain: a write that still used one after its remove would be seen */
    unsigned bytes;
    int written;
    weir_semaphore go_on;
    weir_waitgroup held;
};

static double value(void *arg)
{
    return *(double *)arg;
}

static void add(struct work *work, const char *name, double *number)
{
    int err = weir_metrics_add_gauge(work->metrics, name, "X.", NULL, value, number);
    check(err == 0);
}

static struct work *new_work(void)
{
    struct work *work = make(sizeof *work);
    int err = weir_metrics_new(&work->metrics);
    check(err == 0);
    work->a = make(sizeof *work->a);
    work->b = make(sizeof *work->b);
    add(work, "a", work->a);
    add(work, "b", work->b);
    return work;
}

static int count_bytes(const char *text, size_t n, void *arg)
{
    (void)text;
    ((struct work *)arg)->bytes += (unsigned)n;
    return 0;
}

static void write_all(void *arg)
{
    struct work *work = arg;
    work->written = weir_metrics_write(work->metrics, count_bytes, work);
}

static void remove_and_drop(struct work *work, double *number)
{
    int err = weir_metrics_remove(work->metrics, number);
    check(err == 0);
    drop(number);
}

static void end_work(struct work *work)
{
    check(work->written == 0);
    weir_metrics_free(work->metrics);
    drop(work);
}

static void a_value_is_freed_right_after_it_was_removed(void)
{
    struct work *work = new_work();
    explore_begin();
    struct vthread *writer = start(write_all, work);
    remove_and_drop(work, work->a);
    remove_and_drop(work, work->b);
    finish(writer);
    explore_end();
    end_work(work);
}

static void remove_a(void *arg)
{
    struct work *work = arg;
    remove_and_drop(work, work->a);
}

static void two_removes_against_a_write(void)
{
    struct work *work = new_work();
    explore_begin();
    struct vthread *remover = start(remove_a, work), *writer = start(write_all, work);
    remove_and_drop(work, work->b);
    finish(remover);
    finish(writer);
    explore_end();
    end_work(work);
}

/* In the midst of a write another metric of the same family comes. */
static void a_value_comes_while_another_goes(void)
{
    struct work *work = new_work();
    explore_begin();
    struct vthread *writer = start(write_all, work);
    remove_and_drop(work, work->a);
    work->a = make(sizeof *work->a);
    add(work, "a", work->a);
    finish(writer);
    explore_end();
    remove_and_drop(work, work->a);
    remove_and_drop(work, work->b);
    end_work(work);
}

static double held_value(void *arg)
{
    struct work *work = arg;
    weir_waitgroup_done(&work->held);
    int err = weir_semaphore_acquire(&work->go_on, 1);
    check(err == 0);
    return 1;
}

/* The write is inside the function when the remove begins. */
static void a_remove_waits_for_a_function(void)
{
    struct work *work = new_work();
    int err = weir_semaphore_init(&work->go_on, 1);
    check(err == 0);
    err = weir_semaphore_acquire(&work->go_on, 1);
    check(err == 0);
    err = weir_metrics_add_gauge(work->metrics, "c", "X.", NULL, held_value, work);
    check(err == 0);
    weir_waitgroup_add(&work->held, 1);
    explore_begin();
    struct vthread *writer = start(write_all, work);
    err = weir_waitgroup_wait(&work->held);
    check(err == 0);
    weir_semaphore_release(&work->go_on, 1);
    err = weir_metrics_remove(work->metrics, work);
    check(err == 0);
    finish(writer);
    explore_end();
    remove_and_drop(work, work->a);
    remove_and_drop(work, work->b);
    weir_semaphore_destroy(&work->go_on);
    end_work(work);
}

const struct scenario metrics_scenarios[] = {
    {"metrics: a value is freed right after it was removed",
     a_value_is_freed_right_after_it_was_removed, false},
    {"metrics: two removes against a write", two_removes_against_a_write, false},
    {"metrics: a value comes while another goes", a_value_comes_while_another_goes, false},
    {"metrics: a remove waits for a function", a_remove_waits_for_a_function, false},
    {0},
};
