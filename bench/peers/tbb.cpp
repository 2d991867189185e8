/* SPDX-License-Identifier: MIT */
/* tbb.cpp - oneTBB, in two forms.
 *
 * task_group: the submitter is inside a task_arena, in a slot that is kept for it, and runs its own
 * task_group there; so it also runs tasks while it waits. Besides that slot the arena has as many
 * as there are workers.
 * task_arena: tasks are enqueued from outside the arena, in order; a waiter goes in and helps.
 */
#include <memory>

#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/task_arena.h>
#include <oneapi/tbb/task_group.h>

#include "peer.h"

namespace
{

/* oneTBB starts as many workers as the machine has CPUs less one unless it is told. */
struct arena_pool {
    oneapi::tbb::global_control parallelism;
    oneapi::tbb::task_arena arena;
    oneapi::tbb::task_group inner; /* of tasks that tasks submit, and of the form task_arena */

    arena_pool(unsigned slots, unsigned reserved, unsigned threads)
        : parallelism(oneapi::tbb::global_control::max_allowed_parallelism, threads),
          arena(static_cast<int>(slots), reserved)
    {
        arena.initialize();
    }
};

thread_local oneapi::tbb::task_group *producers_group;

/* A group to wait for is made once for each thread, and used again: to make one takes as long as to
 * run a task in it. One that is in use, by a call further out, has another one made. */
struct used_again {
    oneapi::tbb::task_group group;
    bool in_use = false;
};

thread_local used_again callers_group;

arena_pool *of(void *pool)
{
    return static_cast<arena_pool *>(pool);
}

/* A thread that does nothing but wait takes the place of a worker. */
void *open_group(unsigned workers, unsigned producers)
{
    unsigned slots = producers > 0 ? workers + producers : workers;
    return new arena_pool(slots, producers > 0 ? producers : 1, slots);
}

void *open_enqueue(unsigned workers, unsigned)
{
    return new arena_pool(workers, 0, workers + 1);
}

void close_pool(void *pool)
{
    delete of(pool);
}

void finish(void *pool)
{
    of(pool)->arena.execute([pool] { of(pool)->inner.wait(); });
}

void produce(void *pool, void (*body)(void *arg), void *arg)
{
    of(pool)->arena.execute([=] {
        oneapi::tbb::task_group group;
        producers_group = &group;
        body(arg);
        group.wait();
        producers_group = nullptr;
    });
}

void submit(void *, weir_task_fn *fn, void *arg)
{
    producers_group->run([=] { (void)fn(nullptr, arg); });
}

void enqueue(void *pool, weir_task_fn *fn, void *arg)
{
    of(pool)->arena.enqueue(of(pool)->inner.defer([=] { (void)fn(nullptr, arg); }));
}

void spawn(void *pool, weir_task_fn *fn, void *arg)
{
    of(pool)->inner.run([=] { (void)fn(nullptr, arg); });
}

void call_in(oneapi::tbb::task_group &group, weir_task_fn *fn, void *const args[], size_t n)
{
    for (size_t i = 0; i < n; i++) {
        void *arg = args[i];
        group.run([=] { (void)fn(nullptr, arg); });
    }
    group.wait();
}

void call_inside(void *, weir_task_fn *fn, void *const args[], size_t n)
{
    used_again &again = callers_group; /* of the thread that waits, which also runs tasks then */
    if (again.in_use) {
        oneapi::tbb::task_group group;
        call_in(group, fn, args, n);
    } else {
        again.in_use = true;
        call_in(again.group, fn, args, n);
        again.in_use = false;
    }
}

void call(void *pool, weir_task_fn *fn, void *const args[], size_t n)
{
    of(pool)->arena.execute([=] { call_inside(pool, fn, args, n); });
}

void call_enqueued(void *pool, weir_task_fn *fn, void *const args[], size_t n)
{
    oneapi::tbb::task_group group;
    for (size_t i = 0; i < n; i++) {
        void *arg = args[i];
        of(pool)->arena.enqueue(group.defer([=] { (void)fn(nullptr, arg); }));
    }
    of(pool)->arena.execute([&group] { group.wait(); });
}

void fork_task(void *, weir_task_fn *fn, void *forked, void *own)
{
    oneapi::tbb::task_group group;
    group.run([=] { (void)fn(nullptr, forked); });
    (void)fn(nullptr, own);
    group.wait();
}

peer group_form()
{
    peer form = peer();
    form.name = "task_group";
    form.open = open_group;
    form.finish = finish;
    form.close = close_pool;
    form.produce = produce;
    form.submit = submit;
    form.spawn = spawn;
    form.call = call;
    form.call_inside = call_inside;
    form.fork = fork_task;
    return form;
}

peer arena_form()
{
    peer form = peer();
    form.name = "task_arena";
    form.open = open_enqueue;
    form.finish = finish;
    form.close = close_pool;
    form.submit = enqueue;
    form.spawn = enqueue;
    form.call = call_enqueued;
    form.call_inside = call_enqueued;
    return form;
}

const peer task_group_peer = group_form();
const peer task_arena_peer = arena_form();

} // namespace

const peer *const peer_forms[] = {&task_group_peer, &task_arena_peer, nullptr};
