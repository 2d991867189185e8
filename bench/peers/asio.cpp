/* SPDX-License-Identifier: MIT */
/* asio.cpp - Boost.Asio's thread_pool: post, and a future to wait for one task. */
#include <future>
#include <vector>

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>

#include "peer.h"

namespace
{

namespace asio = boost::asio;

asio::thread_pool *of(void *pool)
{
    return static_cast<asio::thread_pool *>(pool);
}

void *open_pool(unsigned workers, unsigned)
{
    return new asio::thread_pool(workers);
}

void finish(void *pool)
{
    of(pool)->join();
}

/* Without a join the destructor drops what is queued; the caller of close has waited. */
void close_pool(void *pool)
{
    delete of(pool);
}

void submit(void *pool, weir_task_fn *fn, void *arg)
{
    asio::post(*of(pool), [=] { (void)fn(nullptr, arg); });
}

std::future<void> post_future(void *pool, weir_task_fn *fn, void *arg)
{
    return asio::post(*of(pool), asio::use_future([=] { (void)fn(nullptr, arg); }));
}

void call(void *pool, weir_task_fn *fn, void *const args[], size_t n)
{
    std::vector<std::future<void>> futures;
    futures.reserve(n);
    for (size_t i = 0; i < n; i++)
        futures.push_back(post_future(pool, fn, args[i]));
    for (std::future<void> &future : futures)
        future.get();
}

void fork_task(void *pool, weir_task_fn *fn, void *forked, void *own)
{
    std::future<void> future = post_future(pool, fn, forked);
    (void)fn(nullptr, own);
    future.get();
}

peer form()
{
    peer form = peer();
    form.name = "thread_pool";
    form.open = open_pool;
    form.finish = finish;
    form.close = close_pool;
    form.submit = submit;
    form.spawn = submit;
    form.call = call;
    form.call_inside = call;
    form.fork = fork_task;
    return form;
}

const peer thread_pool_peer = form();

} // namespace

const peer *const peer_forms[] = {&thread_pool_peer, nullptr};
