/* SPDX-License-Identifier: MIT */
/* local.c - pools of local order: what a task submits lies in its worker's deque, and is found
 * there by any thread that is free, waits, or cancels.
 */
#include "scenario.h"

#include "base/sizes.h"
#include "pool/pool.h"

enum { CHILDREN = 4, SOON = 2000 };

struct family {
    weir_pool *pool;
    weir_waitgroup *gate, *group;
    weir_task *task;
    unsigned children;                        /* how many the parent submits */
    unsigned runs[CHILDREN], drops[CHILDREN]; /* side by side: note_drop */
    unsigned ends, parents;
    int errs[CHILDREN]; /* what the submits returned */
    int cancelled;
    atomic(unsigned) over; /* a cancel of all that is queued has returned; a child was submitted */
    unsigned links;        /* that have started since */
    bool late;             /* it had, before the parent did */
};

static void note_drop(weir_task_fn *fn, void *arg, weir_state why, void *user)
{
    (void)user;
    check(why == WEIR_TASK_CANCELLED);
    if (fn == count_run) /* a child */
        ++*((unsigned *)arg + CHILDREN);
}

static struct family *new_family(unsigned workers, unsigned capacity, unsigned local)
{
    struct family *family = make(sizeof *family);
    family->gate = make(sizeof *family->gate);
    family->group = make(sizeof *family->group);
    family->task = make(sizeof *family->task);
    family->children = 2;
    family->pool = new_pool(WEIR_POOL_OPTIONS(.workers = workers, .capacity = capacity,
                                              .order = WEIR_ORDER_LOCAL, .local = local,
                                              .on_drop = note_drop));
    return family;
}

static void end_family(struct family *family)
{
    end_pool(family->pool);
    drop(family->task);
    drop(family->group);
    drop(family->gate);
    drop(family);
}

static void submit(struct family *family, weir_task_fn *fn)
{
    int err = weir_pool_submit(family->pool, fn, family);
    check(err == 0);
}

static void drain(struct family *family)
{
    int err = weir_pool_drain(family->pool);
    check(err == 0);
}

static int submit_children(weir_context *ctx, void *arg)
{
    struct family *family = arg;
    (void)ctx;
    for (unsigned i = 0; i < family->children; i++)
        family->errs[i] = weir_pool_submit(family->pool, count_run, &family->runs[i]);
    family->late = load_seqcst(&family->over) != 0;
    family->parents++;
    return 0;
}

static void check_all_ran(const struct family *family)
{
    for (unsigned i = 0; i < family->children; i++)
        check(family->errs[i] == 0 && family->runs[i] == 1);
}

/* The owner and a thief, and a drain. With a deque of one the others go to the ring, and with a
 * ring of one the last ones run in place. */
static void owner_against_thief(unsigned children, unsigned capacity, unsigned local)
{
    struct family *family = new_family(2, capacity, local);
    family->children = children;
    explore_begin();
    submit(family, submit_children);
    drain(family);
    explore_end();
    check_all_ran(family);
    end_family(family);
}

static void two_children(void)
{
    owner_against_thief(2, 2, 2);
}

static void more_than_the_deque_holds(void)
{
    owner_against_thief(3, 2, 1);
}

static void more_than_there_are_places(void)
{
    owner_against_thief(4, 1, 1);
}

/* The second child is pushed into the word from which a thief takes the first, as soon as there is
 * room. */
static int push_behind_a_thief(weir_context *ctx, void *arg)
{
    struct family *family = arg;
    const struct deques *deques = &family->pool->queue.deques;
    const struct deque *own = &deques->of_workers[weir_pool_worker_index()].deque;
    (void)ctx;
    for (unsigned i = 0; i < family->children; i++) {
        family->errs[i] = weir_pool_submit(family->pool, count_run, &family->runs[i]);
        while (i == 0 && deque_count(own) > 0)
            give_way("a deque without a thief");
    }
    return 0;
}

static void a_push_behind_a_thief(void)
{
    struct family *family = new_family(2, 2, 1);
    explore_begin();
    submit(family, push_behind_a_thief);
    drain(family);
    explore_end();
    check_all_ran(family);
    end_family(family);
}

/* The parent keeps its worker until its child has run: so the other one must find it. */

static int open_gate(weir_context *ctx, void *arg)
{
    struct family *family = arg;
    (void)ctx;
    family->runs[0]++;
    weir_waitgroup_done(family->gate);
    return 0;
}

static int submit_and_keep(weir_context *ctx, void *arg)
{
    struct family *family = arg;
    (void)ctx;
    submit(family, open_gate);
    return weir_waitgroup_wait(family->gate);
}

static int do_nothing(weir_context *ctx, void *arg)
{
    (void)ctx;
    (void)arg;
    return 0;
}

static void push_against_park(void)
{
    struct family *family = new_family(2, 2, 2);
    weir_waitgroup_add(family->gate, 1);
    explore_begin();
    submit(family, do_nothing); /* so that the other one wakes, and parks again */
    submit(family, submit_and_keep);
    drain(family);
    explore_end();
    check(family->runs[0] == 1);
    end_family(family);
}

/* The parent keeps its worker until its child has run, and the other worker always has something
 * newer of its own to do: it must look at the deque of the first all the same. */

static int submit_next_link(weir_context *ctx, void *arg)
{
    struct family *family = arg;
    (void)ctx;
    while (load_seqcst(&family->over) == 0)
        give_way("a link before there is a child");
    if (family->runs[0] > 0)
        return 0;
    family->links++;
    check(family->links <= OTHER_EACH + 2); /* the first one may have started before */
    submit(family, submit_next_link);
    return 0;
}

static int submit_and_keep_waiting(weir_context *ctx, void *arg)
{
    struct family *family = arg;
    (void)ctx;
    submit(family, open_gate);
    (void)xchg_seqcst(&family->over, 1);
    return weir_waitgroup_wait(family->gate);
}

static void a_child_beside_a_busy_worker(void)
{
    struct family *family = new_family(2, 2, 2);
    weir_waitgroup_add(family->gate, 1);
    explore_begin();
    submit(family, submit_next_link);
    submit(family, submit_and_keep_waiting);
    drain(family);
    explore_end();
    check(family->runs[0] == 1);
    end_family(family);
}

/* Two children that wait for each other, and for their parent: two others run both. */

static int meet(weir_context *ctx, void *arg)
{
    struct family *family = arg;
    (void)ctx;
    weir_waitgroup_done(family->gate);
    return weir_waitgroup_wait(family->gate);
}

static int submit_two_that_meet(weir_context *ctx, void *arg)
{
    submit(arg, meet);
    submit(arg, meet);
    return meet(ctx, arg);
}

static void children_that_wait_for_each_other(void)
{
    struct family *family = new_family(3, 2, 2);
    weir_waitgroup_add(family->gate, 3);
    explore_begin();
    submit(family, submit_two_that_meet);
    drain(family);
    explore_end();
    end_family(family);
}

/* A worker that waits finds what it waits for in the deque of another one, which is blocked. */

static int go_and_block(weir_context *ctx, void *arg)
{
    struct family *family = arg;
    (void)ctx;
    int err = weir_waitgroup_go(family->group, family->pool, count_run, &family->runs[0]);
    check(err == 0);
    weir_waitgroup_done(family->group);
    return weir_waitgroup_wait(family->gate);
}

static int wait_and_open(weir_context *ctx, void *arg)
{
    struct family *family = arg;
    (void)ctx;
    int err = weir_waitgroup_wait(family->group);
    check(err == 0 && family->runs[0] == 1);
    weir_waitgroup_done(family->gate);
    return 0;
}

static void a_member_in_a_blocked_owner_s_deque(void)
{
    struct family *family = new_family(2, 2, 2);
    weir_waitgroup_add(family->gate, 1);
    weir_waitgroup_add(family->group, 1); /* until the member was given */
    explore_begin();
    submit(family, go_and_block);
    submit(family, wait_and_open);
    drain(family);
    explore_end();
    end_family(family);
}

/* The same behind a stranger, which a waiting worker must not run: it waits for the waiter. */
static int go_behind_a_stranger(weir_context *ctx, void *arg)
{
    struct family *family = arg;
    (void)ctx;
    int err = weir_waitgroup_go(family->group, family->pool, count_run, &family->runs[0]);
    check(err == 0);
    submit(family, meet);
    weir_waitgroup_done(family->group);
    err = weir_waitgroup_wait(family->group);
    check(err == 0 && family->runs[0] == 1);
    weir_waitgroup_done(family->gate);
    return 0;
}

static void a_member_behind_a_stranger(void)
{
    struct family *family = new_family(1, 2, 2);
    weir_waitgroup_add(family->gate, 2);
    weir_waitgroup_add(family->group, 1);
    explore_begin();
    submit(family, go_behind_a_stranger);
    drain(family);
    explore_end();
    end_family(family);
}

/* Fork and join by handles, in an order that leaves dead tickets in the middle of the deque. */
static int fork_and_join(weir_context *ctx, void *arg)
{
    struct family *family = arg;
    weir_task tasks[2] = {WEIR_TASK_INIT, WEIR_TASK_INIT};
    (void)ctx;
    for (int lap = 0; lap < 2; lap++) {
        for (int i = 0; i < 2; i++) {
            int err =
                weir_pool_submit_task(family->pool, &tasks[i], count_run, &family->runs[i], NULL);
            check(err == 0);
        }
        for (int i = 0; i < 2; i++) {
            int err = weir_task_wait(&tasks[i]);
            check(err == 0 && family->runs[i] == (unsigned)lap + 1);
        }
    }
    return 0;
}

static void joins(unsigned workers, unsigned local)
{
    struct family *family = new_family(workers, 2, local);
    explore_begin();
    submit(family, fork_and_join);
    drain(family);
    explore_end();
    end_family(family);
}

static void join_on_one_worker(void)
{
    joins(1, 2);
}

static void join_against_a_thief(void)
{
    joins(2, 2);
}

static void join_in_a_full_deque(void)
{
    joins(2, 1);
}

/* Cancels. */

static void cancel_queued(void *arg)
{
    struct family *family = arg;
    weir_pool_cancel_queued(family->pool);
    (void)xchg_seqcst(&family->over, 1);
}

/* Each child that was accepted runs, or is dropped; one that was refused does neither. The only
 * worker starts none before the parent has returned: if the cancel was over by then, none runs. */
static void cancel_against_push(unsigned workers, unsigned local)
{
    struct family *family = new_family(workers, 1, local);
    explore_begin();
    submit(family, submit_children);
    struct vthread *canceller = start(cancel_queued, family);
    finish(canceller);
    drain(family);
    explore_end();
    for (unsigned i = 0; i < family->children && family->parents > 0; i++) {
        check(family->runs[i] + family->drops[i] == (family->errs[i] == 0 ? 1U : 0U));
        check(workers > 1 || !family->late || family->runs[i] == 0);
    }
    end_family(family);
}

static void cancel_against_a_push(void)
{
    cancel_against_push(1, 2);
}

static void cancel_against_a_push_and_a_thief(void)
{
    cancel_against_push(2, 2);
}

static void cancel_against_a_full_deque(void)
{
    cancel_against_push(1, 1);
}

static void told(void *arg, weir_state end, int status)
{
    struct family *family = arg;
    (void)end;
    (void)status;
    family->ends++;
}

static int run_first(weir_context *ctx, void *arg)
{
    struct family *family = arg;
    (void)ctx;
    family->runs[0]++;
    return 0;
}

/* One handle: cancelled by a thread outside, run by the waiting parent or by a thief. */
static int submit_and_wait(weir_context *ctx, void *arg)
{
    struct family *family = arg;
    (void)ctx;
    int err = weir_pool_submit_task(family->pool, family->task, run_first, family,
                                    WEIR_TASK_OPTIONS(.on_done = told));
    check(err == 0);
    weir_waitgroup_done(family->gate);
    err = weir_task_wait(family->task);
    check(err == 0 && family->ends == 1);
    return 0;
}

static void cancel_of_handle(weir_task_fn *parent, unsigned others)
{
    struct family *family = new_family(2, 2, 2);
    weir_waitgroup_add(family->gate, 1);
    explore_begin();
    submit(family, parent);
    int err = weir_waitgroup_wait(family->gate);
    check(err == 0);
    family->cancelled = weir_task_cancel(family->task);
    drain(family);
    explore_end();
    check(family->ends == 1 && family->runs[0] == (family->cancelled == 0 ? 0U : 1U));
    check(family->runs[1] == others);
    end_family(family);
}

static void cancel_of_a_handle(void)
{
    cancel_of_handle(submit_and_wait, 0);
}

/* Not the last one in the deque: the parent takes it by the claim that the canceller wants. */
static int submit_two_and_wait(weir_context *ctx, void *arg)
{
    struct family *family = arg;
    int err = weir_pool_submit(family->pool, count_run, &family->runs[1]);
    check(err == 0);
    return submit_and_wait(ctx, arg);
}

static void cancel_of_the_newest(void)
{
    cancel_of_handle(submit_two_and_wait, 1);
}

/* It frees no place in the ring: the submitter that waits for one sleeps on. */
static int submit_one_and_wait(weir_context *ctx, void *arg)
{
    struct family *family = arg;
    (void)ctx;
    int err = weir_pool_submit_task(family->pool, family->task, run_first, family, NULL);
    check(err == 0);
    weir_waitgroup_done(family->gate);
    return weir_waitgroup_wait(family->group);
}

static void submit_to_full_ring(void *arg)
{
    submit(arg, do_nothing);
}

static void cancel_beside_a_blocked_submitter(void)
{
    struct family *family = new_family(1, 1, 1);
    const struct eventcount *waiting = &family->pool->queue.lane.room.waiting;
    weir_waitgroup_add(family->gate, 1);
    weir_waitgroup_add(family->group, 1);
    explore_begin();
    submit(family, submit_one_and_wait);
    int err = weir_waitgroup_wait(family->gate);
    check(err == 0);
    submit(family, do_nothing);
    struct vthread *blocked = start(submit_to_full_ring, family);
    settle();
    uint32_t epoch = load_seqcst(&waiting->park.word);
    err = weir_task_cancel(family->task);
    check(err == 0);
    check(load_seqcst(&waiting->park.word) == epoch);
    weir_waitgroup_done(family->group);
    finish(blocked);
    drain(family);
    explore_end();
    check(family->runs[0] == 0);
    end_family(family);
}

/* A task that has expired in a full deque, beside a full ring: its owner ends it to make room, or a
 * thief meets it. */
static int push_beside_an_expired_one(weir_context *ctx, void *arg)
{
    struct family *family = arg;
    (void)ctx;
    int err = weir_pool_submit_task(family->pool, family->task, do_nothing, family,
                                    WEIR_TASK_OPTIONS(.on_done = told, .start_by = SOON));
    check(err == 0);
    instant(SOON);
    return submit_children(ctx, arg);
}

static void expired_in_a_full_deque(void)
{
    struct family *family = new_family(2, 1, 1);
    explore_begin();
    submit(family, push_beside_an_expired_one);
    drain(family);
    explore_end();
    check_all_ran(family);
    weir_state state = weir_task_state(family->task);
    check(family->ends == 1);
    check(state == WEIR_TASK_EXPIRED || state == WEIR_TASK_DONE);
    end_family(family);
}

/* One worker stops for ever, at each point. What it has in hand is lost to the others, and nothing
 * else: neither what is in its deque, nor what comes later. */

static int freezable_worker(unsigned index, void *user)
{
    (void)user;
    if (index == 0)
        freezable_begin();
    return 0;
}

static void frozen_worker(void)
{
    struct family *family = make(sizeof *family);
    family->children = 2;
    family->pool =
        new_pool(WEIR_POOL_OPTIONS(.workers = 2, .capacity = 2, .order = WEIR_ORDER_LOCAL,
                                   .local = 2, .on_worker_start = freezable_worker));
    explore_begin();
    submit(family, submit_children);
    settle();
    explore_end();
    for (unsigned i = 0; i < 3; i++) {
        submit(family, submit_children);
        settle();
    }
    check(weir_pool_queued(family->pool) == 0);
    check(family->parents >= (froze() ? 3 : 4));
    if (froze())
        return;
    end_pool(family->pool);
    drop(family);
}

const struct scenario local_scenarios[] = {
    {"local: two children", two_children, false},
    {"local: more than the deque holds", more_than_the_deque_holds, false},
    {"local: more than there are places", more_than_there_are_places, false},
    {"local: a push behind a thief", a_push_behind_a_thief, false},
    {"local: a push against a park", push_against_park, false},
    {"local: a child beside a busy worker", a_child_beside_a_busy_worker, false},
    {"local: children that wait for each other", children_that_wait_for_each_other, false},
    {"local: a member in a blocked owner's deque", a_member_in_a_blocked_owner_s_deque, false},
    {"local: a member behind a stranger", a_member_behind_a_stranger, false},
    {"local: join on one worker", join_on_one_worker, false},
    {"local: join against a thief", join_against_a_thief, false},
    {"local: join in a full deque", join_in_a_full_deque, false},
    {"local: cancel against a push", cancel_against_a_push, false},
    {"local: cancel against a push and a thief", cancel_against_a_push_and_a_thief, false},
    {"local: cancel against a full deque", cancel_against_a_full_deque, false},
    {"local: cancel of a handle", cancel_of_a_handle, false},
    {"local: cancel of the newest", cancel_of_the_newest, false},
    {"local: a cancel beside a blocked submitter", cancel_beside_a_blocked_submitter, false},
    {"local: expired in a full deque", expired_in_a_full_deque, false},
    {"local: frozen worker", frozen_worker, true},
    {0},
};
