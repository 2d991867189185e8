/* SPDX-License-Identifier: MIT */
/* cplusplus.cpp - weir from C++11: a pool that frees itself, and lambdas as tasks. */
#include <cerrno>
#include <cstdio>
#include <functional>
#include <memory>
#include <stdexcept>
#include <system_error>
#include <utility>
#include <vector>

#include <weir.h>

namespace
{

void check(int err)
{
    if (err != 0)
        throw std::system_error(-err, std::generic_category(), weir_strerror(err));
}

class Pool
{
  public:
    Pool(unsigned workers, unsigned capacity)
    {
        weir_pool_options options;
        weir_pool_options_init(&options);
        options.workers = workers;
        options.capacity = capacity;
        options.on_drop = drop;
        weir_pool *pool = nullptr;
        check(weir_pool_new(&pool, &options));
        pool_.reset(pool);
    }

    weir_pool *get() const
    {
        return pool_.get();
    }

    /* The function is freed by run, if it runs; by drop, if it never does; here, if the pool does
     * not accept it. */
    void go(weir_waitgroup *wg, std::function<void()> fn)
    {
        std::unique_ptr<std::function<void()>> owner(new std::function<void()>(std::move(fn)));
        check(weir_waitgroup_go(wg, get(), run, owner.get()));
        owner.release();
    }

  private:
    /* No exception may leave a task: it would have to pass through C code. */
    static int run(weir_context *, void *arg)
    {
        std::unique_ptr<std::function<void()>> fn(static_cast<std::function<void()> *>(arg));
        try {
            (*fn)();
            return 0;
        } catch (const std::system_error &error) {
            return -error.code().value();
        } catch (const std::exception &) {
            return -EPROTO;
        }
    }

    static void drop(weir_task_fn *, void *arg, weir_state, void *)
    {
        delete static_cast<std::function<void()> *>(arg);
    }

    struct Free {
        void operator()(weir_pool *pool) const
        {
            weir_pool_free(pool);
        }
    };
    std::unique_ptr<weir_pool, Free> pool_;
};

void show()
{
    /* Made before the pool, so that they are still there while its destructor waits for tasks. */
    std::vector<long> sums(4, 0);
    weir_waitgroup wg = WEIR_WAITGROUP_INIT;
    Pool pool(2, 16);

    for (std::size_t i = 0; i < sums.size(); i++)
        pool.go(&wg, [&sums, i] {
            for (long n = 1; n <= static_cast<long>(i + 1) * 1000; n++)
                sums[i] += n;
        });
    pool.go(&wg, [] { throw std::runtime_error("a task that fails"); });
    check(weir_waitgroup_wait(&wg));

    for (std::size_t i = 0; i < sums.size(); i++)
        std::printf("the numbers up to %d: %ld\n", static_cast<int>(i + 1) * 1000, sums[i]);
    weir_pool_counts counts;
    weir_pool_read_counts(pool.get(), &counts);
    std::printf("done %d, failed %d\n", static_cast<int>(counts.done),
                static_cast<int>(counts.failed));
}

} // namespace

int main()
{
    try {
        show();
    } catch (const std::exception &error) {
        std::fprintf(stderr, "cplusplus: %s\n", error.what());
        return 1;
    }
    return 0;
}
