/* SPDX-License-Identifier: MIT */
/* parallel_sum.c - for loops on all workers and the caller: a sum, and a search that stops early.
 *
 * Counting primes is uneven work: the larger the numbers, the longer it takes. Each thread takes
 * another chunk when it has finished one, so that no thread is left with all the long ones. */
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>

#include <weir.h>

static bool is_prime(size_t n)
{
    for (size_t d = 2; d * d <= n; d++)
        if (n % d == 0)
            return false;
    return n >= 2;
}

static int count_primes(weir_context *ctx, size_t begin, size_t end, void *arg)
{
    size_t primes = 0; /* so that the shared count is changed once per chunk */
    (void)ctx;
    for (size_t n = begin; n < end; n++)
        if (is_prime(n))
            primes++;
    atomic_fetch_add((atomic_size_t *)arg, primes);
    return 0;
}

struct search {
    size_t product;
    atomic_size_t factor;
};

/* Any value other than 0 stops the loop; it need not be an error. */
static int find_factor(weir_context *ctx, size_t begin, size_t end, void *arg)
{
    struct search *search = arg;
    for (size_t n = begin; n < end && weir_context_err(ctx) == 0; n++)
        if (n >= 2 && search->product % n == 0) {
            atomic_store(&search->factor, n);
            return 1;
        }
    return 0;
}

static int show(weir_pool *pool)
{
    atomic_size_t primes = 0;
    int err = weir_parallel_for(pool, 100000, 0, count_primes, &primes);
    if (err != 0)
        return err;
    printf("primes below 100000: %zu\n", atomic_load(&primes));

    struct search search = {.product = (size_t)99991 * 99989};
    int found = weir_parallel_for(pool, 99990, 1000, find_factor, &search);
    if (found < 0)
        return found;
    printf("a factor of %zu: %zu\n", search.product, atomic_load(&search.factor));

    err = weir_parallel_for_until(pool, 100000, 0, count_primes, &primes, NULL, weir_now());
    printf("no time left: %s\n", weir_strerror(err));
    return 0;
}

int main(void)
{
    weir_pool *pool;
    int err = weir_pool_new(&pool, NULL);
    if (err == 0) {
        err = show(pool);
        weir_pool_free(pool);
    }
    if (err != 0)
        fprintf(stderr, "parallel_sum: %s\n", weir_strerror(err));
    return err != 0;
}
