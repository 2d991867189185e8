/* SPDX-License-Identifier: MIT */
/* atomic.h - every atomic operation of weir, with its memory order in its name.
 *
 * The only file that knows how atomics are spelled, so that a test can put another one in its
 * place and see, delay or weaken each access. All operations take the address of an object
 * declared atomic(T). The cas_ forms are strong, take the address of the expected value, and
 * update it when they fail: with at least acquire order, but cas_rlx and cas_rel with none. The
 * add_, sub_ and or_ forms return the old value. seqcst is spelled out where a sleeper and its
 * waker must agree on one order.
 *
 * Each use that orders something names the function with the other side: "pairs with". The lint
 * suite checks that the two name each other.
 */
#ifndef WEIR_BASE_ATOMIC_H
#define WEIR_BASE_ATOMIC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What one core fetches at a time: fields with different writers are kept this far apart. */
#define CACHE_LINE 64

#define atomic(T) _Atomic(T)

#define load_rlx(p) atomic_load_explicit((p), memory_order_relaxed)
#define load_acq(p) atomic_load_explicit((p), memory_order_acquire)
#define load_seqcst(p) atomic_load_explicit((p), memory_order_seq_cst)

#define store_rlx(p, v) atomic_store_explicit((p), (v), memory_order_relaxed)
#define store_rel(p, v) atomic_store_explicit((p), (v), memory_order_release)

/* A sequentially consistent store by a thread that makes a sequentially consistent
 * read-modify-write, of whatever word, before its next such load. On x86-64 that one holds back the
 * loads behind it, which is all that such a store needs a locked instruction for. */
#if defined(__x86_64__)
#define store_ahead_seqcst(p, v) (store_rel((p), (v)), atomic_signal_fence(memory_order_seq_cst))
#else
#define store_ahead_seqcst(p, v) atomic_store_explicit((p), (v), memory_order_seq_cst)
#endif

#define xchg_acqrel(p, v) atomic_exchange_explicit((p), (v), memory_order_acq_rel)
#define xchg_seqcst(p, v) atomic_exchange_explicit((p), (v), memory_order_seq_cst)

#define cas_rlx(p, expected, v)                                                                    \
    atomic_compare_exchange_strong_explicit((p), (expected), (v), memory_order_relaxed,            \
                                            memory_order_relaxed)
#define cas_acq(p, expected, v)                                                                    \
    atomic_compare_exchange_strong_explicit((p), (expected), (v), memory_order_acquire,            \
                                            memory_order_acquire)
#define cas_rel(p, expected, v)                                                                    \
    atomic_compare_exchange_strong_explicit((p), (expected), (v), memory_order_release,            \
                                            memory_order_relaxed)
#define cas_acqrel(p, expected, v)                                                                 \
    atomic_compare_exchange_strong_explicit((p), (expected), (v), memory_order_acq_rel,            \
                                            memory_order_acquire)
#define cas_seqcst(p, expected, v)                                                                 \
    atomic_compare_exchange_strong_explicit((p), (expected), (v), memory_order_seq_cst,            \
                                            memory_order_seq_cst)

#define add_rlx(p, n) atomic_fetch_add_explicit((p), (n), memory_order_relaxed)
#define add_rel(p, n) atomic_fetch_add_explicit((p), (n), memory_order_release)
#define add_acqrel(p, n) atomic_fetch_add_explicit((p), (n), memory_order_acq_rel)
#define add_seqcst(p, n) atomic_fetch_add_explicit((p), (n), memory_order_seq_cst)
#define sub_rlx(p, n) atomic_fetch_sub_explicit((p), (n), memory_order_relaxed)
#define sub_acqrel(p, n) atomic_fetch_sub_explicit((p), (n), memory_order_acq_rel)
#define sub_seqcst(p, n) atomic_fetch_sub_explicit((p), (n), memory_order_seq_cst)
#define or_seqcst(p, n) atomic_fetch_or_explicit((p), (n), memory_order_seq_cst)

/* Tells the core that this is a spin, `n` times. Polling an empty or contended word takes its line
 * away from the thread that is about to change it; some pauses before the next look give it time.
 */
static inline void cpu_relax(unsigned n)
{
    while (n-- > 0) {
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#elif defined(__aarch64__) || defined(__arm__)
        __asm__ volatile("yield");
#else
        atomic_signal_fence(memory_order_seq_cst);
#endif
    }
}

/* Fetches a line that this thread is going to write to. x86-64 CPUs without the instruction ignore
 * it (except the first ones, of 2004); without its name, compilers fetch a copy for reading. */
static inline void prefetch_write(const void *address)
{
#if defined(__x86_64__)
    __asm__ volatile("prefetchw %0" : : "m"(*(const char *)address));
#else
    __builtin_prefetch(address, 1);
#endif
}

#endif
